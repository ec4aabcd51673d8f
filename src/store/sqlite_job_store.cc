// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite_job_store.h"

#include "api/job_record.h"
#include <tideway/object_name.h>

#include <linux/magic.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <array>
#include <cerrno>
#include <utility>

namespace tideway::store {
namespace {

constexpr const char* kPragmas[] = {
    "PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL",  "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",     "PRAGMA mmap_size=0",
    "PRAGMA temp_store=MEMORY",  // sorting a long queue would make a file in /var/tmp, which the fence around the daemon forbids
};
constexpr const char* kSchema =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
    "CREATE TABLE jobs (id TEXT PRIMARY KEY, number INTEGER NOT NULL, state TEXT NOT NULL, class TEXT NOT NULL, peer TEXT NOT NULL,"
    " submission_id TEXT NOT NULL, record TEXT NOT NULL) STRICT;"
    "CREATE TABLE events (number INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, job TEXT NOT NULL, owner INTEGER NOT NULL,"
    " type TEXT NOT NULL, data TEXT NOT NULL) STRICT;"
    "CREATE INDEX events_by_time ON events (time_ms);"
    "INSERT INTO meta VALUES ('schema_version', '1');";
constexpr const char* kReplace = "put the newest of backup/ in its place, as docs/jobs.md says, or move the file aside: running copies are resumed when they are submitted again";
constexpr int kBusyMilliseconds = 50;  // another daemon that is just ending

int64_t milliseconds(job::WallTime time) { return time.time_since_epoch().count(); }

// A database on these loses its locks or its syncs.
bool is_network(const std::string& folder) {
  constexpr std::array<long, 5> kMagics{NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, 0xFF534D42L /* CIFS */, 0xFE534D42L /* SMB2 */, 0x0BD00BD0L /* Lustre */};
  struct statfs info{};
  if (::statfs(folder.c_str(), &info) != 0) return false;
  for (const long magic : kMagics)
    if (static_cast<long>(info.f_type) == magic) return true;
  return false;
}

}  // namespace

// A prepared statement and its arguments, in their order.
class SqliteJobStore::Statement {
 public:
  Statement(sqlite3* database, const char* sql) { sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  Statement& bind(std::string_view text) {
    sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    return *this;
  }
  Statement& bind(int64_t number) {
    sqlite3_bind_int64(statement_, ++bound_, number);
    return *this;
  }
  // One more row.
  bool step() { return (code_ = statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_)) == SQLITE_ROW; }
  // After the last step.
  bool is_done() const { return code_ == SQLITE_DONE; }
  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes == nullptr ? "" : std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }
  int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0, code_ = SQLITE_OK;
};

Error SqliteJobStore::failed(std::string_view what) const {
  const int code = sqlite3_extended_errcode(database_) & 0xff;
  const std::string next = code == SQLITE_FULL     ? "free space there"
                           : code == SQLITE_BUSY   ? "end the other daemon that has this state_dir"
                           : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? kReplace
                                                   : "see what the disk and its log say";
  return {code == SQLITE_BUSY ? Fault::kStateLocked : Fault::kStoreUnavailable, "the job store " + to_display(path_) + ": " + std::string(what) + ": " + sqlite3_errmsg(database_), next};
}

Status SqliteJobStore::run(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failed(std::string_view(sql).substr(0, 24));
  return success();
}

Status SqliteJobStore::connect() {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
  if (sqlite3_open_v2(path_.c_str(), &database_, kFlags, nullptr) != SQLITE_OK) return failed("open");
  sqlite3_busy_timeout(database_, kBusyMilliseconds);
  ::chmod(path_.c_str(), 0600);  // its WAL takes the same mode
  for (const char* pragma : kPragmas)
    if (Status status = run(pragma); !status.ok()) return status;
  return success();
}

Status SqliteJobStore::check_whole() {
  Statement check(database_, "PRAGMA quick_check(1)");
  if (check.step() && check.text(0) == "ok") return success();
  Error error = failed("quick_check");
  error.next = kReplace;
  return error;
}

