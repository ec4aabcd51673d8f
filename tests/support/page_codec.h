// SPDX-License-Identifier: Apache-2.0
//
// A page format of the tests' own, so that storage can be tested without messages/.
#pragma once
#include "base/cursor.h"
#include <tideway/object_store.h>

#include <span>
#include <string>
#include <vector>

namespace tideway {

inline std::vector<std::byte> encode_page(std::span<const ManifestEntry> entries) {
  size_t size = 0;
  for (const auto& entry : entries) size += 49 + entry.name.size() + entry.link_target.size();
  std::vector<std::byte> bytes(size);
  Writer out(bytes);
  const auto write_text = [&](const std::string& text) {
    out.write_u32(static_cast<uint32_t>(text.size()));
    out.write_bytes(std::as_bytes(std::span(text)));
  };
  for (const auto& entry : entries) {
    out.write_u32(entry.number.value());
    out.write_u32(entry.parent.value());
    write_text(entry.name);
    out.write_u8(static_cast<uint8_t>(entry.type));
    out.write_u64(entry.size.count());
    out.write_u32(entry.mode);
    out.write_u64(static_cast<uint64_t>(entry.mtime_ns));
    out.write_u64(entry.first_leaf);
    write_text(entry.link_target);
    out.write_u32(0);
  }
  return bytes;
}

inline Result<std::vector<ManifestEntry>> decode_page(std::span<const std::byte> page) {
  Reader in(page);
  const auto read_text = [&] {
    const auto text = in.read_bytes(in.read_u32().value_or(0)).value_or(std::span<const std::byte>());
    return std::string(reinterpret_cast<const char*>(text.data()), text.size());
  };
  std::vector<ManifestEntry> entries;
  while (!in.is_empty()) {
    ManifestEntry entry;
    entry.number = ObjectId(in.read_u32().value_or(0));
    entry.parent = ObjectId(in.read_u32().value_or(0));
    entry.name = read_text();
    entry.type = static_cast<EntryType>(in.read_u8().value_or(0));
    entry.size = Bytes(in.read_u64().value_or(0));
    entry.mode = in.read_u32().value_or(0);
    entry.mtime_ns = static_cast<int64_t>(in.read_u64().value_or(0));
    entry.first_leaf = in.read_u64().value_or(0);
    entry.link_target = read_text();
    if (!in.read_u32()) return Error{Fault::kManifestMismatch, "cut page", ""};
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace tideway
