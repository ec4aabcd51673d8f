// SPDX-License-Identifier: Apache-2.0
#include "flow/send_window.h"

#include "base/random.h"
#include "mem/buffer_pool.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <vector>

namespace tideway::flow::send_window_test {
namespace {

using std::chrono::milliseconds;
constexpr size_t kPayload = 1408;
const Time kStart = Time{} + std::chrono::seconds(1);

BlockKey key_of(uint32_t block, uint16_t slot = 1) { return {SlotId(slot), BlockId(block)}; }

PackedBlock make_block(BufferPool& pool, BlockKey key, uint32_t length, uint8_t head_units = 1) {
  return {.key = key, .head_units = head_units, .length = length, .buffer = pool.take()};
}

struct SendWindowTest : testing::Test {
  std::unique_ptr<BufferPool> pool = BufferPool::create(16).value();
  SendWindow window;

  void offer(BlockKey key, uint32_t length) { ASSERT_TRUE(window.offer(make_block(*pool, key, length))); }
  Range take(Time now = kStart) { return window.take(now, kPayload).value().range; }
};

TEST_F(SendWindowTest, NewDataLeavesInTheOrderOfTheBlocks) {
  offer(key_of(7), 2000);
  offer(key_of(3), 1000);
  EXPECT_EQ(take(), (Range{key_of(7), 0, kPayload}));
  const auto last = window.take(kStart, kPayload).value();
  EXPECT_EQ(last.range, (Range{key_of(7), kPayload, 592}));
  EXPECT_TRUE(last.is_last_in_block);
  EXPECT_FALSE(last.is_resent);
  EXPECT_EQ(last.bytes.size(), 592U);
  EXPECT_EQ(take(), (Range{key_of(3), 0, 1000}));
  EXPECT_FALSE(window.has_work());
  EXPECT_FALSE(window.take(kStart, kPayload).has_value());
}

TEST_F(SendWindowTest, BytesAreThoseOfTheBlock) {
  PackedBlock block = make_block(*pool, key_of(1), 3000, 2);
  for (size_t i = 0; i < 3000; ++i) block.bytes()[i] = static_cast<std::byte>(i % 251);
  ASSERT_TRUE(window.offer(std::move(block)));
  while (const auto sent = window.take(kStart, 500)) {
    EXPECT_EQ(sent->head_units, 2);
    for (size_t i = 0; i < sent->bytes.size(); ++i)
      ASSERT_EQ(sent->bytes[i], static_cast<std::byte>((sent->range.offset + i) % 251));
  }
}

TEST_F(SendWindowTest, LostRangesLeaveBeforeNewDataAndTheOldestFirst) {
  offer(key_of(1), 3 * kPayload);
  offer(key_of(2), 3 * kPayload);
  const Range a = take(), b = take(), c = take(), d = take();
  window.on_lost(d);
  window.on_lost(c);
  window.on_lost(a);
  const auto first = window.take(kStart, kPayload).value();
  EXPECT_EQ(first.range, a);
  EXPECT_TRUE(first.is_resent);
  EXPECT_EQ(take(), c);
  EXPECT_EQ(take(), d);
  EXPECT_EQ(take(), (Range{key_of(2), kPayload, kPayload}));
  window.on_acked(b);
}

TEST_F(SendWindowTest, ALostRangeIsCutAgainToASmallerPayload) {
  offer(key_of(1), 5000);
  const auto whole = window.take(kStart, 5000).value();
  EXPECT_TRUE(whole.is_last_in_block);
  window.on_lost(whole.range);
  std::vector<Range> parts;
  while (const auto part = window.take(kStart, 2000)) {
    parts.push_back(part->range);
    EXPECT_EQ(part->is_last_in_block, part->range.offset == 4000);
  }
  EXPECT_EQ(parts, (std::vector<Range>{{key_of(1), 0, 2000}, {key_of(1), 2000, 2000}, {key_of(1), 4000, 1000}}));
}

TEST_F(SendWindowTest, ABufferGoesHomeWhenAllOfItsBlockIsAcked) {
  offer(key_of(1), 2 * kPayload);
  const Range a = take(), b = take();
  EXPECT_EQ(window.unacked_bytes(), 2 * kPayload);
  window.on_acked(b);
  EXPECT_EQ(pool->free(), 15U);
  EXPECT_FALSE(window.take_done().has_value());
  window.on_acked(a);
  EXPECT_EQ(pool->free(), 16U);
  EXPECT_EQ(window.take_done(), key_of(1));
  EXPECT_FALSE(window.take_done().has_value());
  EXPECT_EQ(window.unacked_bytes(), 0U);
  window.on_acked(a);  // late, and of no block that is here
  window.on_lost(b);
  EXPECT_FALSE(window.has_work());
}

TEST_F(SendWindowTest, WhatWasAckedIsNotSentAgain) {
  offer(key_of(1), 4 * kPayload);
  const Range a = take(), b = take(), c = take();
  window.on_acked(b);
  window.on_lost({key_of(1), a.offset, 3 * kPayload});  // lost as one, though the middle arrived by another flow
  EXPECT_EQ(take(), a);
  EXPECT_EQ(take(), c);
  window.on_lost(c);
  window.on_acked(c);  // acked while it waits
  EXPECT_EQ(take(), (Range{key_of(1), 3 * kPayload, kPayload}));
}

TEST_F(SendWindowTest, AFoundRangeIsTakenOffTheQueue) {
  offer(key_of(1), 2 * kPayload);
  const Range a = take(), b = take();
  window.on_lost(a);
  window.on_lost(b);
  window.on_found(a);
  EXPECT_EQ(take(), b);
  EXPECT_FALSE(window.has_work());
}

TEST_F(SendWindowTest, TailRepairGivesTheOldestUnackedOnceUntilALaterTimeCoversIt) {
  offer(key_of(1), 3 * kPayload);
  const Range a = take(kStart), b = take(kStart + milliseconds(1)), c = take(kStart + milliseconds(2));
  window.on_acked(b);
  EXPECT_FALSE(window.take_tail(kStart + milliseconds(3), kStart, kPayload).has_value());  // nothing is that old
  const Time repair = kStart + milliseconds(50), before = kStart + milliseconds(10);
  const auto first = window.take_tail(repair, before, kPayload).value();
  EXPECT_EQ(first.range, a);
  EXPECT_TRUE(first.is_resent);
  EXPECT_EQ(window.take_tail(repair, before, kPayload).value().range, c);
  EXPECT_FALSE(window.take_tail(repair, before, kPayload).has_value());
  EXPECT_FALSE(window.take_tail(repair + milliseconds(1), repair, kPayload).has_value());
  EXPECT_EQ(window.take_tail(repair + milliseconds(2), repair + milliseconds(1), kPayload).value().range, a);
}

TEST_F(SendWindowTest, TailRepairLeavesOutWhatIsQueuedAsLost) {
  offer(key_of(1), 2 * kPayload);
  const Range a = take(), b = take();
  window.on_lost(a);
  const Time later = kStart + milliseconds(9);
  EXPECT_EQ(window.take_tail(later, later, kPayload).value().range, b);
  EXPECT_FALSE(window.take_tail(later, later, kPayload).has_value());
  window.on_found(a);  // times are kept per 64 KiB, and b has just left again
  EXPECT_FALSE(window.take_tail(later, later, kPayload).has_value());
  const Time much_later = later + milliseconds(1);
  EXPECT_EQ(window.take_tail(much_later, much_later, kPayload).value().range, a);
}

TEST_F(SendWindowTest, CopiesAheadBeginWithTheNewestAndLeaveOnce) {
  constexpr uint32_t kMark = 64 << 10;
  offer(key_of(1), kMark);
  offer(key_of(2), 2 * kMark);
  for (Time now = kStart; const auto sent = window.take(now, kMark); now += milliseconds(1)) EXPECT_EQ(sent->range.length, kMark);
  const Time copied_at = kStart + milliseconds(10);
  const auto ahead = [&](Time sent_after = kStart - milliseconds(1)) { return window.take_ahead(copied_at, sent_after, kMark / 2); };
  EXPECT_EQ(ahead().value().range, (Range{key_of(2), kMark, kMark / 2}));
  EXPECT_EQ(ahead().value().range, (Range{key_of(2), kMark + kMark / 2, kMark / 2}));
  window.on_acked({key_of(2), 0, kMark / 2});
  EXPECT_EQ(ahead().value().range, (Range{key_of(2), kMark / 2, kMark / 2}));
  EXPECT_FALSE(ahead(kStart).has_value()) << "what of the rest was lost is known";
  EXPECT_EQ(ahead().value().range, (Range{key_of(1), 0, kMark / 2}));
  window.on_acked({key_of(1), 0, kMark});
  EXPECT_FALSE(ahead().has_value());
  offer(key_of(3), 1000);
  EXPECT_EQ(take(copied_at + milliseconds(1)).key, key_of(3));
  EXPECT_EQ(ahead().value().range.key, key_of(3));
}

TEST_F(SendWindowTest, CopiesAheadGoBackToWhereThoseBeforeBegan) {
  const auto ahead = [&](Time now) { return window.take_ahead(now, kStart - milliseconds(1), kPayload); };
  offer(key_of(1), kPayload);
  take();
  EXPECT_EQ(ahead(kStart + milliseconds(1)).value().range.key, key_of(1));
  offer(key_of(2), kPayload);
  take(kStart + milliseconds(2));
  EXPECT_EQ(ahead(kStart + milliseconds(3)).value().range.key, key_of(2));
  EXPECT_FALSE(ahead(kStart + milliseconds(4)).has_value()) << "the first has been copied";
}

TEST_F(SendWindowTest, WhatWasResentLeavesTwiceMoreUntilItIsAcked) {
  offer(key_of(1), 3 * kPayload);
  const Range a = take(), b = take();
  take();
  window.on_lost(a);
  window.on_lost(b);
  const auto resent = [](int at) { return kStart + milliseconds(at); };
  EXPECT_EQ(take(resent(10)), a);
  EXPECT_EQ(take(resent(10)), b);
  const auto copy = [&](int now) { return window.take_copy(resent(now), {.from = kStart, .before = resent(now - 5)}, kPayload); };
  EXPECT_FALSE(copy(12).has_value()) << "it is on its way since just now";
  const auto first = copy(16).value();
  EXPECT_EQ(first.range, a);
  EXPECT_TRUE(first.is_resent);
  window.on_acked(a);
  EXPECT_EQ(copy(16).value().range, b);
  EXPECT_FALSE(copy(16).has_value());
  EXPECT_EQ(copy(22).value().range, b);
  EXPECT_FALSE(copy(90).has_value()) << "a third copy";
}

TEST_F(SendWindowTest, NoCopyIsMadeOfWhatIsResentForGoodReasonAgain) {
  offer(key_of(1), 2 * kPayload);
  const Range a = take();
  take();
  const Time resent = kStart + milliseconds(10), later = kStart + milliseconds(50);
  window.on_lost(a);
  EXPECT_EQ(take(resent), a);
  EXPECT_FALSE(window.take_copy(later, {.from = resent + milliseconds(1), .before = later}, kPayload).has_value()) << "too old";
  window.on_lost(a);
  EXPECT_EQ(take(later), a);
  window.abandon_slot(SlotId(1));
  offer(key_of(1), kPayload);  // the slot's number was given out again
  EXPECT_FALSE(window.take_copy(later, {.from = kStart, .before = later + milliseconds(1)}, kPayload).has_value());
}

TEST_F(SendWindowTest, AnAbandonedBlockGoesHomeAndItsAcksAreIgnored) {
  offer(key_of(1), 2 * kPayload);
  offer(key_of(2), kPayload);
  const Range a = take();
  window.on_lost(a);
  EXPECT_TRUE(window.abandon(key_of(1)));
  EXPECT_FALSE(window.abandon(key_of(1)));
  EXPECT_EQ(pool->free(), 15U);
  window.on_acked(a);
  EXPECT_EQ(take(), (Range{key_of(2), 0, kPayload}));
  EXPECT_FALSE(window.has_work());
}

TEST_F(SendWindowTest, AbandoningASlotLeavesTheOthersAlone) {
  offer(key_of(1, 1), kPayload);
  offer(key_of(1, 2), kPayload);
  offer(key_of(2, 1), kPayload);
  window.abandon_slot(SlotId(1));
  EXPECT_EQ(window.blocks(), 1U);
  EXPECT_EQ(pool->free(), 15U);
  EXPECT_EQ(take(), (Range{key_of(1, 2), 0, kPayload}));
  EXPECT_FALSE(window.has_work());
}

TEST_F(SendWindowTest, BlocksComeBackInOrderFromALaneThatIsGivenUp) {
  offer(key_of(1), 2 * kPayload);
  offer(key_of(2), 2 * kPayload);
  window.on_acked(take());
  EXPECT_EQ(window.take_back().value().key, key_of(1));
  EXPECT_EQ(window.take_back().value().key, key_of(2));
  EXPECT_FALSE(window.take_back().has_value());
  EXPECT_EQ(pool->free(), 16U);
  EXPECT_EQ(window.unacked_bytes(), 0U);
}

TEST_F(SendWindowTest, AFullWindowLeavesTheBlockWithTheCaller) {
  auto big = BufferPool::create(SendWindow::kBlocksMax + 1).value();
  SendWindow full;
  for (uint32_t i = 0; i < SendWindow::kBlocksMax; ++i) ASSERT_TRUE(full.offer(make_block(*big, key_of(i), 600)));
  EXPECT_TRUE(full.is_full());
  PackedBlock extra = make_block(*big, key_of(9999), 600);
  EXPECT_FALSE(full.offer(std::move(extra)));
  EXPECT_FALSE(extra.buffer.is_empty());
}

// What a window must do, byte by byte.
struct Model {
  enum class State : uint8_t { kUnsent, kSent, kLost, kAcked };
  std::map<BlockKey, std::vector<State>> blocks;
  std::vector<BlockKey> order;
  size_t done = 0;
};

class History {
 public:
  History(uint64_t seed, BufferPool& pool) : random_(seed), pool_(pool) {}

