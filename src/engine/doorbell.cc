// SPDX-License-Identifier: Apache-2.0
#include "engine/doorbell.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace tideway::engine {

Result<std::unique_ptr<Doorbell>> Doorbell::create() {
  Descriptor fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd.is_open())
    return Error{Fault::kOverloaded, std::string("cannot make an eventfd to wake a worker: ") + std::strerror(errno),
                 "raise the limit of open files (LimitNOFILE, ulimit -n)"};
  return std::unique_ptr<Doorbell>(new Doorbell(std::move(fd)));
}

void Doorbell::wake() {
  const uint64_t one = 1;
  // It can fail only by EAGAIN at 2^64 - 2 unread rings, and then the descriptor is readable anyway.
  const ssize_t written = write(fd(), &one, sizeof one);
  TIDEWAY_CHECK(written == sizeof one || errno == EAGAIN);
}

void Doorbell::sleep(Duration at_most, const Others& others) {
  using std::chrono::seconds;
  const Duration wait = std::max(at_most, Duration::zero());
  const auto whole = std::chrono::duration_cast<seconds>(wait);
  const timespec timeout{.tv_sec = whole.count(), .tv_nsec = (wait - whole).count()};
  pollfd watched[] = {{.fd = fd(), .events = POLLIN, .revents = 0}, {.fd = others[0], .events = POLLIN, .revents = 0},
                      {.fd = others[1], .events = POLLIN, .revents = 0}};
  const int ready = ppoll(watched, std::size(watched), &timeout, nullptr);  // a negative descriptor is passed over
  TIDEWAY_CHECK(ready >= 0 || errno == EINTR || errno == ENOMEM);
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
