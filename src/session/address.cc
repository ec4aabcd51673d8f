// SPDX-License-Identifier: Apache-2.0
#include "session/address.h"

namespace tideway::session {

Result<Address> parse_address(std::string_view text) {
  if (text.empty()) return Error{Fault::kUsage, "an address is empty", "write peer:root/path or a local path"};
  const Trailing trailing = text.back() == '/' ? Trailing::kSlash : Trailing::kPlain;
  const std::string_view first = text.substr(0, text.find('/'));
  const size_t colon = first.find(':');
  if (colon == first.npos) return Address(LocalAddress{std::string(text), trailing});
  const std::string_view below = text.substr(colon + 1);
  const size_t slash = std::min(below.find('/'), below.size());
  RemoteAddress remote{.peer = std::string(text.substr(0, colon)), .root = std::string(below.substr(0, slash)), .name = {}, .trailing = trailing};
  if (!remote.peer.empty() && remote.root.empty())
    return Error{Fault::kUsage, '"' + to_display(text) + "\" names no root", "write " + to_display(std::string_view(remote.peer)) + ":ROOT/PATH; tideway ls " + to_display(std::string_view(remote.peer)) + ": says which roots there are for you"};
  if (remote.peer.empty())
    return Error{Fault::kUsage, '"' + to_display(text) + "\" names no peer",
                 "write peer:root/path, or ./" + std::string(first) + " for a local name with a colon"};
  auto name = ObjectName::from_text(below.substr(slash));
  if (!name.ok()) return std::move(name).error();
  remote.name = std::move(name).value();
  return Address(std::move(remote));
}

std::optional<std::string> parse_peer_alone(std::string_view text) {
  const size_t colon = text.find_first_of(":/");
  if (colon == 0 || colon == text.npos || text[colon] != ':' || colon + 1 != text.size()) return std::nullopt;
  return std::string(text.substr(0, colon));
}

std::string to_display(const RemoteAddress& address) {
  std::string text = address.peer + ':' + address.root;
  if (!address.name.is_root()) text += '/' + to_display(address.name);
  return text;
}

}  // namespace tideway::session
