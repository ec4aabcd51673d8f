// SPDX-License-Identifier: Apache-2.0
//
// What a sink does instead of publishing when it mends a tree that was published before. The peer's copy has to be the same
// tree: its entries are compared with the stored manifest as they come, and its root in the end. What is good here counts as
// held, so that only damaged leaves cross. They go into a copy of their file in staging; when all of that copy agrees with the
// stored hashes, as the device gives it back, it takes the damaged file's place by one rename. Nothing is ever patched in
// place, and a file without damage is not touched.
//
// Each file is mended by itself, so a repair that stops may be run again.
// Thread: io worker, the transfer's home; it blocks.
#pragma once
#include "engine/durable_log.h"
#include "storage/device_read.h"
#include "storage/stored_manifest.h"
#include "transfer/receiver.h"

#include <map>
#include <memory>
#include <set>
#include <vector>

namespace tideway::engine {

struct RepairOrder {
  storage::StoredManifest manifest;
  ObjectName place;                                      // of entry 0, below the sink's root
  std::map<ObjectId, std::vector<uint32_t>> damaged;     // leaves, ascending
};

class Repair {
 public:
  explicit Repair(std::shared_ptr<const RepairOrder> order)
      : order_(std::move(order)), stored_(order_->manifest.pages()) {}

  // The next entry of the peer's copy. Of a damaged file, lays what is good of it into staging. Errors: manifest_mismatch, when
  // it is not the same tree.
  Result<transfer::Existing> take_entry(const ManifestEntry& entry, storage::Staging& staging);
  void held(const ManifestEntry& entry, const transfer::TakeLeaves& take) const;
  // All of it has arrived and is synced: puts the mended files into place. Errors: manifest_mismatch, hash_mismatch (nothing of
  // that file was replaced), verify_unavailable, and those of the file system.
  Status finish(const Hash256& root, storage::Staging& staging);

 private:
  struct Damaged {
    ManifestEntry entry;
    ObjectName name;  // below the root
  };
  const std::vector<uint32_t>* damage_of(ObjectId id) const;
  Result<ObjectName> name_of(const ManifestEntry& entry);
  Status lay_out(const Damaged& damaged, const std::vector<uint32_t>& bad, storage::Staging& staging) const;
  Status check(const Damaged& damaged, int fd);
  Status replace(const Damaged& damaged, storage::Staging& staging);

  std::shared_ptr<const RepairOrder> order_;
  FormerEntries stored_;
  struct Open { ObjectId number; ObjectName name; };
  std::vector<Open> open_;  // directories from entry 0 down
  std::vector<Damaged> damaged_;
  storage::DeviceReader device_;
};

}  // namespace tideway::engine
