// SPDX-License-Identifier: Apache-2.0
//
// Asks the CPU for lines of memory that another core or a device had last, or that lie in no cache, while something else is worked on.
// A line too many is harmless: asking never faults.
//
// Functions that only ask are TIDEWAY_ASKS, inline by order: GCC 12 takes one for a function without effect, and leaves its calls out.
// Thread: any. Pure.
#pragma once
#include <cstddef>
#include <span>

#define TIDEWAY_ASKS [[gnu::always_inline]] inline

namespace tideway {

inline constexpr size_t kCacheLine = 64;

TIDEWAY_ASKS void ask_to_read(std::span<const std::byte> bytes) {
  for (size_t at = 0; at < bytes.size(); at += kCacheLine) __builtin_prefetch(bytes.data() + at, 0);
}

TIDEWAY_ASKS void ask_to_write(std::span<const std::byte> bytes) {
  for (size_t at = 0; at < bytes.size(); at += kCacheLine) __builtin_prefetch(bytes.data() + at, 1);
}

}  // namespace tideway
