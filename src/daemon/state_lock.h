// SPDX-License-Identifier: Apache-2.0
//
// A state folder belongs to one gateway at a time: its audit log is one chain, which two writers would break, and its queue is one
// queue. The lock goes with the process that holds it, however that ends, so nobody has to clean up behind a crash; what stands in its
// file says who that is, for the message to the next one.
// Thread: one owner.
#pragma once
#include "base/descriptor.h"
#include <tideway/result.h>

#include <string>
#include <string_view>

namespace tideway::daemon {

class StateLock {
 public:
  static constexpr std::string_view kFile = "lock";  // below the folder

  // Changes nothing where somebody has it. Errors: state_locked, with the process and its host; config_invalid: the folder cannot be used.
  static Result<StateLock> take(const std::string& folder);
  StateLock(StateLock&&) noexcept = default;
  StateLock& operator=(StateLock&&) = delete;
  ~StateLock();

 private:
  explicit StateLock(Descriptor file) : file_(std::move(file)) {}

  Descriptor file_;
};

}  // namespace tideway::daemon
