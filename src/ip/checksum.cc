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

// Halves of 32 bits in eight sums of 64 bits: no carry between steps, so compilers turn it into vector adds. A span holds
// far fewer than 2^32 words, so no sum overflows.
uint64_t sum_blocks(const std::byte* at, size_t blocks) {
  uint64_t sums[8] = {};
  for (size_t block = 0; block < blocks; ++block, at += 32) {
    uint32_t words[8];
    std::memcpy(words, at, sizeof words);
    for (size_t i = 0; i < 8; ++i) sums[i] += words[i];
  }
  uint64_t folded = 0;  // 33 bits of each at most, and eight of those
  for (const uint64_t sum : sums) folded += (sum & UINT32_MAX) + (sum >> 32);
  return folded;
}

}  // namespace

Checksum& Checksum::add(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  if (left >= 32) {
    accumulate(sum_blocks(at, left / 32));
    at += left / 32 * 32;
    left %= 32;
  }
  for (; left >= 8; left -= 8, at += 8) accumulate(load<uint64_t>(at));
  if (left == 0) return *this;
  uint64_t tail = 0;
  std::memcpy(&tail, at, left);
  accumulate(tail);
  return *this;
}

Checksum& Checksum::add_u16(uint16_t word) {
  accumulate(to_wire_order(word));
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
