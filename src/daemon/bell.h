// SPDX-License-Identifier: Apache-2.0
//
// Wakes a thread that waits for descriptors: readable from a ring until it is cleared. Each ring is a system call, which net workers
// cannot afford: theirs is engine/doorbell.h.
// Thread: any, once it is open.
#pragma once
#include "base/descriptor.h"
#include <tideway/result.h>

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

namespace tideway::daemon {

class Bell {
 public:
  // Errors: overloaded, when no descriptor is left for `whom`.
  Status open(const std::string& whom) {
    fd_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!fd_.is_open()) return Error{Fault::kOverloaded, "no descriptor is left for " + whom + ": " + std::strerror(errno), "raise the limit of open files"};
    return success();
  }
  void ring() const {
    const uint64_t one = 1;
    static_cast<void>(!::write(fd(), &one, sizeof one));  // fails only where it is readable anyway
  }
  void clear() const {
    uint64_t rings = 0;
    static_cast<void>(!::read(fd(), &rings, sizeof rings));
  }
  int fd() const { return fd_.get(); }

 private:
  Descriptor fd_;
};

}  // namespace tideway::daemon
