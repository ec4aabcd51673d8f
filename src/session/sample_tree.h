// SPDX-License-Identifier: Apache-2.0
//
// A small tree of everything that a copy has to carry, and the question whether two trees are alike, asked of the file
// system and of nothing that the copy itself has written.
// Thread: any.
#pragma once
#include <tideway/result.h>
#include <tideway/units.h>

#include <cstdint>
#include <string>

namespace tideway::session {

struct TreeSize {
  uint64_t entries = 0;
  Bytes bytes;
};

// Makes `folder` and in it two files of 64 MiB (one of them half empty), 600 small ones in 20 directories, empty ones,
// links, a program, and names that are no words. Errors: dest_* of the file system.
Result<TreeSize> make_sample_tree(const std::string& folder);

// Names, types, permissions, times (but of links), targets and bytes; what Tideway itself put there apart. Returns how
// much is alike. Errors: hash_mismatch, naming the first entry that differs; source_io.
Result<TreeSize> compare_trees(const std::string& one, const std::string& other);

}  // namespace tideway::session
