// SPDX-License-Identifier: Apache-2.0
#include "engine/entry_keys.h"

#include "base/cursor.h"
#include "digest/leaf_hash.h"

#include <array>

namespace tideway::engine {
namespace {

// Of a directory, so that what changes about it changes nothing about what is in it.
Hash128 path_key(const Hash128& parent, const std::string& name) {
  std::vector<std::byte> input(parent.begin(), parent.end());
  const auto bytes = std::as_bytes(std::span(name));
  input.insert(input.end(), bytes.begin(), bytes.end());
  return digest::leaf_hash(input);
}

}  // namespace

Hash128 EntryKeys::next(const ManifestEntry& entry) {
  while (!way_.empty() && (way_.back().number != entry.parent || entry.number == entry.parent)) way_.pop_back();
  const Hash128 path = path_key(way_.empty() ? Hash128{} : way_.back().path, entry.name);
  if (entry.type == EntryType::kDirectory) way_.push_back({entry.number, path});
  std::array<std::byte, sizeof(Hash128) + 40> input{};
  Writer out(input);
  out.write_bytes(path);
  out.write_u64(static_cast<uint64_t>(entry.type));
  out.write_u64(entry.size.count());
  out.write_u64(entry.mode);
  out.write_u64(static_cast<uint64_t>(entry.mtime_ns));
  out.write_u64(static_cast<uint64_t>(entry.version));
  return digest::leaf_hash(input);
}

}  // namespace tideway::engine
