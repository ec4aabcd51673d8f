// SPDX-License-Identifier: Apache-2.0
#include "engine/sync_pace.h"

#include "flow/credit.h"
#include "mem/buffer.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>

namespace tideway::engine {
namespace {

using std::chrono::milliseconds;
constexpr Time at(int ms) { return Time{} + milliseconds(ms); }

TEST(SyncPace, ABatchClosesHalfASecondAfterItsFirstByte) {
  SyncPace pace;
  EXPECT_FALSE(pace.wants_sync(at(5000))) << "nothing was written";
  pace.on_written(at(1000), 1_MiB);
  pace.on_written(at(1400), 1_MiB);
  EXPECT_FALSE(pace.wants_sync(at(1499)));
  EXPECT_TRUE(pace.wants_sync(at(1500)));
}

TEST(SyncPace, SyncsThatAreSlowAreMadeLessOften) {
  SyncPace pace;
  pace.on_written(at(1000), 1_MiB);
  pace.on_sync_begun(at(1500));
  pace.on_written(at(1500), 1_MiB);
  pace.on_synced(at(2500));
  pace.on_batch_ended();
  EXPECT_FALSE(pace.wants_sync(at(5499))) << "it took one second, so it rests for three";
  EXPECT_TRUE(pace.wants_sync(at(5500)));
}

TEST(SyncPace, WhatMayBeLostIsBounded) {
  SyncPace pace;
  pace.on_written(at(1000), 127_MiB);
  EXPECT_FALSE(pace.wants_sync(at(1001)));
  pace.on_written(at(1001), 1_MiB);
  EXPECT_TRUE(pace.wants_sync(at(1001))) << "half of it is open";
  EXPECT_TRUE(pace.has_room_for(4_MiB));
  pace.on_sync_begun(at(1001));
  pace.on_written(at(1002), 120_MiB);
  EXPECT_TRUE(pace.has_room_for(4_MiB));
  pace.on_write_begun(4_MiB);
  EXPECT_TRUE(pace.has_room_for(4_MiB));
  pace.on_write_begun(4_MiB);
  EXPECT_FALSE(pace.has_room_for(4_MiB)) << "what is being written is soon what is written";
  pace.on_write_ended(8_MiB);
  pace.on_written(at(1003), 8_MiB);
  EXPECT_FALSE(pace.has_room_for(4_MiB)) << "what is being synced may still be lost";
  pace.on_synced(at(1100));
  pace.on_batch_ended();
  EXPECT_TRUE(pace.has_room_for(4_MiB));
}

TEST(SyncPace, AFastTransferMayLoseASecondsWorth) {
  SyncPace pace;
  pace.on_sync_begun(at(1000));
  pace.on_synced(at(1000));
  pace.on_batch_ended();
  pace.on_written(at(1001), 1000_MiB);
  pace.on_sync_begun(at(1500));
  pace.on_synced(at(1500));
  pace.on_batch_ended();
  pace.on_written(at(1501), 1500_MiB);
  EXPECT_TRUE(pace.has_room_for(4_MiB)) << "2,000 MiB pass in a second";
  pace.on_written(at(1502), 500_MiB);
  EXPECT_FALSE(pace.has_room_for(4_MiB));
}

TEST(SyncPace, WhatBuffersHoldCountsToWhatMayBeLost) {
  SyncPace pace;
  EXPECT_EQ(pace.credit_max(), 128_MiB);
  pace.set_buffers(28_MiB);
  EXPECT_TRUE(pace.has_room_for(228_MiB));
  EXPECT_FALSE(pace.has_room_for(229_MiB));
  pace.set_buffers(Bytes(4096) * (4_MiB).count());
  EXPECT_TRUE(pace.has_room_for(128_MiB)) << "credit takes no more than half";
  EXPECT_FALSE(pace.has_room_for(129_MiB));
}

// A sink with far more buffers than may be lost, three lanes, and a source that begins all it may. Its disk takes a block at a time.
class SinkOfThreeLanes {
 public:
  static constexpr size_t kLanes = 3;
  explicit SinkOfThreeLanes(Duration per_block) : per_block_(per_block) {
    pace_.set_buffers(kLeafSize * kPool);
    for (auto& lane : lanes_) EXPECT_TRUE(lane.open_receiving(kSlot, ceiling()).ok());
  }
  void turn() {
    for (size_t i = 0; i < kLanes; ++i)
      for (; begun_[i] < lanes_[i].blocks_allowed(kSlot); ++begun_[i], ++lost_) {
        lanes_[i].on_block_started(kSlot);
        in_buffers_.push_back(i);
      }
    most_lost_ = std::max(most_lost_, lost_);
    now_ += per_block_;
    if (pace_.wants_sync(now_) && !sync_ends_) {
      syncing_ = std::exchange(written_, 0);
      pace_.on_sync_begun(now_);
      sync_ends_ = now_ + kSync;
    }
    if (sync_ends_ && now_ >= *sync_ends_) end_sync();
    if (in_buffers_.empty() || !pace_.has_room_for(kLeafSize)) return;
    flow::Credit& lane = lanes_[in_buffers_.front()];
    in_buffers_.pop_front();
    pace_.on_written(now_, kLeafSize);
    written_ += 1;
    ask_for_more(lane);
    lane.set_ceiling(kSlot, ceiling());
    lane.on_buffer_free(kSlot);
  }
  Bytes most_lost() const { return kLeafSize * most_lost_; }
  Bytes durable() const { return kLeafSize * durable_; }

