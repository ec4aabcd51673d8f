// SPDX-License-Identifier: Apache-2.0
//
// Copies of the job store, one a day: backup/jobs-2026-11-28T00-27-51Z.sqlite (0600) in the folder of its file. Each is made under another name,
// synced and renamed, so that what has such a name is whole. The newest kKept of them stay. The store is copied by its one connection, because a second
// one may be none (store/sqlite_job_store.h), in steps between which it takes writes; those are in the copy, too.
// Thread: the store's; it waits for the disk.
#pragma once
#include "base/descriptor.h"
#include "store/sqlite_job_store.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tideway::store {

class Backups {
 public:
  static constexpr size_t kKept = 7;
  static constexpr auto kEvery = std::chrono::hours(24);
  static constexpr auto kAgainAfter = std::chrono::hours(1);  // behind one that failed
  static constexpr uint64_t kRoomTimes = 2;  // the store's size has to be free: a backup that fills the disk would harm what it is there for

  explicit Backups(SqliteJobStore& store);  // which outlives it

  // Begins one when the last is a day old, or there is none, and takes one step of one that was begun. What goes wrong is a warning in the log, and
  // nothing else.
  Again turn(job::WallTime now);

 private:
  bool is_due(job::WallTime now) const { return now >= next_ || now < next_ - kEvery; }  // or the clock was set back
  struct Making {
    std::string name;
    Descriptor folder, file;
    std::unique_ptr<SqliteJobStore::Copy> copy;
  };
  std::vector<std::string> names() const;  // in the order of their times
  bool is_last_too_young(job::WallTime now);
  Status begin(const std::string& name);
  Result<bool> step() const;  // true: it has its name
  Status check_room() const;
  void forget_oldest(job::WallTime now, const std::string& made) const;
  Error failed(std::string_view what, int error) const;

  SqliteJobStore& store_;
  const std::string folder_;
  job::WallTime next_{};  // when to look
  std::optional<Making> making_;
};

}  // namespace tideway::store
