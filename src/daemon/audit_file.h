// SPDX-License-Identifier: Apache-2.0
//
// The file an audit log is appended to. It goes on with the chain that the file holds; a last line without its end, which
// a crash left, is cut off and counted. Whole batches go in or nothing does.
// Thread: one owner; it waits for the disk.
#pragma once
#include "daemon/audit_chain.h"

#include <sys/types.h>

#include <span>
#include <string>
#include <utility>

namespace tideway::daemon {

class AuditFile {
 public:
  // Makes the file (0600) when there is none. Errors: config_invalid: it cannot be opened, is no plain file, is not ours,
  // may be written by others, or does not end with a line of an audit log.
  static Result<AuditFile> open(const std::string& path);
  AuditFile(AuditFile&& other) noexcept : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_), end_(other.end_), torn_(other.torn_) {}
  AuditFile& operator=(AuditFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(fd_, other.fd_);
    size_ = other.size_, end_ = other.end_, torn_ = other.torn_;
    return *this;
  }
  ~AuditFile();

  // Errors: dest_full, dest_io; the file is then as it was before.
  Status append(std::string_view lines, const ChainEnd& end);
  Status sync();
  // After a rotation: when another file has the path now, or none, the chain goes on there. Errors: those of open(); then
  // the old file stays in use.
  Status reopen();

  const ChainEnd& end() const { return end_; }
  uint64_t torn() const { return torn_; }  // bytes of an unfinished line that were cut off

 private:
  AuditFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status find_end();
  Error failed(std::string_view what, int error) const;

  std::string path_;
  int fd_;
  off_t size_ = 0;
  ChainEnd end_;
  uint64_t torn_ = 0;
};

// Checks files that follow each other. Errors: hash_mismatch with file, line and what is wrong; source_missing, source_io.
Result<ChainCheck> check_audit_files(std::span<const std::string> paths);

}  // namespace tideway::daemon
