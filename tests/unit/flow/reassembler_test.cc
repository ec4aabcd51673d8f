// SPDX-License-Identifier: Apache-2.0
#include "flow/reassembler.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <set>
#include <vector>

namespace tideway::flow::reassembler_test {
namespace {

constexpr SlotId kSlot{1};

BlockKey key_of(uint32_t block, SlotId slot = kSlot) { return {slot, BlockId(block)}; }
std::byte byte_at(BlockKey key, uint64_t offset) {
  return static_cast<std::byte>((key.block.value() * 31 + offset * 7) % 253);
}

struct ReassemblerTest : testing::Test {
  std::unique_ptr<BufferPool> pool = BufferPool::create(8).value();
  Reassembler reassembler{{.blocks_max = 6}, *pool};

  void SetUp() override {
    reassembler.open_slot(kSlot);
    reassembler.on_credit(kSlot, 4);
  }
  static DataPlace place_of(uint32_t block, uint32_t offset, uint32_t length, bool is_last = false) {
    return {.key = key_of(block), .head_units = 1, .is_last_in_block = is_last, .offset = offset, .length = length};
  }
  static std::vector<std::byte> plain_of(const DataPlace& place) {
    std::vector<std::byte> plain(place.length);
    for (size_t i = 0; i < plain.size(); ++i) plain[i] = byte_at(place.key, place.offset + i);
    return plain;
  }
  Verdict verdict(const DataPlace& place) { return reassembler.place(place).verdict; }
  // An authentic packet in a burst of its own.
  Verdict receive(const DataPlace& place) {
    const Placement told = reassembler.place(place);
    const auto plain = plain_of(place);
    if (told.verdict == Verdict::kPlace) {
      std::memcpy(told.out.data(), plain.data(), plain.size());
      reassembler.on_placed(place);
    } else if (told.verdict == Verdict::kDuplicate) {
      reassembler.on_placed(place, plain);
    }
    reassembler.settle();
    return told.verdict;
  }
  static void expect_whole(const PackedBlock& block) {
    const auto bytes = block.bytes();
    for (size_t i = 0; i < bytes.size(); ++i) ASSERT_EQ(bytes[i], byte_at(block.key, i)) << i;
  }
};

TEST_F(ReassemblerTest, ABlockIsCompleteWhenItsBytesAreThereInAnyOrder) {
  EXPECT_EQ(receive(place_of(0, 2000, 500, true)), Verdict::kPlace);
  EXPECT_EQ(receive(place_of(0, 0, 1000)), Verdict::kPlace);
  EXPECT_FALSE(reassembler.take_complete().has_value());
  EXPECT_EQ(reassembler.partial_blocks(), 1U);
  EXPECT_EQ(receive(place_of(0, 1000, 1000)), Verdict::kPlace);
  const auto block = reassembler.take_complete();
  ASSERT_TRUE(block.has_value());
  EXPECT_EQ(block->length, 2500U);
  EXPECT_EQ(block->key, key_of(0));
  expect_whole(*block);
  EXPECT_EQ(reassembler.partial_blocks(), 0U);
}

TEST_F(ReassemblerTest, PackedBytesStartOnAPageWhateverTheHead) {
  DataPlace place = place_of(0, 0, 1600, true);
  place.head_units = 3;
  ASSERT_EQ(receive(place), Verdict::kPlace);
  const auto block = reassembler.take_complete();
  ASSERT_TRUE(block.has_value());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block->packed().data()) % 4096, 0U);
  EXPECT_EQ(block->packed().size(), 64U);
  expect_whole(*block);
}

TEST_F(ReassemblerTest, AForgedPacketTakesNoBufferAndNoCredit) {
  for (int burst = 0; burst < 20; ++burst) {
    EXPECT_EQ(verdict(place_of(static_cast<uint32_t>(burst), 0, 1000)), Verdict::kPlace);
    reassembler.settle();  // its tag was wrong
  }
  EXPECT_EQ(pool->free(), 8U);
  EXPECT_EQ(reassembler.partial_blocks(), 0U);
  EXPECT_FALSE(reassembler.take_started().has_value());
  for (uint32_t block = 100; block < 104; ++block) EXPECT_EQ(receive(place_of(block, 0, 1000)), Verdict::kPlace);
}

