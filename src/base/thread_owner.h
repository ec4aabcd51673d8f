// SPDX-License-Identifier: Apache-2.0
//
// Remembers the thread that first used an object and, in debug builds, stops the program when another one does. A
// member of each object whose header names an owner thread.
#pragma once
#include <tideway/check.h>

#ifndef NDEBUG
#include <atomic>
#include <thread>
#endif

namespace tideway {

class ThreadOwner {
 public:
#ifdef NDEBUG
  void check() const {}
  void hand_over() {}
#else
  ThreadOwner() = default;
  ThreadOwner(const ThreadOwner&) {}
  ThreadOwner& operator=(const ThreadOwner&) { return *this; }

  void check() const {
    std::thread::id nobody;
    const auto me = std::this_thread::get_id();
    if (!owner_.compare_exchange_strong(nobody, me)) TIDEWAY_CHECK(nobody == me);
  }
  // The next thread to call check() becomes the owner.
  void hand_over() { owner_ = std::thread::id(); }

 private:
  mutable std::atomic<std::thread::id> owner_{};
#endif
};

}  // namespace tideway
