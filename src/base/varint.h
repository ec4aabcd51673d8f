// SPDX-License-Identifier: Apache-2.0
//
// Variable-length integers of QUIC (RFC 9000, section 16): 1, 2, 4 or 8 bytes, values below 2^62.
// Pure.
#pragma once
#include "base/cursor.h"

namespace tideway {

inline constexpr uint64_t kVarintMax = (uint64_t{1} << 62) - 1;

constexpr size_t varint_size(uint64_t value) {
  return value < 64 ? 1 : value < 16384 ? 2 : value < (1U << 30) ? 4 : 8;
}

// `value` is at most kVarintMax.
inline void write_varint(Writer& out, uint64_t value) {
  TIDEWAY_CHECK(value <= kVarintMax);
  switch (varint_size(value)) {
    case 1: return out.write_u8(static_cast<uint8_t>(value));
    case 2: return out.write_u16(static_cast<uint16_t>(value | 0x4000));
    case 4: return out.write_u32(static_cast<uint32_t>(value | 0x8000'0000));
    default: return out.write_u64(value | 0xC000'0000'0000'0000);
  }
}

inline std::optional<uint64_t> read_varint(Reader& in) {
  const auto first = in.read_u8();
  if (!first) return std::nullopt;
  uint64_t value = *first & 0x3F;
  for (int more = (1 << (*first >> 6)) - 1; more > 0; --more) {
    const auto next = in.read_u8();
    if (!next) return std::nullopt;
    value = value << 8 | *next;
  }
  return value;
}

}  // namespace tideway
