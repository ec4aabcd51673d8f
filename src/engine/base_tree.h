// SPDX-License-Identifier: Apache-2.0
//
// The base of a transfer at its sink: the newest checkpoint that was published beside the destination. Of a file with the same name in
// it the source is told the hashes that were stored when it was published; a leaf that the source finds to be the same is read here, hashed
// again, and copied, by reflink where the file system can, instead of crossing. So nothing is ever taken from a hash alone, and a base that
// was changed since costs a leaf that is sent after all.
//
// It is kept from being removed while it is in use (storage/published.h).
// Thread: io worker; it blocks, for one leaf at a time.
#pragma once
#include "messages/transfer_messages.h"
#include "storage/stored_manifest.h"
#include <tideway/object_store.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace tideway::engine {

inline constexpr size_t kBaseFilesMax = 65'536;     // of a base; one with more is none
inline constexpr size_t kBaseMessagesPerPage = 64;  // 512 GiB of leaves: what lies beyond is sent

class BaseTree {
 public:
  // Nothing: there is none that can be read, which is no error.
  static std::optional<BaseTree> find(const std::shared_ptr<const storage::RootedDir>& root, const ObjectName& destination);
  const ObjectName& name() const { return name_; }  // below the root

  // What the base has of a file, the entry with this path, goes into `runs`.
  void offer(const ManifestEntry& entry, const std::string& path, std::vector<messages::BaseRun>& runs);

  // A leaf as it lies in the base now. False: it cannot be read.
  bool read(ObjectId object, uint32_t leaf, std::span<std::byte> bytes);
  int descriptor_of(ObjectId object);  // -1: it cannot be opened

 private:
  struct File {
    uint64_t first_leaf = 0;
    Bytes size;
  };
  BaseTree(storage::RootedDir dir, storage::StoredManifest manifest, Descriptor hold, ObjectName name)
      : dir_(std::move(dir)), manifest_(std::move(manifest)), hold_(std::move(hold)), name_(std::move(name)) {}
  static std::optional<BaseTree> open(const storage::RootedDir& root, const ObjectName& name);
  bool read_files();

  storage::RootedDir dir_;
  storage::StoredManifest manifest_;
  Descriptor hold_;
  ObjectName name_;
  std::map<std::string, File> files_;  // by path below it
  std::unordered_map<ObjectId, std::string> offered_;
  std::optional<ObjectId> opened_;     // whose file is open
  Descriptor file_;
};

}  // namespace tideway::engine
