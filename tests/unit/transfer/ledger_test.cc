// SPDX-License-Identifier: Apache-2.0
#include "transfer/ledger.h"

#include <gtest/gtest.h>

namespace tideway::transfer {
namespace {

constexpr TransferId kId = {std::byte{7}};

// A ledger of several records, and its bytes.
struct Written {
  Ledger ledger{kId};
  std::vector<std::byte> bytes;
  void add(const LedgerRecord& record) {
    ledger.write(record);
    const auto more = ledger.take_unwritten();
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
};

Written some_records() {
  Written written;
  written.add(LedgerOpened{3});
  written.add(LeavesDurable{10, 5});
  written.add(LeavesDurable{15, 1});
  written.add(LeavesVoided{12, 2});
  written.add(PublishBegun{{std::byte{9}}, 77});
  return written;
}

TEST(Ledger, ReadsWhatItWrote) {
  const Written written = some_records();
  Ledger read(kId);
  EXPECT_EQ(read.replay(written.bytes), written.bytes.size());
  EXPECT_EQ(read, written.ledger);
  EXPECT_EQ(read.lease_epoch(), 3U);
  ASSERT_EQ(read.durable().intervals().size(), 2U);
  EXPECT_EQ(read.durable().intervals()[0], (flow::Interval{10, 12}));
  EXPECT_EQ(read.durable().intervals()[1], (flow::Interval{14, 16}));
  EXPECT_EQ(read.publishing(), (PublishBegun{{std::byte{9}}, 77}));
}

TEST(Ledger, WhatWasRecordedBeforeABootIsDoubtfulUntilItIsRecordedAgain) {
  constexpr BootId kFirst{std::byte{1}}, kSecond{std::byte{2}};
  Written written;
  written.add(LedgerOpened{1, kFirst});
  written.add(LeavesDurable{10, 10});
  written.add(LedgerOpened{1, kFirst});
  EXPECT_TRUE(written.ledger.doubtful().is_empty()) << "only the process is another one";
  written.add(LedgerOpened{1, kSecond});
  EXPECT_EQ(written.ledger.doubtful().count(), 10U);
  written.add(LeavesDurable{10, 4});
  written.add(LeavesVoided{14, 1});
  written.add(LeavesDurable{30, 2});
  written.add(LedgerOpened{1, kSecond});  // it died while it looked at the rest
  Ledger read(kId);
  read.replay(written.bytes);
  EXPECT_EQ(read, written.ledger);
  ASSERT_EQ(read.doubtful().intervals().size(), 1U);
  EXPECT_EQ(read.doubtful().intervals()[0], (flow::Interval{15, 20}));
  EXPECT_EQ(read.durable().count(), 11U) << "what is doubtful counts";
}

TEST(Ledger, AHostThatDoesNotSayWhoItIsDoubtsEverything) {
  Written written;
  written.add(LedgerOpened{1});
  written.add(LeavesDurable{0, 3});
  written.add(LedgerOpened{1});
  EXPECT_EQ(written.ledger.doubtful().count(), 3U);
}

TEST(Ledger, IsReadInPieces) {
  const Written written = some_records();
  Ledger read(kId);
  const auto bytes = std::span(written.bytes);
  EXPECT_EQ(read.replay(bytes.first(2 * kLedgerRecordSize)), 2 * kLedgerRecordSize);
  EXPECT_EQ(read.replay(bytes.subspan(2 * kLedgerRecordSize)), 3 * kLedgerRecordSize);
  EXPECT_EQ(read, written.ledger);
}

TEST(Ledger, GoesOnBehindWhatItReplayed) {
  Written written = some_records();
  Ledger read(kId);
  read.replay(written.bytes);
  read.write(LeavesDurable{12, 2});
  written.add(LeavesDurable{12, 2});
  EXPECT_EQ(read.take_unwritten(), std::vector<std::byte>(written.bytes.end() - kLedgerRecordSize, written.bytes.end()));
  EXPECT_EQ(read, written.ledger);
}

TEST(Ledger, StopsAtTheFirstBadRecord) {
  const Written written = some_records();
  for (size_t at = 0; at < written.bytes.size(); ++at) {
    auto damaged = written.bytes;
    damaged[at] ^= std::byte{1};
    Ledger read(kId);
    EXPECT_EQ(read.replay(damaged), at / kLedgerRecordSize * kLedgerRecordSize) << "a flip in byte " << at;
  }
}

TEST(Ledger, IgnoresARecordThatIsCutOff) {
  const Written written = some_records();
  for (size_t size = 0; size < written.bytes.size(); ++size) {
    Ledger read(kId);
    EXPECT_EQ(read.replay(std::span(written.bytes).first(size)), size / kLedgerRecordSize * kLedgerRecordSize);
  }
}

TEST(Ledger, OfAnotherTransferProvesNothing) {
  const Written written = some_records();
  Ledger other(TransferId{std::byte{8}});
  EXPECT_EQ(other.replay(written.bytes), 0U);
}

TEST(Ledger, ARecordThatIsMissingOrDoubledEndsIt) {
  const Written written = some_records();
  auto missing = written.bytes;
  missing.erase(missing.begin() + kLedgerRecordSize, missing.begin() + 2 * kLedgerRecordSize);
  Ledger read(kId);
  EXPECT_EQ(read.replay(missing), kLedgerRecordSize);
  auto doubled = written.bytes;
  doubled.insert(doubled.begin(), written.bytes.begin(), written.bytes.begin() + kLedgerRecordSize);
  Ledger again(kId);
  EXPECT_EQ(again.replay(doubled), kLedgerRecordSize);
}

TEST(Ledger, AKindOrRangeThatCannotBeEndsIt) {
  const auto replayed = [](uint32_t kind, uint64_t first, uint64_t count) {
    Written written;
    written.add(LeavesDurable{1, 1});
    auto record = std::span(written.bytes).first<kLedgerRecordSize>();
    record[7] = static_cast<std::byte>(kind);
    for (size_t i = 0; i < 8; ++i) {
      record[16 + i] = static_cast<std::byte>(first >> (56 - 8 * i));
      record[24 + i] = static_cast<std::byte>(count >> (56 - 8 * i));
    }
    seal_ledger_record(kId, record);
    return Ledger(kId).replay(written.bytes);
  };
  EXPECT_EQ(replayed(2, 1, 1), kLedgerRecordSize);
  EXPECT_EQ(replayed(9, 1, 1), 0U);
  EXPECT_EQ(replayed(2, 1, 0), 0U);
  EXPECT_EQ(replayed(3, UINT64_MAX, 1), 0U);
}

TEST(Ledger, ACompactedOneSaysTheSameInAsFewRecordsAsThereAreRanges) {
  constexpr BootId kBefore{std::byte{1}}, kNow{std::byte{2}};
  Ledger ledger(kId);
  ledger.write(LedgerOpened{3, kBefore});
  for (uint64_t leaf = 0; leaf < 200; ++leaf) ledger.write(LeavesDurable{leaf, 1});
  ledger.write(LeavesVoided{50, 10});
  ledger.write(LedgerOpened{2, kNow});
  for (uint64_t leaf = 0; leaf < 20; ++leaf) ledger.write(LeavesDurable{leaf, 1});  // looked at again
  for (uint64_t leaf = 300; leaf < 400; ++leaf) ledger.write(LeavesDurable{leaf, 1});
  static_cast<void>(ledger.take_unwritten());
  LedgerCompaction compaction(ledger);
  const auto bytes = compaction.next_piece();
  EXPECT_EQ(compaction.records(), 6U);
  EXPECT_TRUE(compaction.next_piece().empty());
  Ledger read(kId);
  EXPECT_EQ(read.replay(bytes), bytes.size());
  EXPECT_TRUE(std::ranges::equal(read.durable().intervals(), ledger.durable().intervals()));
  EXPECT_TRUE(std::ranges::equal(read.doubtful().intervals(), ledger.doubtful().intervals()));
  EXPECT_EQ(read.lease_epoch(), 3U);
  ledger.on_compacted(compaction);
  EXPECT_EQ(read, ledger);
  read.write(LedgerOpened{4, kNow});
  EXPECT_TRUE(std::ranges::equal(read.doubtful().intervals(), ledger.doubtful().intervals())) << "the same boot goes on";
  read.write(LedgerOpened{4, kBefore});
  EXPECT_EQ(read.doubtful().count(), read.durable().count()) << "another one doubts all";
}

TEST(Ledger, ACompactionHandsOutItsRecordsInPieces) {
  constexpr uint64_t kRanges = 3 * kLedgerPieceRecords;
  Ledger ledger(kId);
  ledger.write(LedgerOpened{1, {std::byte{1}}});
  for (uint64_t range = 0; range < kRanges; ++range) ledger.write(LeavesDurable{4 * range, 3});
  ledger.write(LedgerOpened{1, {std::byte{2}}});
  for (uint64_t range = 0; range < kRanges; range += 3) ledger.write(LeavesDurable{4 * range + 1, 1});  // in the middle of what is doubtful
  static_cast<void>(ledger.take_unwritten());
  LedgerCompaction compaction(ledger);
  Ledger read(kId);
  size_t pieces = 0;
  for (auto piece = compaction.next_piece(); !piece.empty(); piece = compaction.next_piece(), ++pieces) {
    EXPECT_LE(piece.size(), kLedgerPieceRecords * kLedgerRecordSize);
    ASSERT_EQ(read.replay(piece), piece.size());
  }
  EXPECT_GE(pieces, 4U);
  ledger.on_compacted(compaction);
  EXPECT_EQ(read, ledger);
}

}  // namespace
}  // namespace tideway::transfer
