// SPDX-License-Identifier: Apache-2.0
//
// A file that is only ever appended to, and that a reader may cut where it finds damage. Nobody but its owner knows what
// stands in it.
// Thread: io worker; it blocks.
#pragma once
#include "storage/rooted_dir.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace tideway::storage {

class AppendLog {
 public:
  AppendLog() = default;
  AppendLog(Descriptor file, uint64_t size) : file_(std::move(file)), size_(size) {}

  uint64_t size() const { return size_; }
  // Fills a prefix of `out` from `offset` and gives its length: fewer at the end, and where it cannot be read.
  size_t read(uint64_t offset, std::span<std::byte> out) const;
  Status cut(uint64_t size);  // to this or less
  // Behind the rest.
  Status write(std::span<const std::byte> bytes);
  Status sync();
  // The same, and onto stable storage before it returns.
  Status append(std::span<const std::byte> bytes);

 private:
  Descriptor file_;
  uint64_t size_ = 0;
};

}  // namespace tideway::storage
