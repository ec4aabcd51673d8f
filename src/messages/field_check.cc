// SPDX-License-Identifier: Apache-2.0
#include "messages/field_check.h"

#include "base/cursor.h"

namespace tideway::messages {
namespace {

// protobuf's own variable-length integers: seven bits a byte, lowest first.
std::optional<uint64_t> read_base128(Reader& in) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = in.read_u8();
    if (!byte) return std::nullopt;
    value |= static_cast<uint64_t>(*byte & 0x7F) << shift;
    if (*byte < 0x80) return value;
  }
  return std::nullopt;
}

// How many fields a protobuf message has at its top; nothing when it is malformed. A field of two bytes can become an
// object of a hundred, so this is known before the library makes any.
std::optional<size_t> count_fields(Body body) {
  Reader in(body);
  size_t fields = 0;
  for (; !in.is_empty(); ++fields) {
    const auto tag = read_base128(in);
    if (!tag) return std::nullopt;
    bool is_whole = false;
    switch (*tag & 7) {
      case 0: is_whole = read_base128(in).has_value(); break;
      case 1: is_whole = in.read_u64().has_value(); break;
      case 5: is_whole = in.read_u32().has_value(); break;
      case 2: {
        const auto size = read_base128(in);
        is_whole = size && in.read_bytes(*size);
        break;
      }
      default: break;  // groups are obsolete and none of ours
    }
    if (!is_whole) return std::nullopt;
  }
  return fields;
}

}  // namespace

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kWordMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  });
}

bool is_printable(std::string_view text) {
  std::string plain(text);
  std::erase(plain, '\\');
  return to_display(plain) == plain;
}

std::string to_detail(std::string_view text) {
  std::string shown = is_printable(text) ? std::string(text) : to_display(text);
  if (shown.size() <= kDetailMax) return shown;
  size_t end = kDetailMax;
  while (end > 0 && (static_cast<uint8_t>(shown[end]) & 0xC0) == 0x80) --end;  // not within a character
  shown.resize(end);
  return shown;
}

std::string encode_name(const ObjectName& name) {
  std::string encoded;
  for (const std::string& component : name.components()) {
    encoded += static_cast<char>(component.size());
    encoded += component;
  }
  return encoded;
}

bool FieldCheck::admit(Body body, size_t fields_max) {
  if (!require(body.size() <= body_max(type_), "body", "is too long")) return false;
  const auto fields = count_fields(body);
  return require(fields.has_value(), "body", "does not parse") &&
         require(*fields <= fields_max, "body", "has too many fields");
}

bool FieldCheck::require(bool is_right, std::string_view field, std::string_view why) {
  if (is_right || failure_) return is_right;
  failure_ = Error{Fault::kProtocolError,
                   "message " + std::string(name_of(type_)) + ": " + std::string(field) + " " + std::string(why),
                   "check that both gateways run a released version of Tideway"};
  return false;
}

std::string FieldCheck::word(const std::string& text, std::string_view field, Empty empty) {
  const bool is_right = is_word(text) || (text.empty() && empty == Empty::kAllowed);
  return require(is_right, field, "is not 1 to 64 characters of a-z, 0-9, _, . and -") ? text : std::string();
}

std::string FieldCheck::detail(const std::string& text, std::string_view field) {
  return require(text.size() <= kDetailMax, field, "is longer than 512 bytes") &&
                 require(is_printable(text), field, "has characters that must be escaped")
             ? text
             : std::string();
}

ObjectName FieldCheck::name(const std::string& encoded, std::string_view field) {
  Reader in(std::as_bytes(std::span(encoded)));
  std::vector<std::string> components;
  while (!in.is_empty() && components.size() <= kNameDepthMax) {
    const auto size = in.read_u8();
    const auto bytes = in.read_bytes(*size);
    if (!require(bytes.has_value(), field, "is cut off")) return {};
    components.emplace_back(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  }
  auto name = ObjectName::from_components(std::move(components));
  if (name.ok()) return std::move(name).value();
  require(false, field, "is refused: " + name.error().what);
  return {};
}

}  // namespace tideway::messages
