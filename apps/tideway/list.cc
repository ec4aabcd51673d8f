// SPDX-License-Identifier: Apache-2.0
//
// tideway ls [ADDRESS]: what lies in a directory of a peer, the roots of a peer, or those of this machine's gateway.
#include "base/amounts.h"
#include "base/clock.h"
#include "config/config_file.h"
#include "config/gateway.h"
#include "gateway_client.h"
#include "verbs.h"

#include <ctime>

namespace tideway::cli {
namespace {

std::string local_time(int64_t mtime_ns) {
  const std::time_t seconds = static_cast<std::time_t>(mtime_ns / 1'000'000'000);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
  return text;
}

std::string mode_text(const ManifestEntry& entry) {
  std::string text = entry.type == EntryType::kDirectory ? "d" : entry.type == EntryType::kSymlink ? "l" : "-";
  for (int bit = 8; bit >= 0; --bit) text += (entry.mode >> bit & 1) != 0 ? "rwx"[(8 - bit) % 3] : '-';
  return text;
}

const char* type_name(EntryType type) {
  return type == EntryType::kDirectory ? "directory" : type == EntryType::kSymlink ? "symlink" : "file";
}

void print_root(const ManifestEntry& root, const OutputConfig& output) {
  if (output.json) return JsonLine("root").text("name", root.name).print();
  std::printf("%s\n", to_display(root.name).c_str());
}

void print(const ManifestEntry& entry, const OutputConfig& output) {
  const std::string name = entry.name.empty() ? "." : to_display(entry.name);
  if (output.json) {
    JsonLine line("entry");
    line.text("path", name).text("kind", type_name(entry.type)).number("bytes", entry.size.count());
    line.number("mode", entry.mode).number("mtime_ns", static_cast<uint64_t>(entry.mtime_ns));
    if (entry.type == EntryType::kSymlink) line.text("target", to_display(entry.link_target));
    line.print();
    return;
  }
  const std::string link = entry.type == EntryType::kSymlink ? " -> " + to_display(entry.link_target) : "";
  const std::string slash = entry.type == EntryType::kDirectory ? "/" : "";
  std::printf("%s %10s  %s  %s%s%s\n", mode_text(entry).c_str(), to_string(entry.size).c_str(), local_time(entry.mtime_ns).c_str(),
              name.c_str(), slash.c_str(), link.c_str());
}

// Of a directory what lies directly in it; of a file the file itself.
void print_all(session::Direct& direct, const session::RemoteAddress& place, const OutputConfig& output) {
  for (; !direct.entries().empty(); direct.entries().pop_front()) {
    const ManifestEntry& entry = direct.entries().front();
    const bool is_top = entry.number == ObjectId(0);
    const bool is_shown = is_top ? entry.type == EntryType::kFile : entry.parent == ObjectId(0);
    if (is_shown) (place.root.empty() ? print_root : print)(entry, output);
  }
}

Result<session::RemoteAddress> parse_place(const std::string& text) {
  if (auto peer = session::parse_peer_alone(text)) return session::RemoteAddress{.peer = std::move(*peer), .root = {}, .name = {}};
  auto address = session::parse_address(text);
  if (!address.ok()) return std::move(address).error();
  if (auto* remote = std::get_if<session::RemoteAddress>(&address.value())) return std::move(*remote);
  return Error{Fault::kUsage, to_display(text) + " names no peer", "write peer:root/path, or peer: for the roots there"};
}

int list(const std::string& text, const Globals& globals) {
  const auto place = parse_place(text);
  if (!place.ok()) return report(place.error(), globals.output);
  const auto config = config::load(globals.config);
  if (!config.ok()) return report(config.error(), globals.output);
  const auto peer = config::peer_for(config.value(), place.value().peer);
  if (!peer.ok()) return report(peer.error(), globals.output);
  const auto gateway = config::dialling_gateway(config.value());
  if (!gateway.ok()) return report(gateway.error(), globals.output);
  auto direct = session::Direct::list(gateway.value(), peer.value(), place.value());
  if (!direct.ok()) return report(direct.error(), globals.output);
  while (direct.value()->turn(std::chrono::milliseconds(200))) print_all(*direct.value(), place.value(), globals.output);
  print_all(*direct.value(), place.value(), globals.output);
  return direct.value()->outcome().ok() ? 0 : report(direct.value()->outcome().error(), globals.output);
}

int list_own_roots(const Globals& globals) {
  const auto body = GatewayClient(globals).ask("GET", "/v1/roots");
  if (!body.ok()) return report(body.error(), globals.output);
  const auto roots = api::parse_roots(body.value());
  if (!roots.ok()) return report(roots.error(), globals.output);
  for (const api::RootState& root : roots.value()) {
    if (globals.output.json) JsonLine("root").text("name", root.name).text("path", to_display(root.path)).number("bytes_free", root.bytes_free).print();
    else std::printf("%-16s  %s  %s free\n", root.name.c_str(), to_display(root.path).c_str(), to_string(Bytes(root.bytes_free)).c_str());
  }
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Globals& globals, Action& action) {
  auto place = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("ls", "List a directory of a peer, or roots");
  verb->footer("  tideway ls wisconsin:ckpt/llm7   what lies there\n"
               "  tideway ls wisconsin:            the roots there of which this site may list or read something\n"
               "  tideway ls                       the roots of this machine's gateway\n");
  verb->add_option("ADDRESS", *place, "PEER:ROOT/PATH, or PEER:")->type_name("");
  add_globals(*verb, globals);
  verb->callback([&globals, &action, place] { action = [&globals, place] { return place->empty() ? list_own_roots(globals) : list(*place, globals); }; });
}

}  // namespace tideway::cli