TEST_F(ReassemblerTest, AForgedPacketCannotHideTheTrueOneOfItsBurst) {
  const DataPlace place = place_of(0, 0, 1000, true);
  const Placement forged = reassembler.place(place);
  ASSERT_EQ(forged.verdict, Verdict::kPlace);
  std::memset(forged.out.data(), 0xEE, forged.out.size());
  ASSERT_EQ(verdict(place), Verdict::kDuplicate);  // opened elsewhere
  EXPECT_EQ(reassembler.on_placed(place, plain_of(place)), 1000U);
  EXPECT_FALSE(reassembler.take_complete().has_value());  // the forged one may still be opened
  reassembler.settle();
  const auto block = reassembler.take_complete();
  ASSERT_TRUE(block.has_value());
  expect_whole(*block);
}

TEST_F(ReassemblerTest, AForgedPacketCannotDirtyReceivedBytes) {
  ASSERT_EQ(receive(place_of(0, 0, 1000)), Verdict::kPlace);
  EXPECT_EQ(verdict(place_of(0, 0, 1000)), Verdict::kDuplicate);
  EXPECT_EQ(verdict(place_of(0, 999, 10)), Verdict::kDuplicate);
  EXPECT_EQ(verdict(place_of(0, 1000, 10)), Verdict::kPlace);
}

TEST_F(ReassemblerTest, APacketCutDifferentlyBringsWhatIsMissing) {
  ASSERT_EQ(receive(place_of(0, 1000, 1000)), Verdict::kPlace);
  const DataPlace wide = place_of(0, 0, 3000, true);
  ASSERT_EQ(verdict(wide), Verdict::kDuplicate);
  EXPECT_EQ(reassembler.on_placed(wide, plain_of(wide)), 2000U);
  reassembler.settle();
  const auto block = reassembler.take_complete();
  ASSERT_TRUE(block.has_value());
  expect_whole(*block);
}

TEST_F(ReassemblerTest, PlacesOfOneBurstNeverOverlap) {
  EXPECT_EQ(verdict(place_of(0, 0, 1000)), Verdict::kPlace);
  EXPECT_EQ(verdict(place_of(0, 1000, 1000)), Verdict::kPlace);
  EXPECT_EQ(verdict(place_of(0, 500, 1000)), Verdict::kDuplicate);
  EXPECT_EQ(verdict(place_of(1, 500, 1000)), Verdict::kPlace);
  reassembler.settle();
  EXPECT_EQ(verdict(place_of(0, 500, 1000)), Verdict::kPlace);  // nothing of it was confirmed
}

TEST_F(ReassemblerTest, ALateDuplicateOfAFinishedBlockTakesNoBuffer) {
  ASSERT_EQ(receive(place_of(0, 0, 1000, true)), Verdict::kPlace);
  reassembler.take_complete().reset();
  EXPECT_EQ(pool->free(), 8U);
  EXPECT_EQ(receive(place_of(0, 0, 1000, true)), Verdict::kDuplicate);
  EXPECT_EQ(pool->free(), 8U);
  EXPECT_FALSE(reassembler.take_complete().has_value());
}

TEST_F(ReassemblerTest, MoreBlocksThanTheCreditAreRefused) {
  for (uint32_t block = 0; block < 4; ++block) EXPECT_EQ(receive(place_of(block, 0, 1000)), Verdict::kPlace);
  EXPECT_EQ(receive(place_of(4, 0, 1000)), Verdict::kRefused);
  EXPECT_EQ(receive(place_of(3, 1000, 1000)), Verdict::kPlace);  // a started one goes on
  reassembler.on_credit(kSlot, 3);                               // an old value changes nothing
  reassembler.on_credit(kSlot, 5);
  EXPECT_EQ(receive(place_of(4, 0, 1000)), Verdict::kPlace);
  size_t started = 0;
  while (reassembler.take_started()) ++started;
  EXPECT_EQ(started, 5U);
}

TEST_F(ReassemblerTest, WithoutABufferThePacketIsDroppedAndMayComeAgain) {
  std::vector<Buffer> hoard;
  while (pool->free() != 0) hoard.push_back(pool->take());
  EXPECT_EQ(receive(place_of(0, 0, 1000)), Verdict::kNoBuffer);
  hoard.clear();
  EXPECT_EQ(receive(place_of(0, 0, 1000)), Verdict::kPlace);
}

