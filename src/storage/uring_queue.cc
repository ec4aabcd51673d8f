// SPDX-License-Identifier: Apache-2.0
#include "storage/uring_queue.h"

#ifdef TIDEWAY_HAVE_URING
#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace tideway::storage {
namespace {

// From the most wanted to what every kernel with io_uring has. No DEFER_TASKRUN: we poll without entering the kernel,
// and completions would never appear. R_DISABLED lets the worker's first submit decide who the single issuer is.
constexpr std::array<unsigned, 3> kSetupFlags = {
    IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER |
        IORING_SETUP_R_DISABLED,
    IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_CQSIZE};

}  // namespace

struct UringQueue::Ring {
  io_uring ring{};
  bool is_enabled = true;
  unsigned prepared = 0;  // not yet handed to the kernel
  ~Ring() { io_uring_queue_exit(&ring); }
};

Result<std::unique_ptr<IoQueue>> UringQueue::create() {
  int error = 0;
  for (const unsigned flags : kSetupFlags) {
    io_uring_params params{};
    params.flags = flags;
    params.cq_entries = kIoQueueDepth * 2;
    io_uring made{};
    error = -io_uring_queue_init_params(kIoQueueDepth, &made, &params);
    if (error == EINVAL) continue;
    if (error != 0) break;
    auto ring = std::make_unique<Ring>();
    ring->ring = made;
    ring->is_enabled = (flags & IORING_SETUP_R_DISABLED) == 0;
    return std::unique_ptr<IoQueue>(new UringQueue(std::move(ring)));
  }
  return Error{Fault::kUnsupported, "io_uring cannot be used here: " + std::string(std::strerror(error)),
               "use the mode auto or threads, or allow io_uring (kernel.io_uring_disabled, seccomp profile)"};
}

UringQueue::UringQueue(std::unique_ptr<Ring> ring) : ring_(std::move(ring)), slots_(kIoQueueDepth) {
  for (uint32_t i = kIoQueueDepth; i > 0; --i) free_.push_back(i - 1);
}

UringQueue::~UringQueue() {
  while (free_.size() < slots_.size()) {
    hand_over();
    io_uring_cqe* cqe = nullptr;
    const int error = -io_uring_wait_cqe(&ring_->ring, &cqe);
    TIDEWAY_CHECK(error == 0 || error == EINTR || error == EAGAIN);
    reap();
  }
}

size_t UringQueue::room() const {
  const size_t unpolled = shelf_.size();
  return free_.size() > unpolled ? free_.size() - unpolled : 0;
}

int UringQueue::wait_fd() const { return ring_->ring.ring_fd; }

void UringQueue::submit(const IoRequest& request) {
  TIDEWAY_CHECK(room() > 0);
  const uint32_t index = free_.back();
  free_.pop_back();
  slots_[index] = {request, 0, true};
  prepare(index);
}

void UringQueue::prepare(uint32_t index) {
  const Slot& slot = slots_[index];
  const IoRequest& request = slot.request;
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_->ring);
  if (sqe == nullptr) {  // all entries prepared and none handed over
    hand_over();
    sqe = io_uring_get_sqe(&ring_->ring);
    TIDEWAY_CHECK(sqe != nullptr);
  }
  const auto rest = request.bytes.subspan(slot.transferred);
  const auto size = static_cast<unsigned>(rest.size());
  const uint64_t at = request.offset + slot.transferred;
  switch (request.op) {
    case IoOp::kRead: io_uring_prep_read(sqe, request.fd, rest.data(), size, at); break;
    case IoOp::kWrite: io_uring_prep_write(sqe, request.fd, rest.data(), size, at); break;
    case IoOp::kDataSync: io_uring_prep_fsync(sqe, request.fd, IORING_FSYNC_DATASYNC); break;
    case IoOp::kSync: io_uring_prep_fsync(sqe, request.fd, 0); break;
  }
  sqe->user_data = index;
  ++ring_->prepared;
}

void UringQueue::hand_over() {
  if (ring_->prepared == 0) return;
  if (!ring_->is_enabled) {
    // By number: liburing 2.3 forgets to export its wrapper.
    TIDEWAY_CHECK(::syscall(SYS_io_uring_register, ring_->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
    ring_->is_enabled = true;
  }
  const int taken = io_uring_submit(&ring_->ring);
  if (taken > 0) ring_->prepared -= static_cast<unsigned>(taken);  // the rest, or after EAGAIN all, goes at the next poll
}

size_t UringQueue::poll(uint32_t owner, std::span<IoDone> out) {
  hand_over();
  reap();
  hand_over();  // what a short transfer left
  return shelf_.take(owner, out);
}

void UringQueue::reap() {
  io_uring_cqe* cqe = nullptr;
  while (io_uring_peek_cqe(&ring_->ring, &cqe) == 0 && cqe != nullptr) {
    const auto index = static_cast<uint32_t>(cqe->user_data);
    const int result = cqe->res;
    io_uring_cqe_seen(&ring_->ring, cqe);
    on_result(index, result);
    cqe = nullptr;
  }
}

void UringQueue::on_result(uint32_t index, int result) {
  Slot& slot = slots_[index];
  TIDEWAY_CHECK(slot.is_used);
  const IoRequest& request = slot.request;
  // Nobody here cancels; the kernel does when a signal keeps it from starting a thread for its queue (net_tap is full of them).
  if (result == -EINTR || result == -EAGAIN || result == -ECANCELED) return prepare(index);
  IoDone done{request.owner, request.user, result < 0 ? -result : 0, slot.transferred};
  if (request.op == IoOp::kRead || request.op == IoOp::kWrite) {
    if (result > 0) {
      slot.transferred += static_cast<size_t>(result);
      if (slot.transferred < request.bytes.size()) return prepare(index);
      done.transferred = slot.transferred;
    }
    // Direct I/O behind a short read is unaligned and refused; the short read was the end of the file.
    if (done.error == EINVAL && slot.transferred > 0) done.error = 0;
    if (result == 0 && request.op == IoOp::kWrite && !request.bytes.empty()) done.error = EIO;
  }
  slot.is_used = false;
  free_.push_back(index);
  shelf_.put(done);
}

bool UringQueue::has_work_of(uint32_t owner) const {
  for (const Slot& slot : slots_)
    if (slot.is_used && slot.request.owner == owner) return true;
  return false;
}

void UringQueue::drain(uint32_t owner) {
  while (has_work_of(owner)) {
    hand_over();
    io_uring_cqe* cqe = nullptr;
    const int error = -io_uring_wait_cqe(&ring_->ring, &cqe);
    TIDEWAY_CHECK(error == 0 || error == EINTR || error == EAGAIN);
    reap();
  }
  shelf_.drop(owner);
}

}  // namespace tideway::storage

#else  // built without liburing

namespace tideway::storage {

struct UringQueue::Ring {};

Result<std::unique_ptr<IoQueue>> UringQueue::create() {
  return Error{Fault::kUnsupported, "this build has no io_uring", "use the mode auto or threads"};
}

// No object is ever made without liburing; the class still needs its functions.
UringQueue::UringQueue(std::unique_ptr<Ring> ring) : ring_(std::move(ring)) {}
UringQueue::~UringQueue() = default;
size_t UringQueue::room() const { return 0; }
int UringQueue::wait_fd() const { return -1; }
void UringQueue::submit(const IoRequest&) {}
size_t UringQueue::poll(uint32_t, std::span<IoDone>) { return 0; }
void UringQueue::drain(uint32_t) {}

}  // namespace tideway::storage
#endif