  void step() {
    now_ += milliseconds(1);
    const uint64_t choice = random_.below(100);
    if (choice < 10) return offer();
    if (choice < 50) return take();
    if (choice < 60) return take_tail();
    if (choice < 62 && !model_.order.empty()) return abandon();
    if (flying_.empty()) return;
    const size_t at = random_.below(flying_.size());
    const Range range = flying_[at];
    if (choice < 85) acked(range);
    else if (choice < 95) lost(range);
    else found(range);
    if (choice < 85) flying_.erase(flying_.begin() + static_cast<std::ptrdiff_t>(at));
    drain();
  }

  // Everything arrives in the end.
  void finish() {
    for (int i = 0; i < 100'000 && (!model_.blocks.empty()); ++i) {
      now_ += milliseconds(1);
      if (window_.has_work()) take();
      else take_tail();
      while (!flying_.empty()) {
        acked(flying_.back());
        flying_.pop_back();
      }
      drain();
    }
    EXPECT_TRUE(model_.blocks.empty());
    EXPECT_EQ(pool_.free(), pool_.size());
    EXPECT_EQ(window_.unacked_bytes(), 0U);
  }

 private:
  using State = Model::State;

  void offer() {
    if (pool_.free() == 0) return;
    const BlockKey key = key_of(next_++, static_cast<uint16_t>(random_.below(3)));
    const auto length = static_cast<uint32_t>(513 + random_.below(25'000));
    ASSERT_TRUE(window_.offer(make_block(pool_, key, length)));
    model_.blocks[key].assign(length, State::kUnsent);
    model_.order.push_back(key);
  }

  std::optional<BlockKey> oldest_with(State state) const {
    for (const BlockKey key : model_.order)
      for (const State s : model_.blocks.at(key))
        if (s == state) return key;
    return std::nullopt;
  }

  void take() {
    const size_t payload = 16 * (1 + random_.below(250));
    const auto sent = window_.take(now_, payload);
    const auto lost_block = oldest_with(State::kLost), new_block = oldest_with(State::kUnsent);
    ASSERT_EQ(sent.has_value(), lost_block || new_block);
    if (!sent) return;
    const State from = lost_block ? State::kLost : State::kUnsent;
    ASSERT_EQ(sent->range.key, lost_block ? *lost_block : *new_block);
    ASSERT_EQ(sent->is_resent, from == State::kLost);
    auto& bytes = model_.blocks.at(sent->range.key);
    ASSERT_EQ(sent->range.offset, static_cast<size_t>(std::find(bytes.begin(), bytes.end(), from) - bytes.begin()));
    ASSERT_LE(sent->range.length, payload);
    set(sent->range, from, State::kSent);
    ASSERT_EQ(sent->is_last_in_block, sent->range.offset + sent->range.length == bytes.size());
    flying_.push_back(sent->range);
  }

  void take_tail() {
    const auto sent = window_.take_tail(now_, now_, 16 * (1 + random_.below(250)));
    ASSERT_EQ(sent.has_value(), oldest_with(State::kSent).has_value());
    if (!sent) return;
    set(sent->range, State::kSent, State::kSent);
    flying_.push_back(sent->range);
  }

  // Every byte of the range must be in state `from`.
  void set(const Range& range, State from, State to) {
    auto& bytes = model_.blocks.at(range.key);
    for (uint32_t i = 0; i < range.length; ++i) {
      ASSERT_EQ(bytes[range.offset + i], from);
      bytes[range.offset + i] = to;
    }
  }

  void acked(const Range& range) {
    window_.on_acked(range);
    const auto block = model_.blocks.find(range.key);
    if (block == model_.blocks.end()) return;
    for (uint32_t i = 0; i < range.length; ++i) block->second[range.offset + i] = State::kAcked;
    if (std::any_of(block->second.begin(), block->second.end(), [](State s) { return s != State::kAcked; })) return;
    forget(range.key);
    ++model_.done;
  }

  void lost(const Range& range) { change(range, State::kSent, State::kLost, &SendWindow::on_lost); }
  void found(const Range& range) { change(range, State::kLost, State::kSent, &SendWindow::on_found); }
  void change(const Range& range, State from, State to, void (SendWindow::*call)(const Range&)) {
    (window_.*call)(range);
    const auto block = model_.blocks.find(range.key);
    if (block == model_.blocks.end()) return;
    for (uint32_t i = 0; i < range.length; ++i)
      if (State& state = block->second[range.offset + i]; state == from) state = to;
  }

  void abandon() {
    const BlockKey key = model_.order[random_.below(model_.order.size())];
    ASSERT_TRUE(window_.abandon(key));
    forget(key);
  }

  void forget(BlockKey key) {
    model_.blocks.erase(key);
    std::erase(model_.order, key);
  }

  void drain() {
    while (window_.take_done()) {
      ASSERT_GT(model_.done, 0U);
      --model_.done;
    }
    ASSERT_EQ(model_.done, 0U);
    ASSERT_EQ(window_.blocks(), model_.blocks.size());
    uint64_t unacked = 0;
    for (const auto& [key, bytes] : model_.blocks)
      for (const State state : bytes) unacked += state != State::kAcked;
    ASSERT_EQ(window_.unacked_bytes(), unacked);
  }

  Random random_;
  BufferPool& pool_;
  SendWindow window_;
  Model model_;
  std::vector<Range> flying_;
  Time now_ = kStart;
  uint32_t next_ = 0;
};

TEST(SendWindow, RandomHistoriesMatchAModelThatKeepsEveryByte) {
  auto pool = BufferPool::create(5).value();
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    History history(seed, *pool);
    for (int i = 0; i < 400 && !testing::Test::HasFailure(); ++i) history.step();
    history.finish();
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

}  // namespace
}  // namespace tideway::flow::send_window_test
