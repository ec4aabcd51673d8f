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
struct sqlite3_backup;
struct sqlite3_stmt;

namespace tideway::store {

inline constexpr int kCopyPages = 256;  // 1 MiB: what a submission waits for while the store is copied

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
  // A copy of the store as a store of its own, in steps. Between them the store takes writes, and the copy has those, too. The store outlives it.
  class Copy {
   public:
    ~Copy();
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;
    // kCopyPages more. True: all is there; not synced. Errors: store_unavailable; then it is over.
    Result<bool> step();

   private:
    friend SqliteJobStore;
    Copy(const SqliteJobStore& from, std::string file) : from_(from), file_(std::move(file)) {}
    Status open();
    Error failed(const char* why) const;

    const SqliteJobStore& from_;
    const std::string file_;
    sqlite3* to_ = nullptr;
    sqlite3_backup* backup_ = nullptr;
  };
  // Into `file`, which is empty. Errors: store_unavailable.
  Result<std::unique_ptr<Copy>> begin_copy(const std::string& file);

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
