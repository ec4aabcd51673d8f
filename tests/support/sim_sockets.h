// SPDX-License-Identifier: Apache-2.0
//
// Lets the Nth socket call of this thread fail, as a kernel may that is short of something, is interrupted, or has bad news of a
// peer. It stands in front of the C library in the test that links sim_sockets.cc; other calls and other threads are served as ever.
// Thread: any; each has its own.
#pragma once
#include <cstdint>

namespace tideway::test {

struct SocketFault {
  enum class Kind : uint8_t {
    kNone,
    kError,        // what such a call may meet
    kInterrupted,  // EINTR, of a call that may
    kAgain,        // EAGAIN, of a call that moves bytes or packets
  };
  Kind kind = Kind::kNone;
  uint64_t at = 0;  // the call of that number among those that the kind is about, from 1
};

class SimSockets {
 public:
  explicit SimSockets(const SocketFault& fault);
  ~SimSockets();
  SimSockets(const SimSockets&) = delete;
  SimSockets& operator=(const SimSockets&) = delete;
  bool was_hit() const;
};

}  // namespace tideway::test
