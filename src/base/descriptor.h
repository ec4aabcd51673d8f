// SPDX-License-Identifier: Apache-2.0
//
// Who owns a file descriptor: an open file, a socket, or one of those that are waited for. It is closed with its owner.
// Thread: one owner.
#pragma once
#include <unistd.h>

#include <utility>

namespace tideway {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}  // a negative number is kept, but is none: -errno may say why
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void reset(int fd = -1) {
    const int former = std::exchange(fd_, fd);
    if (former >= 0) ::close(former);
  }
  int release() { return std::exchange(fd_, -1); }  // the caller closes it

 private:
  int fd_ = -1;
};

}  // namespace tideway
