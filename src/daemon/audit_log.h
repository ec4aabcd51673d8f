// SPDX-License-Identifier: Apache-2.0
//
// The audit log of a gateway: takes events from the control thread and writes them from a thread of its own, so that a
// slow or full disk holds nobody up. While nothing can be written events wait in memory, up to kWaitingMax; what does not
// fit is counted, and the log says how many are missing when it goes on. What a failed sync may have cost is written once more, and the
// log says that it failed. At the start, at each reopening and at the end
// base/log has a line `audit_end` with the hash of the last line: noted elsewhere, it shows what was cut from the end.
// Thread: any, but for the file, which belongs to the thread that is started here.
#pragma once
#include "daemon/audit_file.h"
#include "session/audit_event.h"

#include <tideway/time.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace tideway::daemon {

class AuditLog {
 public:
  static constexpr size_t kWaitingMax = 8192;       // some megabytes: an hour of a busy gateway
  static constexpr size_t kUnsyncedMax = 1 << 20;   // bytes in the file that are kept in memory, too, until they are synced

  // Writes nothing before the first event: a gateway that cannot start, because another one is there, leaves that one's chain alone.
  // Errors: those of AuditFile::open.
  static Result<std::unique_ptr<AuditLog>> open(const std::string& path);
  // Writes what waits; once only, when the disk takes nothing.
  ~AuditLog();

  void record(session::AuditEvent event);  // never waits for the disk
  void reopen();                           // after a rotation
  ChainEnd end() const;                    // of what is written

 private:
  struct Dated {
    std::string time;
    session::AuditEvent event;
  };
  explicit AuditLog(AuditFile file);
  void run();
  void write_waiting();
  bool append_waiting();  // false: it was reported
  bool sync();            // the same
  void reopen_file();
  void report(const Error& why);
  void let_go();

  AuditFile file_;
  std::deque<Dated> unwritten_;       // of the thread: taken from the queue, and refused by the disk so far
  std::vector<std::shared_ptr<const void>> kept_;  // of events that are written, until a sync
  bool is_failing_ = false, owes_sync_ = false, owes_reopening_ = false;
  bool has_failed_sync_ = false;      // since the last good one
  std::chrono::steady_clock::time_point reported_{};
  uint64_t gap_ = 0;                  // events lost that the log has not named yet

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Dated> queue_;           // guarded by mutex_, like all that follows
  std::optional<session::AuditEvent> opening_;  // says that the file was opened, before the first event
  size_t held_ = 0;                   // in queue_ and with the thread
  uint64_t lost_ = 0;
  bool must_reopen_ = false, must_end_ = false;
  ChainEnd end_;
  std::thread thread_;
};

}  // namespace tideway::daemon
