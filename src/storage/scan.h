// SPDX-License-Identifier: Apache-2.0
//
// Walks a tree, or several sources put into one directory, in manifest order (tideway/object_store.h). Holds one
// descriptor and one sorted list of names per level, so memory is bounded by the depth and the largest directories on
// the way down. What cannot be copied is left out with its reason, and the walk goes on.
// Thread: io worker.
#pragma once
#include "storage/filter.h"
#include "storage/rooted_dir.h"
#include <tideway/object_store.h>

#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace tideway::storage {

// What we put at the top of a root and of a tree. Nobody may copy something there under these names.
inline constexpr std::string_view kStateDirName = ".tideway";
inline constexpr std::string_view kTreeManifestName = ".tideway-manifest";
inline constexpr std::string_view kCommitName = ".tideway-commit";
bool is_reserved_at_top(std::string_view component);

struct ScanSource {
  std::shared_ptr<const RootedDir> root;
  ObjectName name;  // below `root`; the root itself is fine
  std::string as;   // its name among several sources; empty: the last component of `name`
  enum class Held : uint8_t { kInPlace, kPinned } held = Held::kInPlace;  // kPinned: by links that others may have, too
};

// kSingle: the only source becomes entry 0. kTogether: entry 0 is a directory that exists nowhere, and each source is
// an entry in it.
enum class ScanForm : uint8_t { kSingle, kTogether };

struct ScanSpec {
  std::vector<ScanSource> sources;
  ScanForm form = ScanForm::kSingle;
  Filter filter;
  std::optional<NameList> only;  // --files-from
  uint32_t depth = 0;  // levels below entry 0; deeper directories are listed and not opened. 0: all
};

// What `source` is called below a synthetic entry 0.
const std::string& name_among_sources(const ScanSource& source);

// A source that is a directory becomes the root it is read below: a tree that takes its place by one rename is another one, and nothing of it is
// ever taken for a part of this. Whatever else it is stays as it is, for the scan to look at.
void stay_in_tree(ScanSource& source);

class TreeScan final : public ObjectLister {
 public:
  static constexpr size_t kSkippedHeldMax = 65'536;  // about 16 MB of text; past it they are only counted

  explicit TreeScan(ScanSpec spec);
  // Errors besides those of the seam: name_collision (two sources of one name), unsafe_link and special_file (entry 0
  // is one), name_reserved (a source inside .tideway).
  Result<size_t> next(std::span<ManifestEntry> out) override;
  bool next_skipped(SkippedEntry& out) override;

 private:
  // The names of one directory: their bytes end to end, and where each begins, in byte order.
  struct Names {
    std::string bytes;
    std::vector<uint32_t> begins;
    std::string_view at(size_t i) const { return bytes.c_str() + begins[i]; }  // each ends with NUL
  };
  struct Level {
    Level() {}  // clang cannot make the implicit one of a nested struct before the class around it ends
    std::optional<RootedDir> dir;  // none: the sources themselves
    Names names;
    size_t next = 0;
    ObjectId number;
    std::string name;
  };
  // Where an entry is found: below a held directory, by that name.
  struct Where {
    const RootedDir& dir;
    const ObjectName& name;
  };

  Status start(ManifestEntry& entry);
  Status check_sources();
  Status start_single(ManifestEntry& entry);
  Status start_together(ManifestEntry& entry);
  // The next entry of the level on top, if it is to be listed.
  bool take_next(ManifestEntry& entry);
  bool describe(const Where& where, const FileStat& stat, ManifestEntry& entry);
  bool describe_link(const Where& where, ManifestEntry& entry);
  Result<Names> read_names(const RootedDir& dir) const;
  bool is_wanted(const std::string& component, EntryType type);
  void number_and_push(ManifestEntry& entry);
  ObjectName name_below_top(std::string_view component) const;
  void skip(std::string_view component, Error why);
  void finish();

  ScanSpec spec_;
  bool is_started_ = false, is_finished_ = false;
  std::vector<Level> levels_;
  std::optional<Level> opened_;  // of the directory just described, if it is to be walked
  uint32_t next_number_ = 0;
  uint64_t next_leaf_ = 0;
  size_t name_bytes_ = 0;  // of the levels' names
  std::deque<SkippedEntry> skipped_;
  uint64_t skipped_unheld_ = 0;
};

}  // namespace tideway::storage
