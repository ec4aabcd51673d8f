// SPDX-License-Identifier: Apache-2.0
//
// What went ahead of a transfer while its source was still being written, as its sink has it: in the staging of a transfer that never ended
// (transfer/ahead_name.h). It is offered to the source as the leaves of a base are (engine/base_tree.h), read here and hashed again. It goes
// when the transfer has published, else with what a sweep removes.
// Thread: io worker; it blocks, for one leaf at a time.
#pragma once
#include "messages/transfer_messages.h"
#include "storage/staging.h"
#include <tideway/object_store.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace tideway::engine {

inline constexpr size_t kAheadPartsMax = 65'536;  // at the sink as at the source: what is more crosses at the end

class AheadParts {
 public:
  // Nothing: nothing of use is there, which is no error. Locks it.
  static std::optional<AheadParts> find(const std::shared_ptr<const storage::RootedDir>& root, const TransferId& id);
  bool has(const std::string& path) const { return !is_given_up_ && files_.contains(path); }
  // What there is of a file, the entry with this path, goes into `runs`.
  void offer(const ManifestEntry& entry, const std::string& path, std::vector<messages::BaseRun>& runs);
  bool has(ObjectId object) const { return offered_.contains(object); }
  // A leaf of a file that was offered. False: it cannot be read.
  bool read(ObjectId object, uint32_t leaf, std::span<std::byte> bytes);
  Status remove() { return is_given_up_ ? success() : staging_.remove(); }
  // The room that they take; and to give it up. What was offered of them cannot be read then, and is asked for.
  Result<Bytes> allocated() const { return staging_.allocated(); }
  Status give_up();

 private:
  struct Part {
    uint32_t leaf = 0, leaves = 0;  // of the file
    ObjectId object;                // that has them in staging
    uint64_t first_leaf = 0;        // of those hashes
  };
  explicit AheadParts(storage::Staging staging) : staging_(std::move(staging)) {}
  bool read_parts();

  storage::Staging staging_;
  std::map<std::string, std::vector<Part>> files_;
  std::unordered_map<ObjectId, const std::vector<Part>*> offered_;
  std::optional<ObjectId> opened_;
  Descriptor file_;
  bool is_given_up_ = false;
};

}  // namespace tideway::engine