Result<int> SqliteJobStore::schema_version() {
  Statement table(database_, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'");
  if (!table.step()) {
    if (!table.is_done()) return failed("read the schema");
    return 0;
  }
  Statement version(database_, "SELECT value FROM meta WHERE key = 'schema_version'");
  if (!version.step()) return failed("read the version");
  return static_cast<int>(version.number(0));
}

Status SqliteJobStore::settle_schema() {
  const auto version = schema_version();
  if (!version.ok()) return version.error();
  if (version.value() > kSchemaVersion)
    return Error{Fault::kStateNewer, "the job store " + to_display(path_) + " has version " + std::to_string(version.value()) + ", and this program knows " +
                     std::to_string(kSchemaVersion), "start the newer program again; nothing was changed"};
  if (version.value() == kSchemaVersion) return success();
  if (Status status = run("BEGIN IMMEDIATE"); !status.ok()) return status;
  if (Status status = run(kSchema); !status.ok()) return status;
  return run("COMMIT");
}

Result<std::unique_ptr<SqliteJobStore>> SqliteJobStore::open(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (is_network(slash == path.npos ? "." : path.substr(0, slash + 1)))
    return Error{Fault::kConfigInvalid, "state_dir is on a network file system, where a database loses its locks: " + to_display(path), "put state_dir on a local disk"};
  std::unique_ptr<SqliteJobStore> store(new SqliteJobStore(path));
  if (Status status = store->connect(); !status.ok()) return std::move(status).error();
  if (Status status = store->check_whole(); !status.ok()) return std::move(status).error();
  if (Status status = store->settle_schema(); !status.ok()) return std::move(status).error();
  return store;
}

SqliteJobStore::~SqliteJobStore() { sqlite3_close(database_); }

Result<Contents> SqliteJobStore::load(job::WallTime now) {
  Contents contents;
  Statement jobs(database_, "SELECT record, id FROM jobs ORDER BY number");
  while (jobs.step()) {
    auto job = api::parse_record(jobs.text(0));
    if (!job.ok())
      return Error{Fault::kStoreUnavailable, "the job store " + to_display(path_) + ": the record of " + to_display(jobs.text(1)) + " cannot be read: " + job.error().what,
                   kReplace};
    contents.jobs.push_back(std::move(job).value());
  }
  if (!jobs.is_done()) return failed("read jobs");
  Statement events(database_, "SELECT number, time_ms, job, owner, type, data FROM events WHERE time_ms >= ? ORDER BY number");
  events.bind(milliseconds(now - kEventsKeptFor));
  while (events.step())
    contents.events.push_back({static_cast<uint64_t>(events.number(0)), job::WallTime(std::chrono::milliseconds(events.number(1))), events.text(2),
                               static_cast<uint32_t>(events.number(3)), events.text(4), events.text(5)});
  if (!events.is_done()) return failed("read events");
  return contents;
}

Status SqliteJobStore::save(const job::Job& job) {
  Statement row(database_, "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?)");
  row.bind(job.id).bind(static_cast<int64_t>(job.number)).bind(to_string(job.state)).bind(to_string(job.spec.service)).bind(job.peer);
  row.bind(job.spec.submission_id).bind(api::to_record(job)).step();
  if (!row.is_done()) return failed("write a job");
  return success();
}

Status SqliteJobStore::note(const Event& event) {
  Statement row(database_, "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?)");
  row.bind(static_cast<int64_t>(event.number)).bind(milliseconds(event.time)).bind(event.job).bind(int64_t{event.owner}).bind(event.type).bind(event.data).step();
  if (!row.is_done()) return failed("write an event");
  return success();
}

Status SqliteJobStore::write_rows(const Batch& batch, job::WallTime now) {
  for (const job::Job& job : batch.jobs)
    if (Status status = save(job); !status.ok()) return status;
  for (const job::JobId& id : batch.forgotten) {
    Statement row(database_, "DELETE FROM jobs WHERE id = ?");
    row.bind(id).step();
    if (!row.is_done()) return failed("forget a job");
  }
  for (const Event& event : batch.events)
    if (Status status = note(event); !status.ok()) return status;
  Statement old(database_, "DELETE FROM events WHERE time_ms < ?");
  old.bind(milliseconds(now - kEventsKeptFor)).step();
  if (!old.is_done()) return failed("forget events");
  return success();
}

Status SqliteJobStore::write(const Batch& batch, job::WallTime now) {
  if (Status status = run("BEGIN IMMEDIATE"); !status.ok()) return status;
  Status status = write_rows(batch, now);
  if (status.ok()) status = run("COMMIT");
  if (!status.ok()) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  return status;
}

Result<std::unique_ptr<SqliteJobStore::Copy>> SqliteJobStore::begin_copy(const std::string& file) {
  std::unique_ptr<Copy> copy(new Copy(*this, file));
  if (Status status = copy->open(); !status.ok()) return std::move(status).error();
  return copy;
}

// The file counts once it is whole, synced and renamed, so that SQLite need neither sync it nor be able to undo what it wrote.
Status SqliteJobStore::Copy::open() {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  int code = sqlite3_open_v2(file_.c_str(), &to_, kFlags, nullptr);
  if (code == SQLITE_OK) code = sqlite3_exec(to_, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=16;", nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) backup_ = sqlite3_backup_init(to_, "main", from_.database_, "main");
  return backup_ != nullptr ? success() : Status(failed(sqlite3_errmsg(to_)));
}

SqliteJobStore::Copy::~Copy() {
  sqlite3_backup_finish(backup_);
  sqlite3_close(to_);
}

Result<bool> SqliteJobStore::Copy::step() {
  const int code = sqlite3_backup_step(backup_, kCopyPages);
  if (code == SQLITE_OK) return false;
  if (code != SQLITE_DONE) return failed(sqlite3_errstr(code));
  const int finished = sqlite3_backup_finish(std::exchange(backup_, nullptr));
  const int closed = finished == SQLITE_OK ? sqlite3_close(std::exchange(to_, nullptr)) : finished;
  return closed == SQLITE_OK ? Result<bool>(true) : failed(sqlite3_errstr(closed));
}

Error SqliteJobStore::Copy::failed(const char* why) const {
  return {Fault::kStoreUnavailable, "the job store " + to_display(from_.path_) + ": copy it to " + to_display(file_) + ": " + why,
          "free space there, or see what the disk and its log say; it is tried again in an hour"};  // the store itself goes on
}

}  // namespace tideway::store
