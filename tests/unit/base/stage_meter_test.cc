// SPDX-License-Identifier: Apache-2.0
#include "base/stage_meter.h"

#include <gtest/gtest.h>

namespace tideway {
namespace {

uint64_t sum_of_cycles(const StageMeter& meter) {
  uint64_t sum = 0;
  for (const StageCount& count : meter.counts()) sum += count.cycles;
  return sum;
}

TEST(StageMeter, AllTimeBelongsToSomeStage) {
  const uint64_t before = read_cycles();
  StageMeter meter;
  stage_meter = &meter;
  const uint64_t inside = read_cycles();
  for (size_t i = 0; i < 1'000; ++i) end_stage(i % 2 == 0 ? Stage::kOpen : Stage::kPlace, 32);
  const uint64_t last = read_cycles();
  end_stage(Stage::kIdle);
  stage_meter = nullptr;
  EXPECT_GE(sum_of_cycles(meter), last - inside);
  EXPECT_LE(sum_of_cycles(meter), read_cycles() - before);
  EXPECT_EQ(meter.counts()[static_cast<size_t>(Stage::kOpen)].packets, 16'000U);
  EXPECT_GT(meter.counts()[static_cast<size_t>(Stage::kPlace)].cycles, 0U);
}

TEST(StageMeter, WithoutOneNothingIsCounted) {
  StageMeter meter;
  end_stage(Stage::kSeal, 64);
  EXPECT_EQ(sum_of_cycles(meter), 0U);
}

TEST(StageMeter, WhatPassedBeforeResumeBelongsToNobody) {
  StageMeter meter;
  const uint64_t start = read_cycles();
  uint64_t now = start;
  while (now < start + 1'000'000) now = read_cycles();
  meter.resume();
  meter.end(Stage::kTurn, 0);
  EXPECT_LE(sum_of_cycles(meter), read_cycles() - now);
}

}  // namespace
}  // namespace tideway
