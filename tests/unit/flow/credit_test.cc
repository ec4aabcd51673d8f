// SPDX-License-Identifier: Apache-2.0
#include "flow/credit.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

namespace tideway::flow::credit_test {
namespace {

constexpr uint64_t kUnit = 4 << 20;
constexpr LaneId kLane{3};
constexpr Duration kRtt = std::chrono::milliseconds(10);
const Time kStart = Time{} + std::chrono::seconds(1);

Credit make_credit(uint64_t blocks) { return Credit({.lane = kLane, .unit = kUnit, .blocks_given_max = blocks}); }

std::vector<std::byte> written(Credit& from, size_t room = 1200) {
  std::vector<std::byte> bytes(room);
  Writer out(bytes);
  from.write_frames(out);
  bytes.resize(out.used());
  return bytes;
}

Status read_all(Credit& to, std::span<const std::byte> bytes) {
  Reader in(bytes);
  while (!in.is_empty()) {
    const auto type = in.read_u8();
    EXPECT_EQ(in.read_u8(), 0);
    const auto body = in.read_bytes(in.read_u16().value()).value();
    if (auto status = to.on_frame(*type, body); !status.ok()) return status;
  }
  return success();
}

// All frames reach the other side.
void deliver(Credit& from, Credit& to) {
  while (from.has_frames()) ASSERT_TRUE(read_all(to, written(from)).ok());
}

struct Pair {
  Credit sink, source;
  explicit Pair(uint64_t blocks) : sink(make_credit(blocks)), source(make_credit(0)) {}
  void open(SlotId slot) {
    ASSERT_TRUE(sink.open_receiving(slot).ok());
    source.open_sending(slot, sink.blocks_allowed(slot) * kUnit);
  }
  void exchange() {
    deliver(source, sink);
    deliver(sink, source);
  }
  uint64_t start_all(SlotId slot) {
    uint64_t started = 0;
    while (source.try_start(slot)) {
      sink.on_block_started(slot);
      ++started;
    }
    return started;
  }
};

TEST(Credit, ABlockStartsOnlyWithCreditForAllOfIt) {
  Pair pair(4);
  pair.open(SlotId(1));
  EXPECT_EQ(pair.start_all(SlotId(1)), 2U);
  EXPECT_FALSE(pair.source.try_start(SlotId(1)));
  pair.sink.on_buffer_free(SlotId(1));
  EXPECT_FALSE(pair.source.try_start(SlotId(1)));  // the frame has not come yet
  pair.exchange();
  EXPECT_TRUE(pair.source.try_start(SlotId(1)));
  EXPECT_FALSE(pair.source.try_start(SlotId(2)));  // never opened
}

TEST(Credit, CreditIsTheBytesOfTheFrameLayout) {
  Credit sink = make_credit(4);
  ASSERT_TRUE(sink.open_receiving(SlotId(0x0102)).ok());
  EXPECT_FALSE(sink.has_frames());  // the start credit travels on the control channel
  sink.on_block_started(SlotId(0x0102));
  sink.on_buffer_free(SlotId(0x0102));
  const auto bytes = written(sink);
  const std::array<uint8_t, 20> expected = {0x02, 0, 0, 16, 1, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0};
  ASSERT_EQ(bytes.size(), expected.size());
  for (size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(static_cast<uint8_t>(bytes[i]), expected[i]) << i;
}

TEST(Credit, ReservesTakeAtMostHalf) {
  Credit sink = make_credit(16);
  for (uint16_t slot = 0; slot < 4; ++slot) ASSERT_TRUE(sink.open_receiving(SlotId(slot)).ok());
  const Status fifth = sink.open_receiving(SlotId(4));
  ASSERT_FALSE(fifth.ok());
  EXPECT_EQ(fifth.error().fault, Fault::kOverloaded);
  sink.close_receiving(SlotId(0));
  EXPECT_TRUE(sink.open_receiving(SlotId(4)).ok());
}

TEST(Credit, BuffersOfAClosedSlotCountUntilTheyAreFree) {
  Pair pair(4);
  pair.open(SlotId(1));
  EXPECT_EQ(pair.start_all(SlotId(1)), 2U);
  pair.sink.close_receiving(SlotId(1));
  EXPECT_EQ(pair.sink.stats().blocks_promised, 2U);
  EXPECT_EQ(pair.sink.blocks_allowed(SlotId(1)), 0U);
  EXPECT_FALSE(pair.sink.open_receiving(SlotId(2)).ok());
  pair.sink.on_buffer_free(SlotId(1));
  pair.sink.on_buffer_free(SlotId(1));
  EXPECT_TRUE(pair.sink.open_receiving(SlotId(2)).ok());
  pair.sink.on_buffer_free(SlotId(1));  // of a slot nobody knows: ignored
}

TEST(Credit, ALostUpdateIsRepairedByTheNewestValue) {
  Pair pair(4);
  pair.open(SlotId(1));
  pair.start_all(SlotId(1));
  pair.sink.on_buffer_free(SlotId(1));
  written(pair.sink);  // lost
  EXPECT_FALSE(pair.sink.has_frames());
  pair.sink.on_frames_lost();
  pair.exchange();
  EXPECT_TRUE(pair.source.try_start(SlotId(1)));
}

TEST(Credit, BlockedRepairsALostUpdateToo) {
  Pair pair(4);
  pair.open(SlotId(1));
  pair.start_all(SlotId(1));
  pair.sink.on_buffer_free(SlotId(1));
  written(pair.sink);  // lost, and nobody noticed
  EXPECT_FALSE(pair.source.try_start(SlotId(1)));
  EXPECT_TRUE(pair.source.has_frames());
  EXPECT_EQ(pair.source.stats().stalls, 1U);
  pair.exchange();
  EXPECT_TRUE(pair.source.try_start(SlotId(1)));
}

TEST(Credit, AnOldUpdateChangesNothing) {
  Pair pair(8);
  pair.open(SlotId(1));
  pair.start_all(SlotId(1));
  pair.sink.on_buffer_free(SlotId(1));
  const auto old = written(pair.sink);
  pair.sink.on_buffer_free(SlotId(1));
  ASSERT_TRUE(read_all(pair.source, written(pair.sink)).ok());
  ASSERT_TRUE(read_all(pair.source, old).ok());
  EXPECT_EQ(pair.start_all(SlotId(1)), 2U);
}

TEST(Credit, ABusySlotGrowsIntoTheSharedPart) {
  Pair pair(64);
  pair.open(SlotId(1));
  uint64_t most = 0;
  for (int round = 0; round < 8; ++round) {
    const uint64_t started = pair.start_all(SlotId(1));
    most = std::max(most, started);
    pair.exchange();  // BLOCKED arrives
    for (uint64_t i = 0; i < started; ++i) pair.sink.on_buffer_free(SlotId(1));
    pair.exchange();
  }
  EXPECT_GE(most, 24U);  // three quarters of 32, and its reserve
  EXPECT_LE(pair.sink.stats().blocks_promised, 64U);
}

TEST(Credit, ABusySlotGrowsThoughBuffersComeBackWhileBlockedTravels) {
  Pair pair(256);
  pair.open(SlotId(1));
  uint64_t most = 0;
  for (int round = 0; round < 8; ++round) {
    const uint64_t started = pair.start_all(SlotId(1));
    most = std::max(most, started);
    const auto blocked = written(pair.source);
    for (uint64_t i = 0; i < started / 2; ++i) pair.sink.on_buffer_free(SlotId(1));
    ASSERT_TRUE(read_all(pair.sink, blocked).ok());
    for (uint64_t i = started / 2; i < started; ++i) pair.sink.on_buffer_free(SlotId(1));
    pair.exchange();
  }
  EXPECT_GE(most, 60U);  // it began with 14
}

TEST(Credit, ASlotHoldsNoMoreThanItsCeilingAndGetsBackToOneThatRose) {
  Pair pair(64);
  ASSERT_TRUE(pair.sink.open_receiving(SlotId(1), 6).ok());
  EXPECT_EQ(pair.sink.blocks_allowed(SlotId(1)), 6U);
  pair.source.open_sending(SlotId(1), 6 * kUnit);
  const auto most_under = [&](uint64_t ceiling) {
    uint64_t most = 0;
    for (int round = 0; round < 8; ++round) {
      const uint64_t started = pair.start_all(SlotId(1));
      most = std::max(round < 2 ? 0 : most, started);
      pair.exchange();
      pair.sink.set_ceiling(SlotId(1), ceiling);
      for (uint64_t i = 0; i < started; ++i) pair.sink.on_buffer_free(SlotId(1));
      pair.exchange();
    }
    return most;
  };
  EXPECT_EQ(most_under(6), 6U);
  EXPECT_EQ(most_under(20), 20U);
  EXPECT_EQ(most_under(4), 4U);
  EXPECT_EQ(most_under(0), 2U) << "its reserve is its own";
  EXPECT_EQ(most_under(Credit::kNoCeiling), 26U);
}

TEST(Credit, ANewSlotGetsItsShareOfABusyOne) {
  Pair pair(64);
  pair.open(SlotId(1));
  const auto turn = [&](SlotId slot) {
    const uint64_t started = pair.start_all(slot);
    pair.exchange();
    for (uint64_t i = 0; i < started; ++i) pair.sink.on_buffer_free(slot);
    pair.exchange();
    return started;
  };
  for (int round = 0; round < 10; ++round) turn(SlotId(1));
  pair.open(SlotId(2));
  uint64_t first = 0, second = 0;
  for (int round = 0; round < 20; ++round) {
    first = turn(SlotId(1));
    second = turn(SlotId(2));
  }
  EXPECT_GE(second * 2, first);
  EXPECT_GE(first * 2, second);
}

// 12 transfers, so that little is left to share, and one more whose sender is held up.
struct ScarcePair : Pair {
  static constexpr uint16_t kIdle = 12;
  ScarcePair() : Pair(64) {
    for (uint16_t i = 1; i <= kIdle + 1; ++i) open(SlotId(i));
    start_all(SlotId(kIdle + 1));
    deliver(source, sink);
  }
};

TEST(Credit, UnusedCreditIsRecalledWhenItIsScarceAndTheReserveStays) {
  ScarcePair pair;
  std::vector<SlotId> slots;
  for (uint16_t i = 1; i <= ScarcePair::kIdle; ++i) slots.emplace_back(i);
  pair.exchange();
  const uint64_t before = pair.sink.stats().blocks_promised;
  pair.sink.recall_unused(kStart, kRtt);
  pair.sink.recall_unused(kStart + kRtt, kRtt);
  EXPECT_FALSE(pair.sink.has_frames());  // not old enough
  pair.sink.recall_unused(kStart + 3 * kRtt, kRtt);
  for (int i = 0; i < 3; ++i) pair.exchange();
  EXPECT_LT(pair.sink.stats().blocks_promised, before);
  for (const SlotId slot : slots) EXPECT_EQ(pair.start_all(slot), pair.sink.blocks_allowed(slot));
  for (const SlotId slot : slots) EXPECT_GE(pair.sink.blocks_allowed(slot), 2U);
}

TEST(Credit, ACreditThatIsDueDoesNotUndoTheRecallItWouldLeaveWith) {
  ScarcePair pair;
  ASSERT_TRUE(pair.sink.has_frames());
  const uint64_t before = pair.sink.stats().blocks_promised;
  pair.sink.recall_unused(kStart, kRtt);
  pair.sink.recall_unused(kStart + 3 * kRtt, kRtt);
  for (int i = 0; i < 3; ++i) pair.exchange();
  EXPECT_LT(pair.sink.stats().blocks_promised, before);
}

TEST(Credit, APeerThatWasToldLessLearnsTheRestFromAFrame) {
  Credit sink = make_credit(64), source = make_credit(0);
  ASSERT_TRUE(sink.open_receiving(SlotId(1)).ok());
  source.open_sending(SlotId(1), 2 * kUnit);
  deliver(sink, source);
  uint64_t started = 0;
  while (source.try_start(SlotId(1))) ++started;
  EXPECT_EQ(started, sink.blocks_allowed(SlotId(1)));
  EXPECT_GT(started, 2U);
}

// It used to be, and a sender behind a gate that opened after a burst had credit for two blocks, and then waited for buffers.
TEST(Credit, UnusedCreditThatNobodyElseWaitsForIsNotRecalled) {
  Pair pair(64);
  for (uint16_t i = 1; i <= 13; ++i) pair.open(SlotId(i));
  pair.exchange();
  const uint64_t before = pair.sink.stats().blocks_promised;
  pair.sink.recall_unused(kStart, kRtt);
  pair.sink.recall_unused(kStart + 30 * kRtt, kRtt);
  EXPECT_FALSE(pair.sink.has_frames());
  EXPECT_EQ(pair.sink.stats().blocks_promised, before);
}

TEST(Credit, ALostRecallIsAskedAgain) {
  ScarcePair pair;
  const uint64_t before = pair.sink.stats().blocks_promised;
  pair.sink.recall_unused(kStart, kRtt);
  pair.sink.recall_unused(kStart + 3 * kRtt, kRtt);
  written(pair.sink);                                  // lost
  pair.sink.recall_unused(kStart + 6 * kRtt, kRtt);
  deliver(pair.sink, pair.source);
  written(pair.source);                                // the answer is lost too
  pair.source.on_frames_lost();
  for (int i = 0; i < 3; ++i) pair.exchange();
  EXPECT_LT(pair.sink.stats().blocks_promised, before);
}

TEST(Credit, AbandonedBlocksReachThePeerThoughFramesGetLost) {
  Pair pair(8);
  pair.open(SlotId(1));
  ASSERT_TRUE(pair.source.try_start(SlotId(1)));
  const BlockKey key{SlotId(1), BlockId(77)};
  pair.source.abandon_started(key);
  written(pair.source);  // lost
  pair.source.on_frames_lost();
  pair.exchange();
  EXPECT_EQ(pair.sink.take_abandoned(), key);
  EXPECT_FALSE(pair.sink.take_abandoned().has_value());
}

TEST(Credit, FramesWaitWhenThereIsNoRoom) {
  Pair pair(64);
  for (uint16_t i = 1; i <= 5; ++i) {
    pair.open(SlotId(i));
    pair.start_all(SlotId(i));
    pair.sink.on_buffer_free(SlotId(i));
    pair.source.abandon_started({SlotId(i), BlockId(i)});
  }
  for (Credit* credit : {&pair.sink, &pair.source}) {
    EXPECT_TRUE(written(*credit, 3).empty());
    EXPECT_TRUE(credit->has_frames());
    int packets = 0;
    Credit& other = credit == &pair.sink ? pair.source : pair.sink;
    for (; credit->has_frames(); ++packets) ASSERT_TRUE(read_all(other, written(*credit, 45)).ok());
    EXPECT_GE(packets, 2);
  }
  for (uint16_t i = 1; i <= 5; ++i) EXPECT_GE(pair.start_all(SlotId(i)), 1U);
}

TEST(Credit, MalformedFramesAreProtocolErrors) {
  Credit credit = make_credit(8);
  const std::vector<std::byte> bytes(40);
  for (uint8_t type = 2; type <= 6; ++type) {
    for (size_t length = 0; length < 40; ++length) {
      const size_t right = type == 3 ? 4 : type == 6 ? 8 : 16;
      std::vector<std::byte> body(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
      if (length >= 4 && type != 6) body[3] = std::byte{3};  // our lane
      const Status status = credit.on_frame(type, body);
      EXPECT_EQ(status.ok(), length == right) << int{type} << " " << length;
      EXPECT_TRUE(status.ok() || status.error().fault == Fault::kProtocolError);
    }
  }
  std::vector<std::byte> other_lane(16);
  EXPECT_FALSE(credit.on_frame(2, other_lane).ok());
  other_lane[3] = std::byte{3};
  EXPECT_FALSE(credit.on_frame(9, other_lane).ok());
}

TEST(Credit, AFloodOfAbandonsIsAProtocolError) {
  Credit credit = make_credit(8);
  const std::vector<std::byte> body(8);
  size_t taken = 0;
  while (taken < 100'000 && credit.on_frame(6, body).ok()) ++taken;
  EXPECT_EQ(taken, Credit::kAbandonsMax);
}

TEST(Credit, HostileLimitsNeverRaiseWhatWeGive) {
  Pair pair(64);
  pair.open(SlotId(1));
  const uint64_t before = pair.sink.blocks_allowed(SlotId(1));
  std::vector<std::byte> body(16);
  Writer out(body);
  out.write_u16(1);
  out.write_u16(kLane.value());
  out.write_u32(0);
  out.write_u64(~uint64_t{0});
  using wire::FrameType;
  for (const FrameType type : {FrameType::kCredit, FrameType::kCreditReturn, FrameType::kBlocked})
    ASSERT_TRUE(pair.sink.on_frame(static_cast<uint8_t>(type), body).ok());
  EXPECT_EQ(pair.sink.blocks_allowed(SlotId(1)), before);
}

// 64 transfers, 63 of them with a store that never gives a buffer back, opened in random order.
TEST(Credit, TheOneTransferThatCanMoveMovesWhateverTheOthersHold) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Pair pair(256);
    const SlotId healthy(static_cast<uint16_t>(random.below(64)));
    std::vector<SlotId> order;
    for (uint16_t i = 0; i < 64; ++i) order.emplace_back(i);
    for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
    uint64_t done = 0;
    for (size_t opened = 0, round = 0; round < 200; ++round) {
      if (opened < order.size()) pair.open(order[opened++]);
      for (size_t i = 0; i < opened; ++i) {
        const uint64_t started = pair.start_all(order[i]);
        if (order[i] != healthy) continue;
        for (uint64_t block = 0; block < started; ++block) pair.sink.on_buffer_free(healthy);
        if (opened == order.size()) done += started;
      }
      pair.exchange();
      ASSERT_LE(pair.sink.stats().blocks_promised, 256U);
    }
    EXPECT_GE(done, 2U * 130);  // at least its reserve in every round
  }
}

// Frames are lost, delayed, reordered and repeated; transfers open, stall, go on and close.
class CreditHistory {
 public:
  static constexpr uint64_t kBlocks = 40;

  explicit CreditHistory(uint64_t seed) : random_(seed), pair_(kBlocks) {}

  void step() {
    now_ += std::chrono::milliseconds(1);
    if (random_.happens(0.03) && in_store_.size() < 12) open();
    pair_.sink.recall_unused(now_, kRtt);
    send(pair_.sink, pair_.source);
    send(pair_.source, pair_.sink);
    deliver_one();
    if (in_store_.empty()) return;
    const auto at = std::next(in_store_.begin(), static_cast<std::ptrdiff_t>(random_.below(in_store_.size())));
    const uint64_t choice = random_.below(100);
    if (choice < 50) start(at->first);
    else if (choice < 99) free_one(at->first);
    else close(at->first);
  }

  // All buffers come back and all frames arrive: then every transfer may start a block.
  void finish() {
    flying_.clear();
    for (const auto& [slot, held] : in_store_)
      while (held > 0) free_one(slot);
    for (int round = 0; round < 10; ++round) {
      now_ += 5 * kRtt;
      pair_.sink.recall_unused(now_, kRtt);
      pair_.sink.on_frames_lost();
      pair_.source.on_frames_lost();
      for (const auto& [slot, held] : in_store_) {
        start(slot);
        free_one(slot);
      }
      pair_.exchange();
    }
    EXPECT_LE(pair_.sink.stats().blocks_promised, kBlocks);
    for (const auto& [slot, held] : in_store_) EXPECT_TRUE(pair_.source.try_start(SlotId(slot))) << slot;
  }

 private:
  void open() {
    const SlotId slot(next_slot_);
    if (!pair_.sink.open_receiving(slot).ok()) return;
    pair_.source.open_sending(slot, pair_.sink.blocks_allowed(slot) * kUnit);
    in_store_[next_slot_++] = 0;
  }

  void start(uint16_t slot) {
    if (!pair_.source.try_start(SlotId(slot))) return;
    pair_.sink.on_block_started(SlotId(slot));
    ++in_store_.at(slot);
  }

  void free_one(uint16_t slot) {
    if (in_store_.at(slot) == 0) return;
    pair_.sink.on_buffer_free(SlotId(slot));
    --in_store_.at(slot);
  }

  void close(uint16_t slot) {
    pair_.source.close_sending(SlotId(slot));
    pair_.sink.close_receiving(SlotId(slot));
    while (in_store_.at(slot) > 0) free_one(slot);
    in_store_.erase(slot);
  }

  void send(Credit& from, Credit& to) {
    if (!from.has_frames()) return;
    auto frames = written(from);
    if (random_.happens(0.3)) from.on_frames_lost();
    else flying_.emplace_back(&to, std::move(frames));
  }

  void deliver_one() {
    if (flying_.empty()) return;
    const size_t at = random_.below(flying_.size());
    EXPECT_TRUE(read_all(*flying_[at].first, flying_[at].second).ok());
    if (random_.happens(0.9)) flying_.erase(flying_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  Random random_;
  Pair pair_;
  std::map<uint16_t, uint64_t> in_store_;  // blocks started and not free, per open slot
  std::vector<std::pair<Credit*, std::vector<std::byte>>> flying_;
  uint16_t next_slot_ = 0;
  Time now_ = kStart;
};

TEST(Credit, RandomHistoriesNeverPromiseMoreThanThereIsAndNeverGetStuck) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    CreditHistory history(seed);
    for (int i = 0; i < 3000; ++i) history.step();
    history.finish();
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

TEST(Credit, LanesThatShareAPoolPromiseNoBufferTwice) {
  CreditPool pool{.blocks_max = 32};
  Credit a({.lane = LaneId(0), .unit = 100, .blocks_given_max = 32, .pool = &pool});
  uint64_t promised = 0;
  {
    Credit b({.lane = LaneId(1), .unit = 100, .blocks_given_max = 32, .pool = &pool});
    int opened = 0;
    for (uint16_t slot = 0; slot < 20; ++slot) opened += (slot % 2 == 0 ? a : b).open_receiving(SlotId(slot)).ok() ? 1 : 0;
    EXPECT_EQ(opened, 8) << "two blocks each of half the pool";
    promised = a.stats().blocks_promised + b.stats().blocks_promised;
    EXPECT_LE(promised, 32U);
    EXPECT_EQ(promised, pool.reserved + pool.shared);
  }
  EXPECT_EQ(a.stats().blocks_promised, pool.reserved + pool.shared) << "what a lane held is free when it has gone";
  EXPECT_TRUE(a.open_receiving(SlotId(50)).ok());
}

}  // namespace
}  // namespace tideway::flow::credit_test
