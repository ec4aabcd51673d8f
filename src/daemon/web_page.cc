// SPDX-License-Identifier: Apache-2.0
#include "daemon/web_page.h"

#include "base/loopback.h"
#include <tideway/object_name.h>

#include <algorithm>

namespace tideway::daemon {
namespace {

// What may be read by whoever reaches the port. Not the configuration, and not the metrics, which have a listener of their own.
constexpr Route kReadable[] = {Route::kListJobs, Route::kShowJob, Route::kListEntries, Route::kJobEvents, Route::kEvents,
                               Route::kPeers,    Route::kRoots,   Route::kRate,        Route::kHealth,    Route::kVersion,
                               Route::kLinks,    Route::kTide};

// The port is anybody's: a tunnel or a proxy has one of its own.
bool is_own_name(std::string_view host) {
  const size_t colon = host.rfind(':');
  const bool has_port = colon != host.npos && host.find(']', colon) == host.npos;
  const std::string name(has_port ? host.substr(0, colon) : host);
  if (name == "localhost") return true;
  const auto address = Endpoint::parse(name + ":0");
  return address.ok() && is_loopback(address.value());
}

WebRefusal refuse(unsigned status, std::string what, std::string next) { return {status, {Fault::kUsage, std::move(what), std::move(next)}}; }

}  // namespace

WebAnswer judge_web_request(const http::Request& request, std::span<const WebFile> files) {
  const std::string path = to_display(std::string_view(request.path).substr(0, 128));
  if (!is_own_name(request.host))
    return refuse(421, "this gateway is not called \"" + to_display(std::string_view(request.host).substr(0, 128)) + '"', "call it localhost, also through a tunnel or a proxy");
  if (request.method != "GET") return refuse(405, "this port changes nothing, and takes GET alone", "use the unix socket for the rest");
  if (const auto file = std::ranges::find(files, request.path, &WebFile::path); file != files.end()) return &*file;
  Lookup lookup = find_route(request.method, request.path);
  if (!lookup.match && !lookup.is_path_known) return refuse(404, "there is no path " + path, "see docs/openapi.json");
  if (!lookup.match || std::ranges::count(kReadable, lookup.match->route) == 0) return refuse(403, "this port does not tell " + path, "use the unix socket");
  return std::move(*lookup.match);
}

http::Headers web_headers() {
  return {{"Content-Security-Policy",
           "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
          {"X-Content-Type-Options", "nosniff"},
          {"Referrer-Policy", "no-referrer"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Cross-Origin-Opener-Policy", "same-origin"}};
}

}  // namespace tideway::daemon
