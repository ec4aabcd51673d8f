// SPDX-License-Identifier: Apache-2.0
//
// A held directory, and the only code that opens, creates, renames or removes anything. Every lookup starts at the held
// descriptor and stays beneath it: openat2 with RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS and NO_XDEV, or where
// that call is missing or forbidden, a walk of single components with O_NOFOLLOW. So no name a peer sends, and no link
// that somebody swaps in meanwhile, leads out of the root. No path string is used twice, and names may be longer than
// PATH_MAX: they are looked up piece by piece.
// Thread: any; const operations may run at the same time.
#pragma once
#include "base/descriptor.h"
#include "storage/errno_fault.h"
#include <tideway/object_name.h>
#include <tideway/result.h>
#include <tideway/units.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace tideway::storage {

enum class FileKind : uint8_t { kFile, kDirectory, kSymlink, kSpecial };

struct FileStat {
  FileKind kind = FileKind::kSpecial;
  uint32_t mode = 0;  // rwx bits only
  Bytes size, allocated;
  int64_t mtime_ns = 0, ctime_ns = 0;
  uint64_t inode = 0, device = 0;
  uint32_t uid = 0;  // as the file system shows it, which may be another one than whoever made it has
  // The same file with the same content; how much of it is allocated may change by itself.
  bool is_same_version(const FileStat& other) const { return is_same_content(other) && ctime_ns == other.ctime_ns; }
  // The same as far as a hard link can tell, whose ctime moves when another name of the file is removed.
  bool is_same_content(const FileStat& other) const {
    return size == other.size && mtime_ns == other.mtime_ns && inode == other.inode && device == other.device;
  }
};

// Another number once a file was replaced or changed, whatever became of its size and times; never 0.
uint64_t version_of(const FileStat& stat);
uint64_t version_of_pinned(const FileStat& stat);  // without the ctime

// Of an open file, or what `error` says.
struct StatOutcome { FileStat stat; int error = 0; };
StatOutcome stat_of(int fd);
// Sets the modification time; 0 or an errno.
int set_times(int fd, int64_t mtime_ns);

enum class Lookup : uint8_t { kOpenat2, kWalk };          // kOpenat2 walks by itself where the call does not work
enum class Caching : uint8_t { kBuffered, kDirect };
enum class Access : uint8_t { kRead, kWrite };
enum class IfTaken : uint8_t { kFail, kReplace, kExchange };  // kExchange: it gets the other one's name, and has to be there

class RootedDir {
 public:
  // A directory the operator or the local user named; links on the way to it are theirs and followed.
  static Result<RootedDir> open_host_path(const std::string& path, Side side, Lookup lookup = Lookup::kOpenat2);
  // Whether that path still leads here. If its file system is mounted there no more, what comes would lie where nobody looks for it.
  // Errors: dest_unmounted, which names no path of this host.
  Status check_in_place() const;

  // Errors of all operations name the entry relative to the root this one descends from. A lookup that meets a
  // symbolic link or another file system is denied or dest_cross_device (source_io at a source).
  Result<RootedDir> open_dir(const ObjectName& name) const;
  // A regular file; anything else is special_file. Never waits for a FIFO's other end.
  Result<Descriptor> open_file(const ObjectName& name, Access access, Caching caching = Caching::kBuffered) const;
  // A new file, for reading and writing; an existing one is dest_exists.
  Result<Descriptor> create_file(const ObjectName& name, uint32_t mode) const;
  // A file in here without a name, gone when it is closed; not open where the file system has none.
  Result<Descriptor> create_unnamed_file() const;
  Status make_dir(const ObjectName& name, uint32_t mode) const;  // its parent exists; it does not
  // Makes what is missing of `name` (0755), so that it is a directory afterwards. What was missing is synced into its
  // parent. True: something was made.
  Result<bool> make_dirs(const ObjectName& name) const;
  // Gives the owner all rights to a directory or file directly in here. No error: opening it says what is wrong.
  void make_usable(const ObjectName& name) const;
  Status make_symlink(const ObjectName& name, const std::string& target) const;

  Result<FileStat> stat(const ObjectName& name) const;                       // of a link: the link itself
  Result<std::optional<FileStat>> stat_if_exists(const ObjectName& name) const;
  Result<std::string> read_link(const ObjectName& name) const;
  // Each name but "." and "..", in the order of the file system.
  Status for_each_name(const std::function<void(std::string_view)>& visit) const;

  // An existing `to` is dest_exists, unless it may be replaced.
  Status rename(const ObjectName& from, const RootedDir& to_dir, const ObjectName& to, IfTaken if_taken = IfTaken::kFail) const;
  // Another name for a file, never for a link. Errors: unsupported: the file system or its owner does not allow it.
  Status link_file(const ObjectName& from, const RootedDir& to_dir, const ObjectName& to) const;
  Status remove_file(const ObjectName& name) const;
  Status remove_empty_dir(const ObjectName& name) const;
  Status remove_tree(const ObjectName& name) const;  // a link in it is removed, never followed; missing is fine
  Status remove_content() const;

  Status set_attributes(uint32_t mode, int64_t mtime_ns) const;
  Status sync() const;
  Status sync_file_system() const;
  bool lock_exclusively() const;  // flock on the directory; false: somebody else holds it
  Result<Bytes> free_space() const;

  int fd() const { return fd_.get(); }
  Side side() const { return side_; }
  // The name for messages of something in here.
  std::string shown(const ObjectName& name) const;

 private:
  // The directory that holds `name`, and the last component in it.
  struct Place {
    Descriptor held;
    int fd = -1;
    std::string last;
  };
  RootedDir(Descriptor fd, Side side, Lookup lookup, std::string shown)
      : fd_(std::move(fd)), side_(side), lookup_(lookup), shown_(std::move(shown)) {}
  Result<Place> place_of(const ObjectName& name, std::string_view action) const;
  Error error_of(int error, std::string_view action, const ObjectName& name) const;

  Descriptor fd_;
  Side side_ = Side::kSource;
  Lookup lookup_ = Lookup::kOpenat2;
  std::string shown_;  // printable name below the root
  std::string host_path_;  // that it was opened by; empty: by a name below another one
};

// A name of one component that we chose ourselves, or that is known to be one.
ObjectName single_name(std::string component);

}  // namespace tideway::storage
