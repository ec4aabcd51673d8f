// SPDX-License-Identifier: Apache-2.0
//
// Where something lies, as a user writes it: `peer:root/path`, or a path on this machine. A local path with a colon in
// its first component is written `./a:b`.
// Pure.
#pragma once
#include <tideway/object_name.h>

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace tideway::session {

enum class Trailing : uint8_t { kPlain, kSlash };  // "into this directory"

struct RemoteAddress {
  std::string peer, root;
  ObjectName name;
  Trailing trailing = Trailing::kPlain;
};
struct LocalAddress {
  std::string path;  // as the user's shell means it
  Trailing trailing = Trailing::kPlain;
};
using Address = std::variant<RemoteAddress, LocalAddress>;

// Errors: usage.
Result<Address> parse_address(std::string_view text);
// `peer:`, which stands for what roots there are, and is no place. Nothing: it is something else.
std::optional<std::string> parse_peer_alone(std::string_view text);
std::string to_display(const RemoteAddress& address);
using tideway::to_display;  // of names and text, which the one above would hide

}  // namespace tideway::session
