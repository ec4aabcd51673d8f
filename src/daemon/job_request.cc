// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_request.h"

#include "session/copy_words.h"

namespace tideway::daemon {

Result<session::Address> parse_place(const std::string& text, const Names& names) {
  const std::string first = text.substr(0, text.find(':'));
  if (names.peers.named(first) != nullptr) return session::parse_address(text);
  auto local = parse_root_place(text);
  if (!local.ok()) return std::move(local).error();
  if (names.roots.find(local.value().root, storage::Side::kSource) == nullptr)
    return Error{Fault::kUsage, "\"" + to_display(first) + "\" is no root and no peer of this gateway", "see tideway peers, and GET /v1/roots"};
  return session::Address(session::LocalAddress{text, text.back() == '/' ? session::Trailing::kSlash : session::Trailing::kPlain});
}

Result<RootPlace> parse_root_place(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == text.npos || colon == 0)
    return Error{Fault::kUsage, '"' + to_display(text.substr(0, 128)) + "\" names no root", "write root:path for a place here, and peer:root/path for one at a peer"};
  auto name = ObjectName::from_text(text.substr(colon + 1));
  if (!name.ok()) return std::move(name).error();
  return RootPlace{std::string(text.substr(0, colon)), std::move(name).value()};
}

Result<session::CopyRequest> request_of(const job::Spec& spec, const Names& names) {
  session::CopyRequest request;
  for (const std::string& source : spec.sources) {
    auto place = parse_place(source, names);
    if (!place.ok()) return std::move(place).error();
    request.sources.push_back(std::move(place).value());
  }
  auto destination = parse_place(spec.destination, names);
  if (!destination.ok()) return std::move(destination).error();
  request.destination = std::move(destination).value();
  const auto options = session::options_from({spec.compress, spec.verify, spec.publish, spec.last, spec.overwrite, spec.resume_verify});
  if (!options.ok()) return options.error();
  request.options = options.value();
  request.options.rate_max = spec.rate_max;
  for (const job::Filter& filter : spec.filters) {
    storage::Filter checked;
    if (Status status = checked.add(storage::Verdict::kInclude, filter.pattern); !status.ok()) return std::move(status).error();
    request.filters.push_back({filter.kind == job::Filter::Kind::kInclude ? messages::FilterKind::kInclude : messages::FilterKind::kExclude, filter.pattern});
  }
  if (spec.only) {
    request.only.emplace();
    for (const std::string& text : *spec.only) {
      auto name = ObjectName::from_text(text);
      if (!name.ok()) return std::move(name).error();
      request.only->push_back(std::move(name).value());
    }
  }
  request.transfer_class = job::to_string(spec.service);
  if (const auto peer = session::peer_of(request); !peer.ok()) return peer.error();
  return request;
}

session::OpenLocal below_roots(const session::Roots& roots) {
  return [&roots](const std::string& path, storage::Side side) -> Result<session::LocalPlace> {
    auto place = parse_root_place(path);
    if (!place.ok()) return std::move(place).error();
    auto root = roots.find(place.value().root, side);
    if (root == nullptr) return Error{Fault::kUsage, "there is no root \"" + place.value().root + '"', "see GET /v1/roots"};
    return session::LocalPlace{std::move(root), std::move(place.value().name), place.value().root};
  };
}

}  // namespace tideway::daemon
