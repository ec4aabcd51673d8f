// SPDX-License-Identifier: Apache-2.0
#include "daemon/audit_file.h"

#include "base/operator_file.h"

#include <tideway/object_name.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

namespace tideway::daemon {
namespace {

Error unusable(const std::string& path, std::string_view what, std::string_view next) {
  return {Fault::kConfigInvalid, "audit log " + to_display(path) + ": " + std::string(what), std::string(next)};
}

struct CloseFile { void operator()(std::FILE* file) const { std::fclose(file); } };

}  // namespace

Result<AuditFile> AuditFile::open(const std::string& path) {
  AuditFile file(path, Descriptor(open_operator_file(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600)));
  const int fd = file.fd_.get();
  if (fd < 0) return unusable(path, text_of_open_error(-fd), "make the directory named by state_dir in [site], owned by who runs tidewayd");
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return unusable(path, std::strerror(errno), "");
  if (!S_ISREG(facts.st_mode)) return unusable(path, "is no plain file", "remove it");
  if (facts.st_uid != ::geteuid() || (facts.st_mode & 022) != 0)
    return unusable(path, "others than the user that runs tidewayd may write it", "chown and chmod 600 the file");
  file.facts_.size = facts.st_size;
  if (Status status = file.find_end(); !status.ok()) return std::move(status).error();
  if (facts.st_size == 0)
    if (Status status = file.sync_name(); !status.ok()) return std::move(status).error();
  return file;
}

// A file that is new may go with the power as long as its directory has not been synced, whatever was synced in it.
Status AuditFile::sync_name() const {
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const Descriptor dir(open_operator_file(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY));
  if (!dir.is_open()) return failed("open its directory", -dir.get());
  return ::fsync(dir.get()) == 0 ? success() : Status(failed("sync its directory", errno));
}

Status AuditFile::find_end() {
  std::string tail(static_cast<size_t>(std::min<off_t>(facts_.size, 2 * kAuditLineMax)), '\0');
  const ssize_t got = ::pread(fd_.get(), tail.data(), tail.size(), facts_.size - static_cast<off_t>(tail.size()));
  if (got != static_cast<ssize_t>(tail.size())) return unusable(path_, got < 0 ? std::strerror(errno) : "changed while it was read", "");
  const size_t newline = tail.rfind('\n');
  const size_t whole = newline == tail.npos ? 0 : newline + 1;
  if (whole == 0 && facts_.size > static_cast<off_t>(tail.size())) return unusable(path_, "has no line where one should end", "move it away");
  facts_.torn = tail.size() - whole;
  facts_.size -= static_cast<off_t>(facts_.torn);
  facts_.has_rest = facts_.torn > 0;
  if (whole == 0) return success();
  std::string_view last = std::string_view(tail).substr(0, newline);
  last.remove_prefix(last.rfind('\n') + 1);  // npos + 1 is 0: the file has one line
  const auto end = end_at(last);
  if (!end) return unusable(path_, "its last line is none of an audit log", "move it away, and find out who wrote there");
  facts_.end = *end;
  return success();
}

Error AuditFile::failed(std::string_view what, int error) const {
  const bool is_full = error == ENOSPC || error == EDQUOT;
  return {is_full ? Fault::kDestFull : Fault::kDestIo, "audit log " + to_display(path_) + ": " + std::string(what) + ": " + std::strerror(error),
          is_full ? "free space there" : "check the disk"};
}

Status AuditFile::append(std::string_view lines, const ChainEnd& end) {
  if (facts_.has_rest && ::ftruncate(fd_.get(), facts_.size) != 0) return failed("an unfinished line cannot be cut off", errno);
  facts_.has_rest = false;
  size_t written = 0;
  while (written < lines.size()) {
    const ssize_t got = ::write(fd_.get(), lines.data() + written, lines.size() - written);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      facts_.has_rest = written > 0 && ::ftruncate(fd_.get(), facts_.size) != 0;
      return failed("write", error);
    }
    written += static_cast<size_t>(got);
  }
  facts_.size += static_cast<off_t>(lines.size());
  facts_.end = end;
  facts_.unsynced += lines;
  return success();
}

Status AuditFile::sync() {
  if (facts_.is_doubtful)
    if (Status status = write_again(); !status.ok()) return status;
  if (::fdatasync(fd_.get()) != 0) {
    facts_.is_doubtful = true;
    return failed("fdatasync", errno);
  }
  facts_.is_doubtful = false;
  facts_.unsynced.clear();
  return success();
}

// The same bytes in the same place, so that the chain stays what it is, through another descriptor of the same file: a rotation may
// have given its path to another one.
Status AuditFile::write_again() {
  Descriptor again(::open(("/proc/self/fd/" + std::to_string(fd_.get())).c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!again.is_open()) return failed("open it again after a failed sync", errno);
  const off_t begin = facts_.size - static_cast<off_t>(facts_.unsynced.size());
  for (size_t written = 0; written < facts_.unsynced.size();) {
    const ssize_t got = ::pwrite(again.get(), facts_.unsynced.data() + written, facts_.unsynced.size() - written, begin + static_cast<off_t>(written));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("write after a failed sync", errno);
    written += static_cast<size_t>(got);
  }
  if (::fcntl(again.get(), F_SETFL, O_APPEND) != 0) return failed("append after a failed sync", errno);  // only now: such writes go to the end
  fd_ = std::move(again);
  return success();
}

Status AuditFile::reopen() {
  struct stat ours {}, there {};
  const bool is_same = ::fstat(fd_.get(), &ours) == 0 && ::lstat(path_.c_str(), &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
  if (is_same) return success();
  auto fresh = open(path_);
  if (!fresh.ok()) return std::move(fresh).error();
  if (fresh.value().facts_.size == 0) fresh.value().facts_.end = facts_.end;
  *this = std::move(fresh).value();
  return success();
}

Result<ChainCheck> check_audit_files(std::span<const std::string> paths) {
  ChainCheck check;
  std::vector<char> buffer(kAuditLineMax + 2);  // a line, its newline, and what fgets adds
  for (const std::string& path : paths) {
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
    if (file == nullptr) return Error{Fault::kSourceMissing, to_display(path) + ": " + std::strerror(errno), "name an audit log, such as state_dir/audit.jsonl"};
    check.begin_file();
    while (std::fgets(buffer.data(), static_cast<int>(buffer.size()), file.get()) != nullptr) {
      std::string_view line(buffer.data());
      if (!line.ends_with('\n') && line.size() <= kAuditLineMax && std::feof(file.get()) != 0)
        return Error{Fault::kHashMismatch, to_display(path) + ": the last line, behind seq " + std::to_string(check.end().sequence) + ", is cut off",
                     "if the gateway is writing at this moment, ask again; after a crash it repairs this at its next start"};
      line.remove_suffix(line.ends_with('\n') ? 1 : 0);
      if (Status status = check.take(path, line); !status.ok()) return std::move(status).error();
    }
    if (std::ferror(file.get()) != 0) return Error{Fault::kSourceIo, to_display(path) + ": cannot be read", "name an audit log, such as state_dir/audit.jsonl"};
  }
  return check;
}

}  // namespace tideway::daemon
