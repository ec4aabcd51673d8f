// SPDX-License-Identifier: Apache-2.0
//
// Turns a parsed protobuf into a checked struct, field by field. The first field that is wrong is remembered and the
// rest still runs (every loop is bounded by the body's cap), so a parse function reads as a list of its fields.
// For src/messages only.
// Pure.
#pragma once
#include "messages/session_messages.h"
#include <tideway/object_name.h>

#include <algorithm>
#include <cstring>

namespace tideway::messages {

bool is_word(std::string_view text);  // 1 to kWordMax bytes of [a-z0-9_.-]
// Whether a terminal may be shown this as it is: escapes written by to_display included.
bool is_printable(std::string_view text);
// Escaped, and cut to kDetailMax.
std::string to_detail(std::string_view text);
std::string encode_name(const ObjectName& name);
bool is_root_name(std::string_view text);  // as in OpenTransfer

class FieldCheck {
 public:
  explicit FieldCheck(MessageType type) : type_(type) {}

  // Parses the body. `fields_max` bounds the fields it may have before any of them becomes an object in memory.
  template <typename Proto>
  bool read(Body body, Proto& message, size_t fields_max = kFieldsMax) {
    return admit(body, fields_max) &&
           require(message.ParseFromArray(body.data(), static_cast<int>(body.size())), "body", "does not parse");
  }

  bool require(bool is_right, std::string_view field, std::string_view why);

  template <size_t kSize>
  void copy(const std::string& from, std::array<std::byte, kSize>& to, std::string_view field) {
    if (require(from.size() == kSize, field, "has the wrong length")) std::memcpy(to.data(), from.data(), kSize);
  }
  // An enum numbered from 1 without gaps.
  template <typename Enum>
  Enum choice(uint32_t number, Enum last, std::string_view field) {
    const bool is_known = number >= 1 && number <= static_cast<uint32_t>(last);
    require(is_known, field, "has an unknown value");
    return is_known ? static_cast<Enum>(number) : last;
  }
  uint16_t narrow(uint32_t number, std::string_view field) {
    require(number <= 0xFFFF, field, "is above 65535");
    return static_cast<uint16_t>(number);
  }
  enum class Empty : uint8_t { kRefused, kAllowed };
  std::string word(const std::string& text, std::string_view field, Empty empty = Empty::kRefused);
  std::string detail(const std::string& text, std::string_view field);
  ObjectName name(const std::string& encoded, std::string_view field);

  bool ok() const { return !failure_; }
  template <typename Message>
  Result<Message> finish(Message message) {
    if (failure_) return *std::move(failure_);
    return message;
  }
  Error take_failure() { return *std::move(failure_); }

 private:
  static constexpr size_t kFieldsMax = 8192;  // above the longest list of any message
  bool admit(Body body, size_t fields_max);

  MessageType type_;
  std::optional<Error> failure_;
};

template <typename Proto>
std::string to_body(MessageType type, const Proto& message) {
  std::string body = message.SerializeAsString();
  TIDEWAY_CHECK(body.size() <= body_max(type));
  return body;
}

template <size_t kSize>
std::string to_text(const std::array<std::byte, kSize>& bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), kSize);
}

}  // namespace tideway::messages
