// SPDX-License-Identifier: Apache-2.0
//
// The file an audit log is appended to. It goes on with the chain that the file holds; a last line without its end, which
// a crash left, is counted, and cut off before anything is written. Whole batches go in or nothing does. What was appended since the last good sync is kept in
// memory: a kernel whose sync fails forgets what it had to write, and calls the next one good without it.
// Thread: one owner; it waits for the disk.
#pragma once
#include "base/descriptor.h"
#include "daemon/audit_chain.h"

#include <sys/types.h>

#include <span>
#include <string>
#include <utility>

namespace tideway::daemon {

class AuditFile {
 public:
  // Makes the file (0600) when there is none. Errors: config_invalid: it cannot be opened, is no plain file, is not ours,
  // may be written by others, or does not end with a line of an audit log; dest_io.
  static Result<AuditFile> open(const std::string& path);

  // Errors: dest_full, dest_io; the file is then as it was before.
  Status append(std::string_view lines, const ChainEnd& end);
  // Behind one that failed all that is not known to be on the disk is written once more, through a fresh descriptor. Errors: dest_full,
  // dest_io.
  Status sync();
  // After a rotation, and a sync of what is in this file, which nobody looks at any more: when another one has the path now, or none, the
  // chain goes on there. Errors: those of open(); then the old file stays in use.
  Status reopen();

  const ChainEnd& end() const { return facts_.end; }
  uint64_t torn() const { return facts_.torn; }  // bytes of an unfinished line at open(), that the first append() cuts off
  size_t unsynced() const { return facts_.unsynced.size(); }

 private:
  AuditFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  Status find_end();
  Status sync_name() const;
  Status write_again();
  Error failed(std::string_view what, int error) const;

  std::string path_;
  Descriptor fd_;
  struct Facts {
    off_t size = 0;
    ChainEnd end;
    uint64_t torn = 0;
    std::string unsynced;        // the end of the file
    bool is_doubtful = false;    // a sync has failed since
    bool has_rest = false;       // part of a line that did not get in, to be cut off yet
  } facts_;
};

// Checks files that follow each other. Errors: hash_mismatch with file, line and what is wrong; source_missing, source_io.
Result<ChainCheck> check_audit_files(std::span<const std::string> paths);

}  // namespace tideway::daemon
