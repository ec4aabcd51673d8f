// SPDX-License-Identifier: Apache-2.0
//
// When a transfer goes past the page cache, and what counts as zeros.
// Thread: any. Pure.
#pragma once
#include <tideway/units.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace tideway::storage {

enum class DirectIo : uint8_t { kAuto, kOff };  // kAuto: for large files, where the file system has it

inline constexpr uint64_t kDirectAlignment = 4096;  // enough for every device we know; others answer EINVAL, then buffered
inline constexpr Bytes kDirectSizeMin = 64_MiB;     // smaller files gain more from the page cache than from its absence

inline bool is_direct_aligned(uint64_t offset, std::span<const std::byte> bytes) {
  const auto address = reinterpret_cast<uintptr_t>(bytes.data());
  return (offset | bytes.size() | address) % kDirectAlignment == 0;
}

inline bool is_all_zero(std::span<const std::byte> bytes) {
  // Each byte equals the one before it, and the first is zero; memcmp stops at the first difference.
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace tideway::storage
