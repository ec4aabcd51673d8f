// SPDX-License-Identifier: Apache-2.0
#include "daemon/audit_log.h"

#include "base/log.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <utility>

namespace tideway::daemon {
namespace {

constexpr auto kRetryAfter = std::chrono::seconds(1);
constexpr auto kReportAgainAfter = std::chrono::seconds(60);

// RFC 3339 in UTC, with milliseconds.
std::string wall_time() {
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto whole = std::chrono::floor<std::chrono::seconds>(now);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(whole);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%03dZ", static_cast<int>((now - whole).count()));
  return text;
}

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::open(const std::string& path) {
  auto file = AuditFile::open(path);
  if (!file.ok()) return std::move(file).error();
  const uint64_t torn = file.value().torn();
  std::unique_ptr<AuditLog> log(new AuditLog(std::move(file).value()));
  log->opening_.emplace("audit_opened");
  if (torn > 0) log->opening_->with("unfinished_bytes_removed", torn);
  return log;
}

AuditLog::AuditLog(AuditFile file) : file_(std::move(file)), end_(file_.end()) {
  thread_ = std::thread([this] { run(); });
}

AuditLog::~AuditLog() {
  {
    const std::lock_guard lock(mutex_);
    must_end_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void AuditLog::record(session::AuditEvent event) {
  Dated dated{wall_time(), std::move(event)};
  const std::lock_guard lock(mutex_);
  if (held_ >= kWaitingMax) {
    ++lost_;
    return;
  }
  if (auto opening = std::exchange(opening_, std::nullopt)) {
    ++held_;
    queue_.push_back({dated.time, std::move(*opening)});
  }
  ++held_;
  queue_.push_back(std::move(dated));
  wake_.notify_one();
}

void AuditLog::reopen() {
  const std::lock_guard lock(mutex_);
  must_reopen_ = true;
  wake_.notify_one();
}

ChainEnd AuditLog::end() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

// ---- the thread ----------------------------------------------------------------------------------------------------

void AuditLog::run() {
  std::unique_lock lock(mutex_);
  for (bool is_ending = false; !is_ending;) {
    const auto is_due = [this] { return must_end_ || must_reopen_ || (!queue_.empty() && !is_failing_); };
    if (is_failing_) wake_.wait_for(lock, kRetryAfter, is_due);
    else wake_.wait(lock, is_due);
    is_ending = must_end_;
    const bool reopens = std::exchange(must_reopen_, false);
    std::move(queue_.begin(), queue_.end(), std::back_inserter(unwritten_));
    queue_.clear();
    gap_ += std::exchange(lost_, 0);
    lock.unlock();
    if (reopens || owes_reopening_) reopen_file();
    write_waiting();
    lock.lock();
    held_ = queue_.size() + unwritten_.size();
    end_ = file_.end();
  }
  log::info("audit_end", to_fields(end_));
}

void AuditLog::write_waiting() {
  if (file_.unsynced() >= kUnsyncedMax && !sync()) return;  // no more is kept to be written again
  if (!unwritten_.empty() && !append_waiting()) return;
  owes_sync_ = owes_sync_ || file_.unsynced() >= kUnsyncedMax;
  if (owes_sync_ && !sync()) return;
  if (!owes_reopening_ && std::exchange(is_failing_, false)) log::info("audit_written_again");
}

// All of it or nothing, so that the chain in the file is always the one in memory.
bool AuditLog::append_waiting() {
  ChainEnd end = file_.end();
  std::string lines;
  bool must_sync = false;
  for (const Dated& dated : unwritten_) {
    lines.append(next_line(end, dated.time, dated.event.members())) += '\n';
    must_sync = must_sync || dated.event.care() == session::AuditEvent::Care::kSynced;
  }
  if (gap_ > 0) lines.append(next_line(end, wall_time(), session::AuditEvent("events_lost").with("count", gap_).members())) += '\n';
  if (Status status = file_.append(lines, end); !status.ok()) {
    report(status.error());
    return false;
  }
  for (Dated& dated : unwritten_)
    if (auto kept = dated.event.take_kept()) kept_.push_back(std::move(kept));
  unwritten_.clear();
  gap_ = 0;
  owes_sync_ = owes_sync_ || must_sync;
  return true;
}

bool AuditLog::sync() {
  const Status status = file_.sync();
  owes_sync_ = !status.ok();
  const bool had_failed = std::exchange(has_failed_sync_, owes_sync_);
  if (status.ok()) kept_.clear();
  if (status.ok()) return true;
  const Error& why = status.error();
  if (!had_failed) unwritten_.push_back({wall_time(), std::move(session::AuditEvent("sync_failed", session::AuditEvent::Care::kSynced).with("code", why.name()).with("why", why.what))});
  report(why);
  return false;
}

// Nobody waits for a disk that takes nothing.
void AuditLog::let_go() {
  kept_.clear();
  for (Dated& dated : unwritten_) dated.event.take_kept().reset();
}

void AuditLog::reopen_file() {
  owes_reopening_ = true;
  if (!sync()) return;
  const ChainEnd end = file_.end();
  if (Status status = file_.reopen(); !status.ok()) return report(status.error());
  owes_reopening_ = false;
  log::info("audit_end", to_fields(end));
}

void AuditLog::report(const Error& why) {
  const auto now = std::chrono::steady_clock::now();
  if (!std::exchange(is_failing_, true) || now - reported_ >= kReportAgainAfter) {
    reported_ = now;
    log::error("audit_not_written", "code=" + std::string(why.name()) + " why=\"" + why.what + "\" next=\"" + why.next +
                                        "\" waiting=" + std::to_string(unwritten_.size()) + " lost=" + std::to_string(gap_));
  }
  let_go();
}

}  // namespace tideway::daemon
