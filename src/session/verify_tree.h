// SPDX-License-Identifier: Apache-2.0
//
// Reads a published tree again and compares it, leaf by leaf, with the manifest that was stored when it was published.
// Needs no peer and no configuration: the manifest lies at the top of the tree, or among those of the root it is in.
// Thread: any.
#pragma once
#include <tideway/ids.h>
#include <tideway/result.h>
#include <tideway/units.h>

#include <string>
#include <vector>

namespace tideway::session {

inline constexpr size_t kDifferencesMax = 1000;  // listed; the rest is counted

struct Difference {
  std::string path;  // below the tree, for display
  std::string what;
};

struct VerifyReport {
  Hash256 root{};  // as stored
  uint64_t entries = 0, kept = 0, differences_seen = 0;
  Bytes bytes;     // read and hashed
  std::vector<Difference> differences;
  bool is_good() const { return differences_seen == 0; }
};

// `path` is a directory or file. Errors: source_missing (there is no manifest for it), manifest_mismatch (the manifest
// itself is damaged), source_io.
Result<VerifyReport> verify_tree(const std::string& path);

}  // namespace tideway::session
