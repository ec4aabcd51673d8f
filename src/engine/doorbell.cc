// SPDX-License-Identifier: Apache-2.0
#include "engine/doorbell.h"

#include "base/clock.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace tideway::engine {

Result<std::unique_ptr<Doorbell>> Doorbell::create() {
  Descriptor fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  Descriptor alarm(fd.is_open() ? timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC) : -1);
  if (!alarm.is_open())
    return Error{Fault::kOverloaded, std::string("cannot make descriptors to wake a worker: ") + std::strerror(errno),
                 "raise the limit of open files (LimitNOFILE, ulimit -n)"};
  return std::unique_ptr<Doorbell>(new Doorbell(std::move(fd), std::move(alarm)));
}

void Doorbell::wake() {
  const uint64_t one = 1;
  // It can fail only by EAGAIN at 2^64 - 2 unread rings, and then the descriptor is readable anyway.
  const ssize_t written = write(fd(), &one, sizeof one);
  TIDEWAY_CHECK(written == sizeof one || errno == EAGAIN);
}

void Doorbell::sleep(Duration at_most, const Others& others) {
  const bool waits = at_most > Duration::zero();
  if (waits) {
    const Time now = read_clock();
    set_alarm(now, now + at_most);
  }
  pollfd watched[] = {{.fd = fd(), .events = POLLIN, .revents = 0}, {.fd = alarm_.get(), .events = POLLIN, .revents = 0},
                      {.fd = others[0], .events = POLLIN, .revents = 0}, {.fd = others[1], .events = POLLIN, .revents = 0}};
  const int ready = poll(watched, std::size(watched), waits ? -1 : 0);  // a negative descriptor is passed over
  TIDEWAY_CHECK(ready >= 0 || errno == EINTR || errno == ENOMEM);
}

void Doorbell::set_alarm(Time now, Time until) {
  if (alarm_at_ > now && alarm_at_ <= until) return;
  using std::chrono::seconds;
  const auto whole = std::chrono::duration_cast<seconds>(until.time_since_epoch());
  const itimerspec alarm{.it_interval = {}, .it_value = {.tv_sec = whole.count(), .tv_nsec = (until.time_since_epoch() - whole).count()}};
  TIDEWAY_CHECK(timerfd_settime(alarm_.get(), TFD_TIMER_ABSTIME, &alarm, nullptr) == 0);  // one that has rung is silent again
  alarm_at_ = until;
  ++alarms_set_;
}

void Doorbell::disarm() {
  if (!is_armed_.exchange(false, std::memory_order_acq_rel)) ++rings_owed_;
  if (rings_owed_ == 0) return;  // nobody rang: no system call
  // A ringer may have taken the flag and not written yet. Its ring then ends the next sleep early and is read there.
  uint64_t rings = 0;
  if (read(fd(), &rings, sizeof rings) != sizeof rings) {
    TIDEWAY_CHECK(errno == EAGAIN || errno == EINTR);
    return;
  }
  TIDEWAY_CHECK(rings <= rings_owed_);
  rings_owed_ -= rings;
}

}  // namespace tideway::engine
