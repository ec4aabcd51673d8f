// SPDX-License-Identifier: Apache-2.0
#include "store/backups.h"

#include "api/time_text.h"
#include "base/log.h"
#include <tideway/object_name.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace tideway::store {
namespace {

constexpr std::string_view kBegin = "jobs-", kEnd = ".sqlite";
constexpr size_t kTimeLength = 20, kColons[] = {13, 16};  // of "2026-11-28T00:27:51Z", which scp would take for a host
constexpr const char* kUnfinished = "unfinished";

std::string backup_name(job::WallTime time) {
  std::string text = api::to_text(time).substr(0, kTimeLength - 1) + 'Z';
  for (const size_t at : kColons) text[at] = '-';
  return std::string(kBegin) + text + std::string(kEnd);
}

// Nothing: it is none.
std::optional<job::WallTime> time_of_backup(std::string_view name) {
  if (name.size() != kBegin.size() + kTimeLength + kEnd.size() || !name.starts_with(kBegin) || !name.ends_with(kEnd)) return std::nullopt;
  std::string text(name.substr(kBegin.size(), kTimeLength));
  for (const size_t at : kColons)
    if (std::exchange(text[at], ':') != '-') return std::nullopt;
  return api::parse_time(text);
}

uint64_t size_of(const std::string& file) {
  struct stat info{};
  return ::stat(file.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

std::string folder_beside(const std::string& file) {
  const size_t slash = file.rfind('/');
  return (slash == file.npos ? "" : file.substr(0, slash + 1)) + "backup";
}

}  // namespace

Backups::Backups(SqliteJobStore& store) : store_(store), folder_(folder_beside(store.path())) {}

Again Backups::turn(job::WallTime now) {
  if (!making_ && (!is_due(now) || is_last_too_young(now))) return Again::kLater;
  const Status begun = making_ ? success() : begin(backup_name(now));
  const Result<bool> done = begun.ok() ? step() : Result<bool>(begun.error());
  if (done.ok() && !done.value()) return Again::kSoon;
  const std::string name = making_ ? making_->name : "";
  making_.reset();
  next_ = now + (done.ok() ? job::WallTime::duration(kEvery) : job::WallTime::duration(kAgainAfter));
  if (done.ok()) {
    forget_oldest(now, name);
    log::info("store_backed_up", "file=" + folder_ + '/' + name + " bytes=" + std::to_string(size_of(folder_ + '/' + name)));
  } else {
    ::unlink((folder_ + '/' + kUnfinished).c_str());
    log::warning("store_not_backed_up", "code=" + std::string(done.error().name()) + " why=\"" + done.error().what + "\" next=\"" + done.error().next + '"');
  }
  return Again::kLater;
}

// The newest that is not from later: a clock that ran ahead made those.
bool Backups::is_last_too_young(job::WallTime now) {
  const std::vector<std::string> all = names();
  const auto later = std::ranges::upper_bound(all, backup_name(now));
  if (later == all.begin()) return false;
  const job::WallTime due = *time_of_backup(*std::prev(later)) + kEvery;
  if (now < due) next_ = due;
  return now < due;
}

std::vector<std::string> Backups::names() const {
  std::vector<std::string> found;
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(folder_, failed), end; !failed && entry != end; entry.increment(failed))
    if (std::string name = entry->path().filename().string(); time_of_backup(name)) found.push_back(std::move(name));
  std::ranges::sort(found);
  return found;
}

Error Backups::failed(std::string_view what, int error) const {
  return {Fault::kStoreUnavailable, "the backup in " + to_display(folder_) + ": " + std::string(what) + ": " + strerror(error), "see what the disk and its log say; it is tried again in an hour"};
}

Status Backups::check_room() const {
  struct statvfs info{};
  if (::statvfs(folder_.c_str(), &info) != 0) return failed("ask for its room", errno);
  const uint64_t free = uint64_t{info.f_bavail} * info.f_frsize, size = size_of(store_.path()) + size_of(store_.path() + "-wal");
  if (free / kRoomTimes >= size) return success();
  return Error{Fault::kStoreUnavailable, "the backup in " + to_display(folder_) + ": " + std::to_string(free) + " bytes are free there, and the job store has " + std::to_string(size),
               "free twice as much; it is tried again in an hour"};
}

Status Backups::begin(const std::string& name) {
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) return failed("make the folder", errno);
  Descriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.is_open()) return failed("open the folder", errno);
  if (::unlinkat(folder.get(), kUnfinished, 0) != 0 && errno != ENOENT) return failed("remove what an earlier process left", errno);
  if (Status status = check_room(); !status.ok()) return status;
  Descriptor file(::openat(folder.get(), kUnfinished, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));  // SQLite would give it other rights
  if (!file.is_open()) return failed("make a file", errno);
  auto copy = store_.begin_copy(folder_ + '/' + kUnfinished);
  if (!copy.ok()) return std::move(copy).error();
  making_ = Making{name, std::move(folder), std::move(file), std::move(copy).value()};
  return success();
}

// Synced step by step: a disk that takes all of it at once would hold up the writes between two.
Result<bool> Backups::step() const {
  const auto copied = making_->copy->step();
  if (!copied.ok()) return copied;
  const int folder = making_->folder.get(), file = making_->file.get();
  if ((copied.value() ? ::fsync(file) : ::fdatasync(file)) != 0) return failed("sync", errno);
  if (!copied.value()) return false;
  if (::renameat(folder, kUnfinished, folder, making_->name.c_str()) != 0) return failed("rename", errno);
  if (::fsync(folder) != 0) return failed("sync the folder", errno);
  return true;
}

// Those from later first: nobody knows when they were made.
void Backups::forget_oldest(job::WallTime now, const std::string& made) const {
  std::vector<std::string> all = names();
  const auto later = std::ranges::upper_bound(all, backup_name(now));
  std::rotate(all.begin(), later, all.end());
  for (size_t i = 0; i + kKept < all.size(); ++i)
    if (all[i] != made) ::unlink((folder_ + '/' + all[i]).c_str());
}

}  // namespace tideway::store
