// SPDX-License-Identifier: Apache-2.0
#include "host.h"

#include "base/clock.h"

#include <time.h>

#include <algorithm>
#include <cerrno>

namespace tideway::trainer {
namespace {

constexpr Duration kLate = std::chrono::milliseconds(1);  // a sleep that overslept by more shows a busy machine

void sleep_until(Time when) {
  const Duration since = when.time_since_epoch();
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(since);
  const timespec at{.tv_sec = whole.count(), .tv_nsec = (since - whole).count()};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {}
}

}  // namespace

Result<std::unique_ptr<Host>> Host::open(const Settings& settings, size_t index) {
  std::unique_ptr<Host> host(new Host(settings, index));
  auto flows = Flows::open(settings);
  if (!flows.ok()) return std::move(flows).error();
  auto announcer = Announcer::open(settings, index);
  if (!announcer.ok()) return std::move(announcer).error();
  host->flows_ = std::move(flows).value();
  host->announcer_ = std::move(announcer).value();
  return host;
}

Status Host::iterate(Time start, size_t number) {
  last_ = {};
  last_.start = start;
  last_.drawn = compute_time(number);
  const Time wakes = start + last_.drawn;
  sleep_until(wakes);
  last_.burst_start = read_clock();
  last_.compute = last_.burst_start - start;
  if (last_.burst_start - wakes > kLate) ++late_;
  announcer_->begin();
  if (Status status = flows_->burst(settings_.burst / settings_.fan_in); !status.ok()) return status;
  announcer_->end();
  last_.end = read_clock();
  return success();
}

Duration Host::compute_time(size_t number) {
  const double stretch = settings_.step_at > 0 && number >= settings_.step_at + settings_.warmup ? 1 + settings_.step : 1;
  std::normal_distribution<double> spread(0, settings_.jitter);
  const double time = static_cast<double>(settings_.compute.count()) * stretch * (1 + spread(random_));
  return Duration(static_cast<int64_t>(std::max(time, 0.0)));
}

}  // namespace tideway::trainer