 private:
  static constexpr SlotId kSlot{1};
  static constexpr uint64_t kPool = 4096;
  static constexpr Duration kSync = milliseconds(100);
  static flow::CreditConfig of_lane(flow::CreditPool& pool, uint16_t id) { return {.lane = LaneId(id), .unit = kBufferSize, .pool = &pool}; }
  uint64_t ceiling() const { return pace_.credit_max().count() / kBufferSize / kLanes; }
  void ask_for_more(flow::Credit& lane) const {  // the body of a BLOCKED frame
    std::vector<std::byte> body(16);
    Writer out(body);
    out.write_u16(kSlot.value());
    out.write_u16(static_cast<uint16_t>(&lane - lanes_.data()));
    out.write_u32(0);
    out.write_u64(lane.blocks_allowed(kSlot) * kBufferSize);
    EXPECT_TRUE(lane.on_frame(static_cast<uint8_t>(wire::FrameType::kBlocked), body).ok());
  }
  void end_sync() {
    lost_ -= syncing_;
    durable_ += std::exchange(syncing_, 0);
    pace_.on_synced(now_);
    pace_.on_batch_ended();
    sync_ends_.reset();
  }

  flow::CreditPool pool_{.blocks_max = kPool};
  std::array<flow::Credit, kLanes> lanes_{flow::Credit(of_lane(pool_, 0)), flow::Credit(of_lane(pool_, 1)), flow::Credit(of_lane(pool_, 2))};
  std::array<uint64_t, kLanes> begun_{};
  SyncPace pace_;
  const Duration per_block_;
  Time now_ = at(1000);
  std::optional<Time> sync_ends_;
  std::deque<size_t> in_buffers_;  // lanes
  uint64_t written_ = 0, syncing_ = 0, durable_ = 0, lost_ = 0, most_lost_ = 0;  // blocks
};

TEST(SyncPace, ASinkThatIsKilledLosesNoMoreThanMayBeLostWhateverItHasInBuffers) {
  SinkOfThreeLanes slow(milliseconds(40));  // 100 MiB a second
  for (int i = 0; i < 2000; ++i) slow.turn();
  EXPECT_LE(slow.most_lost(), 256_MiB);
  EXPECT_GE(slow.most_lost(), 150_MiB) << "nothing held it back";
  EXPECT_GE(slow.durable(), 6000_MiB);
  SinkOfThreeLanes fast(milliseconds(2));  // 2,000 MiB a second
  for (int i = 0; i < 10'000; ++i) fast.turn();
  EXPECT_LE(fast.most_lost(), 2000_MiB);
  EXPECT_GE(fast.most_lost(), 1000_MiB) << "a fast one needs more on its way";
  EXPECT_GE(fast.durable(), 30'000_MiB);
}

}  // namespace
}  // namespace tideway::engine
