// SPDX-License-Identifier: Apache-2.0
//
// How bytes go to and from open files: a queue of reads, writes and syncs that several stores share. Each store is one
// owner and sees its own completions only. A request is answered once, when all its bytes are moved, the file ended or
// an error came; short and interrupted calls are continued inside.
// Thread: one io worker.
#pragma once
#include "storage/direct_io.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace tideway::storage {

enum class IoOp : uint8_t { kRead, kWrite, kDataSync, kSync };

struct IoRequest {
  IoOp op = IoOp::kRead;
  int fd = -1;
  uint64_t offset = 0;
  std::span<std::byte> bytes;  // the caller's, until the answer
  uint32_t owner = 0;
  uint32_t user = 0;  // comes back
};

struct IoDone {
  uint32_t owner = 0;
  uint32_t user = 0;
  int error = 0;          // 0 or an errno
  size_t transferred = 0;  // fewer than asked: the file ended
};

class IoQueue {
 public:
  virtual ~IoQueue() = default;
  virtual std::string_view name() const = 0;
  // Requests it takes now; answers not yet polled count as taken.
  virtual size_t room() const = 0;
  // Needs room. May start later, at the latest in the next poll.
  virtual void submit(const IoRequest& request) = 0;
  // Never waits.
  virtual size_t poll(uint32_t owner, std::span<IoDone> out) = 0;
  // Waits until nothing of this owner is at work, and drops its answers.
  virtual void drain(uint32_t owner) = 0;
  // Readable when an answer may be there; -1: answers are there at once.
  virtual int wait_fd() const { return -1; }

  uint32_t add_owner() { return next_owner_++; }

  // Whether stores may go past the page cache. Said before the first of them asks.
  DirectIo direct() const { return direct_; }
  void set_direct(DirectIo direct) { direct_ = direct; }

 private:
  uint32_t next_owner_ = 1;
  DirectIo direct_ = DirectIo::kAuto;
};

// Answers that wait for their owners; as short as a queue is deep.
class AnswerShelf {
 public:
  void put(const IoDone& done) { answers_.push_back(done); }
  size_t take(uint32_t owner, std::span<IoDone> out);
  void drop(uint32_t owner);
  size_t size() const { return answers_.size(); }

 private:
  std::vector<IoDone> answers_;
};

inline constexpr uint32_t kIoQueueDepth = 128;  // two stores at their full 64 requests

}  // namespace tideway::storage
