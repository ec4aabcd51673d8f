// SPDX-License-Identifier: Apache-2.0
//
// Reads a published tree again and compares it, leaf by leaf, with the manifest that was stored when it was published.
// Needs no peer and no configuration: the manifest lies at the top of the tree, or among those of the root it is in.
// Thread: any.
#pragma once
#include "crypto/root_signer.h"
#include "session/roots.h"
#include "storage/stored_manifest.h"
#include <tideway/ids.h>
#include <tideway/result.h>
#include <tideway/units.h>

#include <functional>
#include <string>
#include <vector>

namespace tideway::session {

inline constexpr size_t kDifferencesMax = 1000;  // listed; the rest is counted

struct Difference {
  std::string path;  // below the tree, for display
  std::string what;
};

// Leaves of a file that differ from what the stored manifest says, or all of it when it is missing or has another size.
struct DamagedFile {
  ManifestEntry entry;
  ObjectName name;  // below what was verified
  std::vector<uint32_t> leaves;
};

struct VerifyReport {
  Hash256 root{};  // as stored
  uint64_t entries = 0, kept = 0, differences_seen = 0;
  Bytes bytes;     // read and hashed
  std::vector<Difference> differences;
  std::string signed_by;  // site; empty: nobody
  uint64_t not_listed = 0;    // what is there, and not in the manifest
  uint64_t beside = 0;        // of that: at the top of a tree that came into a directory, which may have others of its own
  std::string not_listed_in;  // the first directory that has some, for display; the top comes last
  bool is_good() const { return differences_seen == 0; }
};

enum class ReadFrom : uint8_t { kCache, kDevice };  // kDevice: what the page cache remembers is passed by

struct VerifyHow {
  ReadFrom from = ReadFrom::kCache;
  const crypto::RootChecker* signer = nullptr;                // has to have signed it, and nothing else is in it but what is beside
  std::function<void(Bytes)> on_progress = {};                // so much was read and hashed
  std::function<void(const DamagedFile&)> on_damaged = {};    // in the order of the manifest
};

// `path` is a directory or file. Errors: source_missing (there is no manifest for it), manifest_mismatch (the manifest
// itself is damaged, or not signed as it should be), source_io, verify_unavailable (it cannot be read from the device).
Result<VerifyReport> verify_tree(const std::string& path, const VerifyHow& how = {});

// Where the manifest of `path` is, and what it is about.
struct StoredTree {
  storage::StoredManifest manifest;
  RootPtr dir;      // entry 0 is at `name` below it
  ObjectName name;
  std::string host;  // where that directory is on this machine
  enum class Form : uint8_t { kNewTree, kIntoDirectory } form;  // into one, directories that stood there kept their modes
};
Result<StoredTree> find_stored_tree(const std::string& path);

}  // namespace tideway::session
