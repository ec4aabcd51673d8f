// SPDX-License-Identifier: Apache-2.0
#include "scrub.h"

#include "base/amounts.h"
#include "base/clock.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

namespace tideway::cli {
namespace {

constexpr Duration kReportEvery = std::chrono::seconds(1);

}  // namespace

void yield_to_others() {
  constexpr int kThisProcess = 1, kIdleClass = 3, kClassShift = 13;  // linux/ioprio.h is not in every set of headers
  static_cast<void>(::syscall(SYS_ioprio_set, kThisProcess, 0, kIdleClass << kClassShift));
  static_cast<void>(::nice(19));
}

ScrubProgress::ScrubProgress(const OutputConfig& output, Time start)
    : output_(output), start_(start), next_(start + kReportEvery), is_terminal_(isatty(STDERR_FILENO) == 1) {}

ScrubProgress::~ScrubProgress() {
  if (is_shown_) std::fputs("\r\033[K", stderr);
}

void ScrubProgress::show(Bytes done) {
  const Time now = read_clock();
  if (now < next_) return;
  next_ = now + kReportEvery;
  const Rate rate = Rate::of(done, now - start_);
  if (output_.json)
    JsonLine("progress").text("stage", "verify").number("bytes_done", done.count()).number("rate_bits", static_cast<uint64_t>(rate.bits_per_second())).print();
  if (output_.quiet || (!is_terminal_ && output_.progress != ProgressMode::kAlways)) return;
  std::fprintf(stderr, "%sreading  %s  %s%s", is_terminal_ ? "\r\033[K" : "", to_string(done).c_str(), to_string(rate).c_str(),
               is_terminal_ ? "" : "\n");
  std::fflush(stderr);
  is_shown_ = is_terminal_;
}

}  // namespace tideway::cli
