// SPDX-License-Identifier: Apache-2.0
//
// Jobs and events in one SQLite file. One connection and nobody else's, because 3.40.1 of Debian 12 may reset a WAL that a second
// one still reads (3.7.0 to 3.51.2); hence locking_mode=EXCLUSIVE, and no other program may open the file while a daemon runs.
// Every write is on stable storage when it returns (WAL, synchronous=FULL). The record of a job is JSON; the columns beside it are
// for people and for looking things up.
// Thread: one owner; it waits for the disk.
#pragma once
#include "store/job_store.h"

#include <memory>

struct sqlite3;
struct sqlite3_stmt;

namespace tideway::store {

// Of what is in the file. A file of a later version is refused as it is.
inline constexpr int kSchemaVersion = 1;

class SqliteJobStore final : public JobStore {
 public:
  // Makes the file (0600) when there is none, and checks one that is there. Errors: state_newer; store_unavailable: it is damaged,
  // in use, or the disk is full; config_invalid: it lies on a network file system.
  static Result<std::unique_ptr<SqliteJobStore>> open(const std::string& path);
  ~SqliteJobStore() override;

  Result<Contents> load(job::WallTime now) override;
  Status write(const Batch& batch, job::WallTime now) override;

  const std::string& path() const { return path_; }
  // All that was written, as a store of its own, into `file`, which is empty. Not synced. Errors: store_unavailable.
  Status copy_to(const std::string& file);

 private:
  class Statement;
  explicit SqliteJobStore(std::string path) : path_(std::move(path)) {}
  Status connect();
  Status check_whole();
  Status settle_schema();
  Result<int> schema_version();
  Status run(const char* sql);
  Status write_rows(const Batch& batch, job::WallTime now);
  Status save(const job::Job& job);
  Status note(const Event& event);
  Error failed(std::string_view what) const;

  std::string path_;
  sqlite3* database_ = nullptr;
};

}  // namespace tideway::store
