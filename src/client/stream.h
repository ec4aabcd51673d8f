// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint that is sent while it is written: the gateway hears of it before the save, of ranges meanwhile, and of its end. Only then
// it is held, as any other. Where the gateway is away, or knows no streams, the checkpoint goes whole when it is complete.
// Thread: what comes from the trainer any, under a mutex never held across a system call; the rest the queue's.
#pragma once
#include "client/requests.h"

#include <deque>
#include <mutex>
#include <optional>
#include <string>

namespace tideway::client {

struct FinalRange {
  std::string file;  // below the checkpoint; empty: the checkpoint is that file
  uint64_t offset = 0, length = 0;
};

class StreamRequest final : public CheckpointRequest {
 public:
  static constexpr size_t kRangesMax = 4096;    // that wait; what is not declared travels at the end
  static constexpr size_t kRangesPerStep = 64;  // so that a stream holds up no other item for long

  using CheckpointRequest::CheckpointRequest;
  // For the trainer's thread. What stood in the way, or nothing.
  std::optional<Trouble> declare(FinalRange range);  // its file also as a whole path
  void complete();
  void abort();  // also behind complete()

  std::optional<std::chrono::nanoseconds> step() override;
  void spill() override;
  std::optional<std::chrono::nanoseconds> part() override;
  bool is_open() const override { return end_so_far() == End::kNotYet; }

 private:
  enum class End : uint8_t { kNotYet, kComplete, kAborted };
  End end_so_far() const;
  std::optional<FinalRange> first_range() const;
  bool tell(End end);  // false: the gateway was not there
  bool open();
  std::optional<std::chrono::nanoseconds> finish();
  std::string place_of_stream(const std::string& id, const char* verb) const { return std::string(target()) + '/' + id + '/' + verb; }
  Reply abandon();
  void give_up_stream(const Trouble& trouble);

  Json opened_;  // what the gateway answered; null: it has no stream of it
  std::string left_;  // the stream that the gateway may have still, though it goes whole now
  bool is_refused_ = false;
  std::optional<std::chrono::steady_clock::time_point> parts_until_;

  mutable std::mutex mutex_;
  std::deque<FinalRange> ranges_;  // guarded by mutex_
  End end_ = End::kNotYet;
};

}  // namespace tideway::client
