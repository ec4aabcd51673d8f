// SPDX-License-Identifier: Apache-2.0
#include <tideway/object_name.h>

#include <array>
#include <algorithm>
#include <cstdint>

namespace tideway {
namespace {

// The length of the valid UTF-8 sequence at the front of `bytes` that shows as a character, or 0 (RFC 3629).
size_t printable_length(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  if (at(0) < 0x80) return at(0) >= 0x20 && at(0) != 0x7F && at(0) != '\\' ? 1 : 0;
  const size_t length = at(0) >= 0xF0 ? 4 : at(0) >= 0xE0 ? 3 : 2;
  if (at(0) < 0xC2 || at(0) > 0xF4 || bytes.size() < length) return 0;
  uint32_t code = at(0) & (0xFFU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (at(i) & 0x3FU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool control = code < 0xA0 || code == 0x2028 || code == 0x2029 || (code >= 0x202A && code <= 0x202E) ||
                       (code >= 0x2066 && code <= 0x2069);  // C1, separators, direction overrides
  return overlong || control || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF ? 0 : length;
}

Error bad_component(std::string_view component) {
  return {Fault::kProtocolError,
          "a name has the component \"" + to_display(component.substr(0, 64)) +
              "\", which is empty, \".\", \"..\", longer than 255 bytes, or contains \"/\" or NUL",
          "names are made of plain components below a root"};
}

}  // namespace

bool is_component(std::string_view bytes) {
  return !bytes.empty() && bytes.size() <= kNameComponentMax && bytes != "." && bytes != ".." &&
         bytes.find('/') == bytes.npos && bytes.find('\0') == bytes.npos;
}

Result<ObjectName> ObjectName::from_components(std::vector<std::string> components) {
  size_t total = 0;
  for (const std::string& component : components) {
    if (!is_component(component)) return bad_component(component);
    total += component.size();
  }
  if (components.size() > kNameDepthMax || total > kNameBytesMax)
    return Error{Fault::kProtocolError,
                 "a name has " + std::to_string(components.size()) + " components and " + std::to_string(total) +
                     " bytes; at most 256 and 32 KiB are allowed",
                 "use a shorter path"};
  ObjectName name;
  name.components_ = std::move(components);
  return name;
}

Result<ObjectName> ObjectName::from_text(std::string_view text) {
  std::vector<std::string> components;
  for (size_t from = 0; from <= text.size();) {
    const size_t slash = std::min(text.find('/', from), text.size());
    const std::string_view part = text.substr(from, slash - from);
    from = slash + 1;
    if (part.empty() || part == ".") continue;
    if (!is_component(part))
      return Error{Fault::kUsage,
                   "the path \"" + to_display(text.substr(0, 256)) + "\" has the component \"" +
                       to_display(part.substr(0, 64)) + "\", which may not appear below a root",
                   "write the path below the root without \"..\""};
    components.emplace_back(part);
  }
  auto name = from_components(std::move(components));
  if (!name.ok()) return Error{Fault::kUsage, name.error().what, name.error().next};
  return name;
}

ObjectName ObjectName::parent() const {
  ObjectName shorter = *this;
  if (!shorter.components_.empty()) shorter.components_.pop_back();
  return shorter;
}

Result<ObjectName> ObjectName::child(std::string_view component) const {
  std::vector<std::string> components = components_;
  components.emplace_back(component);
  return from_components(std::move(components));
}

bool ObjectName::starts_with(const ObjectName& prefix) const {
  return prefix.components_.size() <= components_.size() &&
         std::equal(prefix.components_.begin(), prefix.components_.end(), components_.begin());
}

std::string to_display(std::string_view bytes) {
  static constexpr std::array kHex = {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
  std::string shown;
  while (!bytes.empty()) {
    const size_t length = printable_length(bytes);
    if (length > 0) {
      shown += bytes.substr(0, length);
      bytes.remove_prefix(length);
      continue;
    }
    const auto byte = static_cast<uint8_t>(bytes.front());
    shown += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    bytes.remove_prefix(1);
  }
  return shown;
}

std::string to_display(const ObjectName& name) {
  std::string shown;
  for (const std::string& component : name.components()) {
    if (!shown.empty()) shown += '/';
    shown += to_display(component);
  }
  return shown;
}

}  // namespace tideway
