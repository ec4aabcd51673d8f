// SPDX-License-Identifier: Apache-2.0
//
// The file that lies beside published data (.tideway-manifest at the top of a new tree; for what went into an existing
// directory, and for a single file, one in .tideway/manifests) and is all that a later verify needs:
//
//   u32 "TWMF", u16 version, u16 length of what follows up to the pages
//   root (32 bytes), u8 algorithm, u64 entries, u64 bytes of pages, u64 leaves, u16 components, each {u8 length, bytes};
//   and u32 modes, if that is not 0777 or a signature follows: {u8 length of a site's name, site, 64 bytes}
//   the framed pages (storage/staging.h)
//   16 bytes per leaf, in leaf order; all zeros where the object was kept from before and its hash is not known
//
// Numbers are big-endian. What is read is foreign: the disk may have lost or changed any of it.
// Thread: any.
#pragma once
#include "storage/rooted_dir.h"
#include "storage/staging.h"
#include <tideway/object_store.h>
#include <tideway/root_signature.h>

#include <functional>
#include <optional>
#include <vector>

namespace tideway::storage {

// Turns the bytes of one page into its entries; the format belongs to messages/.
using PageReader = std::function<Result<std::vector<ManifestEntry>>(std::span<const std::byte>)>;

enum class TreeAlgorithm : uint8_t { kXxh3Leaves = 1 };  // XXH3-128 leaves below a SHA-256 tree

struct StoredManifestHeader {
  Hash256 root{};
  TreeAlgorithm algorithm = TreeAlgorithm::kXxh3Leaves;
  uint64_t entries = 0;
  uint64_t page_bytes = 0;
  uint64_t leaves = 0;
  ObjectName destination;  // below its root
  uint32_t modes = 0777;   // the most that modes were allowed to be
  std::optional<RootSignature> signature = {};  // by the site it came from; nobody has checked it here
};

class StoredManifest {
 public:
  // Errors: source_missing or source_io from `dir`, manifest_mismatch when it is damaged, unsupported for a newer
  // version.
  static Result<StoredManifest> open(const RootedDir& dir, const ObjectName& name);
  const StoredManifestHeader& header() const { return header_; }
  int64_t written_ns() const { return stat_of(file_.get()).stat.mtime_ns; }
  // Framed pages, from the first; each call starts over.
  PageStream pages() const { return {file_.get(), pages_at_, pages_at_ + header_.page_bytes}; }
  // Fills `out` with the hashes from `first` on. False: beyond the end, or unreadable.
  bool read_leaves(uint64_t first, std::span<Hash128> out) const;

 private:
  StoredManifest(Descriptor file, StoredManifestHeader header, uint64_t pages_at)
      : file_(std::move(file)), header_(std::move(header)), pages_at_(pages_at) {}
  Descriptor file_;
  StoredManifestHeader header_;
  uint64_t pages_at_;
};

// Where below a root the manifest of what was published last at `destination` is kept: one file per destination. The name
// is a hash, so the header has to be asked whether it is the right one.
ObjectName kept_manifest_name(const ObjectName& destination);

// Writes `name` in `dir` from what is staged and syncs it. `header.page_bytes` is filled in.
Status write_stored_manifest(const Staging& staging, StoredManifestHeader header, const RootedDir& dir,
                             const ObjectName& name);

}  // namespace tideway::storage
