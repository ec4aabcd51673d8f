// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/zip_directory.h"

#include <cstdint>

namespace tideway::checkpoint {
namespace {

constexpr uint64_t kEndSize = 22, kLocatorSize = 20, kEnd64Size = 56;
constexpr uint64_t kEndMark = 0x06054b50, kLocatorMark = 0x07064b50, kEnd64Mark = 0x06064b50;

// `size` bytes at `at`, little-endian. The caller has looked at the length.
uint64_t number(std::string_view bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i > 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[at + i - 1]);
  return value;
}

// A directory of at least one entry that ends where its end record begins.
bool is_directory(uint64_t offset, uint64_t size, uint64_t ends_at) { return size > 0 && size <= ends_at && offset == ends_at - size; }

}  // namespace

bool ends_as_zip(std::string_view tail, Bytes file_size) {
  if (tail.size() < kEndSize || tail.size() > file_size.count()) return false;
  const std::string_view end = tail.substr(tail.size() - kEndSize);
  if (number(end, 0, 4) != kEndMark || number(end, 20, 2) != 0) return false;  // a comment would follow
  const uint64_t end_at = file_size.count() - kEndSize;
  const size_t records = kEnd64Size + kLocatorSize;
  const bool has_locator = tail.size() >= records + kEndSize && number(tail, tail.size() - kEndSize - kLocatorSize, 4) == kLocatorMark;
  if (!has_locator) return is_directory(number(end, 16, 4), number(end, 12, 4), end_at);
  const std::string_view end64 = tail.substr(tail.size() - kEndSize - records);
  const uint64_t end64_at = end_at - records;
  if (number(end64, 0, 4) != kEnd64Mark || number(end64, kEnd64Size + 8, 8) != end64_at) return false;
  return is_directory(number(end64, 48, 8), number(end64, 40, 8), end64_at);
}

}  // namespace tideway::checkpoint
