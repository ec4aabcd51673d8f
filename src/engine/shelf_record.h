// SPDX-License-Identifier: Apache-2.0
//
// What the index of a shelf says of one object: which of its leaves are on stable storage. Big-endian: key (16), boot (16), u32
// runs; for each of them u32 first leaf, u32 count, hashes (16 each).
// Pure.
#pragma once
#include "base/cursor.h"
#include <tideway/ids.h>

#include <optional>
#include <span>
#include <vector>

namespace tideway::engine {

inline constexpr uint64_t kShelvedLeavesMax = 1 << 20;  // of one object, 4 TiB: 16 MB of hashes

struct ShelvedRun {
  uint32_t first = 0;
  std::vector<Hash128> hashes;
  bool operator==(const ShelvedRun&) const = default;
};
struct ShelvedObject {
  Hash128 key{};
  Hash128 boot{};  // of the host when these were last known to be sound; zeros: nobody has looked since an earlier one
  std::vector<ShelvedRun> runs;  // ascending, apart from each other
  bool operator==(const ShelvedObject&) const = default;
};

inline constexpr size_t kShelvedHead = 2 * sizeof(Hash128) + 4, kShelvedRunHead = 8;
inline constexpr size_t kShelvedBodyMax = kShelvedHead + kShelvedLeavesMax * (sizeof(Hash128) + kShelvedRunHead);

size_t shelved_size(const ShelvedObject& object);  // bytes of it there
void write_shelved(Writer& out, const ShelvedObject& object);
std::optional<ShelvedObject> parse_shelved(std::span<const std::byte> body);  // nothing: it is none

}  // namespace tideway::engine
