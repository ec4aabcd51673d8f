// SPDX-License-Identifier: Apache-2.0
//
// Reading what the device holds, and not what the page cache remembers of it: a copy that is compared with itself proves
// nothing. Direct I/O does it where a file system has it; else the pages of a range that is synced are dropped first, and
// the kernel has to say that none is left.
//
// Which of the two works below a root is tried out on a file without a name, because some file systems take direct I/O
// and answer from memory all the same.
// Thread: any; find_device_reads and drop_cached block.
#pragma once
#include "storage/rooted_dir.h"

#include <cstddef>
#include <span>

namespace tideway::storage {

enum class DeviceReads : uint8_t { kDirect, kAfterDrop };

// Errors: verify_unavailable, when neither works below `root`, and those of the file system.
Result<DeviceReads> find_device_reads(const RootedDir& root);

// Reads files that stand where they are. Direct I/O is trusted once it was seen to leave nothing in the cache.
class DeviceReader {
 public:
  enum class Outcome : uint8_t { kRead, kFailed, kFromCache };  // failed: an error, or the file ends before
  // `bytes` begins at a multiple of 4096, as does `offset`, and up to the next one behind its end is room, too. Nobody else may
  // use the descriptor meanwhile.
  Outcome read(int fd, uint64_t offset, std::span<std::byte> bytes);

 private:
  bool is_direct_trusted_ = false;
};

// Makes the kernel forget the pages of a range that is on stable storage. False: some of them are still there.
bool drop_cached(int fd, uint64_t offset, uint64_t length);

// Of `shown`: its file system or device does not let us past the cache (any more).
Error no_device_reads(const std::string& shown);

}  // namespace tideway::storage
