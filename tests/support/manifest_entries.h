// SPDX-License-Identifier: Apache-2.0
//
// Entries of a manifest, for tests that make trees of their own.
#pragma once
#include <tideway/object_store.h>

#include <string>
#include <utility>

namespace tideway::test {

inline constexpr int64_t kEntryTime = 1'700'000'000'123'456'789;  // no whole microsecond

// `parent`: of entry 0, itself.
inline ManifestEntry entry_of(uint32_t number, uint32_t parent, std::string name, EntryType type = EntryType::kFile) {
  ManifestEntry entry;
  entry.number = ObjectId(number);
  entry.parent = ObjectId(parent);
  entry.name = std::move(name);
  entry.type = type;
  entry.mode = type == EntryType::kDirectory ? 0755 : 0644;
  entry.mtime_ns = kEntryTime;
  return entry;
}

}  // namespace tideway::test
