// SPDX-License-Identifier: Apache-2.0
#include "session/stall.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

struct StallTest : testing::Test {
  engine::TransferBoard board;
  StallWatch watch;

  Stall after(uint64_t blocks, engine::Counter engine::TransferBoard::*met, uint64_t of_these) {
    board.blocks.add(blocks);
    (board.*met).add(of_these);
    return watch.look(board);
  }
};

TEST_F(StallTest, ASourceWhoseBlocksLeaveAsSoonAsTheyAreReadIsSlow) {
  EXPECT_EQ(after(8, &engine::TransferBoard::blocks_dry, 8), Stall::kSource);
  EXPECT_EQ(bottleneck_of({watch.verdict(), Stall::kNone}), Bottleneck::kSource);
}

TEST_F(StallTest, ASinkThatGivesNoCreditSaysItselfWhatItWaitsFor) {
  EXPECT_EQ(after(8, &engine::TransferBoard::blocks_uncredited, 7), Stall::kCredit);
  engine::TransferBoard at_sink;
  StallWatch sink;
  at_sink.blocks.set(8);
  at_sink.blocks_unwritten.set(8);
  at_sink.blocks_queued.set(8);  // the processor waits for the same thread
  EXPECT_EQ(sink.look(at_sink), Stall::kDisk);
  EXPECT_EQ(bottleneck_of({watch.verdict(), sink.verdict()}), Bottleneck::kSinkDisk);
  at_sink.blocks.set(16);
  at_sink.blocks_queued.set(16);
  EXPECT_EQ(sink.look(at_sink), Stall::kCpu);
  EXPECT_EQ(bottleneck_of({watch.verdict(), sink.verdict()}), Bottleneck::kSinkCpu);
  EXPECT_EQ(bottleneck_of({watch.verdict(), Stall::kNone}), Bottleneck::kNone);  // its memory is what is short
}

// A sink whose disk is just busy takes all that the network brings.
TEST_F(StallTest, ABusySinkThatGivesCreditIsNoBottleneck) {
  EXPECT_EQ(bottleneck_of({Stall::kNone, Stall::kDisk}), Bottleneck::kNone);
}

TEST_F(StallTest, FewBlocksSayNothingAndTheVerdictStandsUntilThereAreMore) {
  EXPECT_EQ(after(StallWatch::kBlocksMin - 1, &engine::TransferBoard::blocks_dry, StallWatch::kBlocksMin - 1), Stall::kNone);
  EXPECT_EQ(after(1, &engine::TransferBoard::blocks_dry, 1), Stall::kSource);
  EXPECT_EQ(after(StallWatch::kBlocksMin - 1, &engine::TransferBoard::blocks_dry, 0), Stall::kSource);
  EXPECT_EQ(after(1, &engine::TransferBoard::blocks_dry, 0), Stall::kNone);
  EXPECT_EQ(after(8, &engine::TransferBoard::blocks_dry, 3), Stall::kNone);  // most of them found others ready
}

TEST(StallNames, ComeBackAndOtherWordsMeanNothing) {
  for (const Stall stall : {Stall::kNone, Stall::kSource, Stall::kCredit, Stall::kDisk, Stall::kCpu}) EXPECT_EQ(stall_named(name_of(stall)), stall);
  EXPECT_EQ(stall_named("store"), Stall::kNone);
}

}  // namespace
}  // namespace tideway::session