TEST_F(ReassemblerTest, PacketsThatContradictTheirBlockAreRefused) {
  ASSERT_EQ(receive(place_of(0, 4000, 1000)), Verdict::kPlace);
  DataPlace other_head = place_of(0, 0, 1000);
  other_head.head_units = 2;
  EXPECT_EQ(receive(other_head), Verdict::kRefused);
  EXPECT_EQ(receive(place_of(0, 2000, 1000, true)), Verdict::kRefused);   // ends before what is here
  ASSERT_EQ(receive(place_of(0, 5000, 1000, true)), Verdict::kPlace);
  EXPECT_EQ(receive(place_of(0, 6000, 1000)), Verdict::kRefused);        // behind the end
  EXPECT_EQ(receive(place_of(0, 5500, 1000, true)), Verdict::kRefused);  // another end
  EXPECT_EQ(receive(place_of(0, 1000, 1000, true)), Verdict::kRefused);
  EXPECT_EQ(receive(place_of(0, 5500, 500)), Verdict::kRefused);         // the end without its mark
}

TEST_F(ReassemblerTest, ContradictionsWithinOneBurstLeaveTheFirstConfirmedInForce) {
  const DataPlace last = place_of(0, 0, 1000, true), behind = place_of(0, 2000, 500);
  ASSERT_EQ(verdict(last), Verdict::kPlace);
  ASSERT_EQ(verdict(behind), Verdict::kPlace);
  EXPECT_EQ(reassembler.on_placed(behind), 500U);
  EXPECT_EQ(reassembler.on_placed(last), 0U);
  reassembler.settle();
  EXPECT_FALSE(reassembler.take_complete().has_value());
}

