// SPDX-License-Identifier: Apache-2.0
#include "storage/blocking_queue.h"

#include <tideway/check.h>

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tideway::storage {
namespace {

int sync_now(const IoRequest& request) {
  while (true) {
    const int result = request.op == IoOp::kSync ? ::fsync(request.fd) : ::fdatasync(request.fd);
    if (result == 0) return 0;
    if (errno != EINTR) return errno;
  }
}

}  // namespace

size_t AnswerShelf::take(uint32_t owner, std::span<IoDone> out) {
  size_t taken = 0;
  std::erase_if(answers_, [&](const IoDone& done) {
    if (done.owner != owner || taken == out.size()) return false;
    out[taken++] = done;
    return true;
  });
  return taken;
}

void AnswerShelf::drop(uint32_t owner) {
  std::erase_if(answers_, [&](const IoDone& done) { return done.owner == owner; });
}

IoDone perform(const IoRequest& request) {
  IoDone done{request.owner, request.user};
  if (request.op == IoOp::kDataSync || request.op == IoOp::kSync) {
    done.error = sync_now(request);
    return done;
  }
  while (done.transferred < request.bytes.size()) {
    const auto rest = request.bytes.subspan(done.transferred);
    const auto at = static_cast<off_t>(request.offset + done.transferred);
    const ssize_t moved = request.op == IoOp::kRead ? ::pread(request.fd, rest.data(), rest.size(), at)
                                                    : ::pwrite(request.fd, rest.data(), rest.size(), at);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) {
      // Direct I/O behind a short read is unaligned and refused; the short read was the end of the file.
      if (errno != EINVAL || done.transferred == 0) done.error = errno;
      break;
    }
    if (moved == 0) {
      if (request.op == IoOp::kWrite) done.error = EIO;  // POSIX allows it for no regular file
      break;
    }
    done.transferred += static_cast<size_t>(moved);
  }
  return done;
}

void BlockingQueue::submit(const IoRequest& request) {
  TIDEWAY_CHECK(room() > 0);
  shelf_.put(perform(request));
}

}  // namespace tideway::storage
