// SPDX-License-Identifier: Apache-2.0
#include "transfer/ahead_name.h"

#include <charconv>
#include <cstdio>

namespace tideway::transfer {
namespace {

constexpr size_t kHexDigits = 8, kPathAt = 2 * (kHexDigits + 1);  // "0000002a-00000100-" and the path
constexpr size_t kNameMax = 255;
constexpr std::string_view kSlash = "%2F", kPercent = "%25";

std::optional<uint32_t> read_hex(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string path;
  while (!text.empty()) {
    const bool is_slash = text.starts_with(kSlash), is_percent = text.starts_with(kPercent);
    if (!is_slash && !is_percent && text.front() == '%') return std::nullopt;
    path += is_slash ? '/' : text.front();
    text.remove_prefix(is_slash || is_percent ? kSlash.size() : 1);
  }
  return path;
}

}  // namespace

std::optional<std::string> ahead_name(const AheadPart& part) {
  char head[kPathAt + 1];
  std::snprintf(head, sizeof head, "%08x-%08x-", part.number, part.leaf);
  std::string name = head;
  for (const std::string& component : part.path.components()) {
    if (name.size() > kPathAt) name += kSlash;
    for (const char byte : component) {
      if (byte == '%') name += kPercent;
      else name += byte;
    }
  }
  if (name.size() > kNameMax) return std::nullopt;
  return name;
}

std::optional<AheadPart> parse_ahead_name(std::string_view name) {
  if (name.size() < kPathAt || name[kHexDigits] != '-' || name[kPathAt - 1] != '-') return std::nullopt;
  const auto number = read_hex(name.substr(0, kHexDigits)), leaf = read_hex(name.substr(kHexDigits + 1, kHexDigits));
  const auto text = unescape(name.substr(kPathAt));
  if (!number || !leaf || !text) return std::nullopt;
  auto path = ObjectName::from_text(*text);
  if (!path.ok()) return std::nullopt;
  return AheadPart{*number, *leaf, std::move(path).value()};
}

}  // namespace tideway::transfer
