// SPDX-License-Identifier: Apache-2.0
#include "ip/checksum.h"

#include <bit>
#include <cstring>

namespace tideway::ip {
namespace {

template <typename T>
T load(const std::byte* from) {
  T word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

constexpr uint16_t swap_bytes(uint16_t word) { return static_cast<uint16_t>(word << 8 | word >> 8); }
constexpr uint16_t to_wire_order(uint16_t word) {
  return std::endian::native == std::endian::little ? swap_bytes(word) : word;
}

struct Sums {
  uint64_t a = 0, b = 0, c = 0, d = 0;
};
inline void add_with_carry(uint64_t& sum, uint64_t word) {
  sum += word;
  sum += sum < word ? 1 : 0;
}

// Four sums side by side, because each waits for its own carry.
Sums sum_blocks(const std::byte* at, size_t blocks) {
  Sums sums;
  for (; blocks > 0; --blocks, at += 32) {
    add_with_carry(sums.a, load<uint64_t>(at));
    add_with_carry(sums.b, load<uint64_t>(at + 8));
    add_with_carry(sums.c, load<uint64_t>(at + 16));
    add_with_carry(sums.d, load<uint64_t>(at + 24));
  }
  return sums;
}

}  // namespace

Checksum& Checksum::add(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  if (left >= 32) {
    const Sums sums = sum_blocks(at, left / 32);
    for (const uint64_t sum : {sums.a, sums.b, sums.c, sums.d}) add_with_carry(sum_, sum);
    at += left / 32 * 32;
    left %= 32;
  }
  for (; left >= 8; left -= 8, at += 8) add_with_carry(sum_, load<uint64_t>(at));
  if (left == 0) return *this;
  uint64_t tail = 0;
  std::memcpy(&tail, at, left);
  add_with_carry(sum_, tail);
  return *this;
}

Checksum& Checksum::add_u16(uint16_t word) {
  add_with_carry(sum_, to_wire_order(word));
  return *this;
}

uint16_t Checksum::sum() const {
  uint64_t sum = (sum_ & UINT32_MAX) + (sum_ >> 32);
  while (sum >> 16 != 0) sum = (sum & UINT16_MAX) + (sum >> 16);
  return to_wire_order(static_cast<uint16_t>(sum));
}

Checksum checksum_of(const PseudoHeader& pseudo) {
  Checksum checksum;
  checksum.add(wire_bytes(pseudo.from)).add(wire_bytes(pseudo.to));
  // The zeros between, and the upper half of IPv6's longer length, add nothing.
  checksum.add_u16(pseudo.protocol).add_u16(static_cast<uint16_t>(pseudo.size));
  return checksum;
}

}  // namespace tideway::ip