TEST_F(ReassemblerTest, RangesOutsideTheBufferAreRefused) {
  const auto room = static_cast<uint32_t>(kHeadUnit + kLeafSize.count());
  EXPECT_EQ(verdict(place_of(0, room, 1)), Verdict::kRefused);
  EXPECT_EQ(verdict(place_of(0, room - 1, 2)), Verdict::kRefused);
  EXPECT_EQ(verdict(place_of(0, 0xFFFF'FFFF, 1000)), Verdict::kRefused);
  EXPECT_EQ(verdict(place_of(0, 0xFFFF'FF00, 0x100)), Verdict::kRefused);
  EXPECT_EQ(verdict(place_of(0, 0x100, 0xFFFF'FF00)), Verdict::kRefused);
  EXPECT_EQ(verdict(place_of(0, 0, 0)), Verdict::kRefused);
  EXPECT_EQ(verdict(place_of(0, 0, 512, true)), Verdict::kRefused);  // a head and nothing else
  for (const uint8_t units : std::array<uint8_t, 3>{0, 226, 255}) {
    DataPlace place = place_of(0, 0, 1000);
    place.head_units = units;
    EXPECT_EQ(verdict(place), Verdict::kRefused) << int{units};
  }
  EXPECT_EQ(pool->free(), 8U);
  EXPECT_EQ(receive(place_of(0, room - 1, 1, true)), Verdict::kPlace);
}

TEST_F(ReassemblerTest, TheLargestHeadAndBlockFitTheBuffer) {
  DataPlace place = place_of(0, 0, static_cast<uint32_t>(kHeadUnitsMax * kHeadUnit + kLeafSize.count()), true);
  place.head_units = kHeadUnitsMax;
  EXPECT_EQ(receive(place), Verdict::kPlace);
  EXPECT_EQ(reassembler.take_complete().value().length, place.length);
}

TEST_F(ReassemblerTest, AClosedSlotTakesNothingAndItsBuffersAreHome) {
  ASSERT_EQ(receive(place_of(0, 0, 1000)), Verdict::kPlace);
  ASSERT_EQ(receive(place_of(1, 0, 1000, true)), Verdict::kPlace);
  EXPECT_EQ(reassembler.close_slot(kSlot), 2U);
  EXPECT_EQ(pool->free(), 8U);
  EXPECT_FALSE(reassembler.take_complete().has_value());
  EXPECT_EQ(receive(place_of(0, 1000, 1000)), Verdict::kRefused);
  EXPECT_EQ(receive(place_of(1, 0, 1000, true)), Verdict::kRefused);
  EXPECT_EQ(reassembler.close_slot(kSlot), 0U);
  reassembler.open_slot(SlotId(2));
  EXPECT_EQ(receive(place_of(0, 0, 1000)), Verdict::kRefused);
  reassembler.open_slot(kSlot);  // 60 s later
  EXPECT_EQ(receive(place_of(0, 0, 1000)), Verdict::kRefused);
  reassembler.on_credit(kSlot, 1);
  EXPECT_EQ(receive(place_of(0, 0, 1000)), Verdict::kPlace);
}

TEST_F(ReassemblerTest, AnAbandonedBlockFreesItsCreditOnce) {
  ASSERT_EQ(receive(place_of(0, 0, 1000)), Verdict::kPlace);
  EXPECT_TRUE(reassembler.abandon(key_of(0)));
  EXPECT_EQ(pool->free(), 8U);
  EXPECT_FALSE(reassembler.abandon(key_of(0)));  // the frame came twice
  EXPECT_EQ(receive(place_of(0, 1000, 1000)), Verdict::kDuplicate);
  EXPECT_EQ(pool->free(), 8U);
}

TEST_F(ReassemblerTest, AbandoningAnUnseenBlockUsesTheCreditItWasCharged) {
  for (uint32_t block = 0; block < 4; ++block) EXPECT_TRUE(reassembler.abandon(key_of(block)));
  EXPECT_FALSE(reassembler.abandon(key_of(4)));  // beyond credit
  EXPECT_EQ(receive(place_of(4, 0, 1000)), Verdict::kRefused);
  size_t started = 0;
  while (reassembler.take_started()) ++started;
  EXPECT_EQ(started, 4U);
}

TEST_F(ReassemblerTest, ACompleteBlockCannotBeAbandonedTwiceForItsCredit) {
  ASSERT_EQ(receive(place_of(0, 0, 1000, true)), Verdict::kPlace);
  EXPECT_FALSE(reassembler.abandon(key_of(0)));  // its buffer is on its way to the store
  EXPECT_TRUE(reassembler.take_complete().has_value());
}

TEST_F(ReassemblerTest, ListsOfHolesAreBounded) {
  uint32_t placed = 0;
  for (uint32_t i = 0; i < Reassembler::kIntervalsMax + 100; ++i)
    placed += receive(place_of(0, i * 2, 1)) == Verdict::kPlace;
  EXPECT_EQ(placed, Reassembler::kIntervalsMax);
  EXPECT_EQ(receive(place_of(0, 1, 1)), Verdict::kPlace);  // closes a hole
}

TEST_F(ReassemblerTest, HistoryOfFinishedBlocksIsBounded) {
  const auto blocks = static_cast<uint32_t>(Reassembler::kFinishedMax + 10);
  reassembler.on_credit(kSlot, 2 * blocks);
  for (uint32_t block = 1; block <= blocks; ++block) {
    ASSERT_EQ(receive(place_of(block * 2, 0, 600, true)), Verdict::kPlace);
    reassembler.take_complete().reset();
  }
  EXPECT_EQ(verdict(place_of(blocks * 2, 0, 600, true)), Verdict::kDuplicate);
  EXPECT_EQ(verdict(place_of(2, 0, 600, true)), Verdict::kRefused);  // forgotten, and so never started again
  EXPECT_EQ(verdict(place_of(blocks * 2 + 1, 0, 600, true)), Verdict::kPlace);
}

TEST_F(ReassemblerTest, TheHighestBlockNumberWorks) {
  EXPECT_EQ(receive(place_of(0xFFFF'FFFF, 0, 600, true)), Verdict::kPlace);
  EXPECT_EQ(receive(place_of(0xFFFF'FFFF, 0, 600, true)), Verdict::kDuplicate);
}

// Bursts of packets in random order, cut at random, some twice, some forged.
class ReassemblerHistory {
 public:
  static constexpr uint32_t kBlocks = 12;

  ReassemblerHistory(uint64_t seed, BufferPool& pool)
      : random_(seed), pool_(pool), reassembler_({.blocks_max = 6}, pool) {
    reassembler_.open_slot(kSlot);
    reassembler_.on_credit(kSlot, allowed_);
    for (uint32_t& length : lengths_) length = static_cast<uint32_t>(3000 + random_.below(20'000));
    for (uint8_t& head : heads_) head = static_cast<uint8_t>(1 + random_.below(4));
  }

  bool is_done() const { return delivered_.size() == kBlocks; }
  uint64_t gained() const { return gained_; }
  uint64_t bytes() const { return std::accumulate(lengths_.begin(), lengths_.end(), uint64_t{0}); }

  void burst() {
    packets_.clear();
    for (uint64_t n = 1 + random_.below(20); n > 0; --n) add_packet();
    open_packets();
    for (const Sent& sent : packets_) accept(sent);
    reassembler_.settle();
    while (reassembler_.take_started()) {}
    while (const auto block = reassembler_.take_complete()) deliver(*block);
    ASSERT_LE(reassembler_.partial_blocks(), 3U);
    ASSERT_EQ(pool_.free(), pool_.size() - reassembler_.partial_blocks());
  }

 private:
  struct Sent {
    DataPlace place;
    bool is_true;
    Placement told;
  };

  void add_packet() {
    const auto block = static_cast<uint32_t>(random_.below(kBlocks));
    const uint64_t from = random_.below(lengths_[block] + 3000);  // the first byte is as likely as any other
    const auto offset = static_cast<uint32_t>(from < 3000 ? 0 : from - 3000);
    const auto length = static_cast<uint32_t>(std::min<uint64_t>(lengths_[block] - offset, 1 + random_.below(4000)));
    DataPlace place{.key = key_of(block),
                    .head_units = heads_[block],
                    .is_last_in_block = offset + length == lengths_[block],
                    .offset = offset,
                    .length = length};
    const bool is_true = random_.happens(0.7);
    if (!is_true && random_.happens(0.3)) place.head_units = static_cast<uint8_t>(1 + random_.below(4));
    if (!is_true && random_.happens(0.3)) place.is_last_in_block = !place.is_last_in_block;
    packets_.push_back({place, is_true, reassembler_.place(place)});
  }

  void open_packets() {  // what is forged leaves dirt
    for (const Sent& sent : packets_) {
      if (sent.told.verdict != Verdict::kPlace) continue;
      const auto plain = ReassemblerTest::plain_of(sent.place);
      if (sent.is_true) std::memcpy(sent.told.out.data(), plain.data(), plain.size());
      else std::memset(sent.told.out.data(), 0xDD, sent.told.out.size());
    }
  }

  void accept(const Sent& sent) {
    if (!sent.is_true) return;
    if (sent.told.verdict == Verdict::kPlace) gained_ += reassembler_.on_placed(sent.place);
    if (sent.told.verdict != Verdict::kDuplicate) return;
    gained_ += reassembler_.on_placed(sent.place, ReassemblerTest::plain_of(sent.place));
  }

  void deliver(const PackedBlock& block) {
    const uint32_t number = block.key.block.value();
    ASSERT_TRUE(delivered_.insert(number).second);
    ASSERT_EQ(block.length, lengths_[number]);
    ReassemblerTest::expect_whole(block);
    reassembler_.on_credit(kSlot, ++allowed_);
  }

  Random random_;
  BufferPool& pool_;
  Reassembler reassembler_;
  uint64_t allowed_ = 3;
  std::array<uint32_t, kBlocks> lengths_{};
  std::array<uint8_t, kBlocks> heads_{};
  std::vector<Sent> packets_;
  std::set<uint32_t> delivered_;
  uint64_t gained_ = 0;
};

TEST(Reassembler, RandomHistoriesDeliverEveryBlockOnceAndWhole) {
  auto pool = BufferPool::create(8).value();
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    ReassemblerHistory history(seed, *pool);
    for (int i = 0; i < 4000 && !history.is_done() && !testing::Test::HasFailure(); ++i) history.burst();
    ASSERT_TRUE(history.is_done());
    EXPECT_EQ(history.gained(), history.bytes());
    EXPECT_EQ(pool->free(), 8U);
  }
}

}  // namespace
}  // namespace tideway::flow::reassembler_test
