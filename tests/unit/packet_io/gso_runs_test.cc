// SPDX-License-Identifier: Apache-2.0
#include "packet_io/gso_runs.h"

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <vector>

namespace tideway::packet_io {
namespace {

std::vector<Packet> burst_of(std::initializer_list<size_t> sizes) {
  static std::array<std::byte, kRunBytesMax> memory;
  std::vector<Packet> burst;
  for (const size_t size : sizes) {
    burst.emplace_back();
    burst.back().bytes = std::span(memory).first(size);
    burst.back().path = PathId(1);
  }
  return burst;
}

std::vector<uint32_t> lengths(const std::vector<Packet>& burst, Gso gso = Gso::kOn) {
  std::vector<GsoRun> runs(burst.size());
  runs.resize(form_runs(burst, gso, runs));
  std::vector<uint32_t> packets;
  for (const GsoRun& run : runs) packets.push_back(run.packets);
  return packets;
}

using Lengths = std::vector<uint32_t>;

TEST(GsoRuns, EqualPacketsAreOneRunWithTheirSumOfBytes) {
  const auto burst = burst_of({1200, 1200, 1200});
  std::array<GsoRun, 3> runs;
  ASSERT_EQ(form_runs(burst, Gso::kOn, runs), 1U);
  EXPECT_EQ(runs[0].packets, 3U);
  EXPECT_EQ(runs[0].segment, 1200U);
  EXPECT_EQ(runs[0].bytes, 3600U);
}

TEST(GsoRuns, AShorterPacketEndsItsRun) {
  EXPECT_EQ(lengths(burst_of({1200, 1200, 400, 1200, 1200})), (Lengths{3, 2}));
  EXPECT_EQ(lengths(burst_of({1200, 400, 400, 400})), (Lengths{2, 2}));
}

TEST(GsoRuns, ALongerPacketStartsARun) { EXPECT_EQ(lengths(burst_of({400, 1200, 1200})), (Lengths{1, 2})); }

TEST(GsoRuns, AnEmptyPacketGoesAlone) {
  EXPECT_EQ(lengths(burst_of({1200, 0, 1200, 1200})), (Lengths{1, 1, 2}));
  EXPECT_EQ(lengths(burst_of({0, 0})), (Lengths{1, 1}));
}

TEST(GsoRuns, PathAndEcnAreAlikeWithinARun) {
  auto burst = burst_of({1200, 1200, 1200, 1200});
  burst[2].path = burst[3].path = PathId(2);
  EXPECT_EQ(lengths(burst), (Lengths{2, 2}));
  burst[3].ecn = Ecn::kEct0;
  EXPECT_EQ(lengths(burst), (Lengths{2, 1, 1}));
}

TEST(GsoRuns, ARunStaysBelowTheLimitsOfTheKernel) {
  std::vector<Packet> small, large;
  for (int i = 0; i < 70; ++i) small.push_back(std::move(burst_of({100})[0]));
  for (int i = 0; i < 10; ++i) large.push_back(std::move(burst_of({8972})[0]));
  EXPECT_EQ(lengths(small), (Lengths{64, 6}));
  EXPECT_EQ(lengths(large), (Lengths{7, 3}));
  EXPECT_EQ(lengths(burst_of({32753, 32754, 1})), (Lengths{1, 2}));
  EXPECT_EQ(lengths(burst_of({32754, 32753, 1})), (Lengths{2, 1})) << "65,507 bytes just fit";
  EXPECT_EQ(lengths(burst_of({32754, 32754})), (Lengths{1, 1}));
}

TEST(GsoRuns, WithoutGsoEachPacketIsARun) {
  EXPECT_EQ(lengths(burst_of({1200, 1200, 400}), Gso::kOff), (Lengths{1, 1, 1}));
}

}  // namespace
}  // namespace tideway::packet_io
