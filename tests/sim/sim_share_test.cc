// SPDX-License-Identifier: Apache-2.0
//
// What a transfer gets of its link over delay and loss, with all that takes part: congestion control, loss detection, credit, the
// repair of the tail. As long as 512 MiB take at 1 Gbit/s, on a link of a fortieth of that and with blocks of a fortieth, so
// that a block is the same part of a BDP. The share is that of perf/wan: of what the link carries beside its losses, and of
// the four round trips of a cold start, three of which are over here when it begins. With --gtest_output=xml the figures are properties.
#include "sim/sim_pair.h"

#include <gtest/gtest.h>

#include <string>

namespace tideway::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint32_t kBlocks = 128, kLength = 104'857;
constexpr Rate kRate = 25_Mbit;
constexpr double kPayloadShare = 1408.0 / 1522.0;  // of what a full packet charges the link
enum class Scale : uint32_t { kFortieth = 1, kWhole = 40 };

struct Cell {
  int rtt_ms;
  double loss, burst, wanted;
};

double share_of(const Cell& cell, wan::Reorder reorder = {}, Scale scale = Scale::kFortieth) {
  const Duration rtt = milliseconds(cell.rtt_ms);
  const auto times = static_cast<uint32_t>(scale);
  const Rate rate = kRate * times;
  const uint32_t length = kLength * times;
  SimPair sim({.link = {.rate = rate, .delay = rtt / 2, .impairments = {.loss = cell.loss, .loss_burst = cell.burst, .reorder = reorder}},
               .paths = SimPairConfig::Paths::kShared, .controller = "bbr", .credit_blocks = 64, .unsent_max = 2 * length,
               .receive_every = std::chrono::microseconds(100)});
  sim.open({.slot = kSlot, .blocks = kBlocks, .length = length, .store_delay = milliseconds(5)});
  EXPECT_TRUE(sim.run_until_done({kSlot}, seconds(60))) << state_of(sim);
  const Duration ideal = (rate * (kPayloadShare * (1 - cell.loss))).time_for(Bytes(uint64_t{kBlocks} * length));
  return static_cast<double>((ideal + 4 * rtt).count()) / static_cast<double>((sim.now() - Time() + 3 * rtt).count());
}

TEST(SimShare, IsHeldOverDelayAndLoss) {
  for (const Cell& cell : {Cell{1, 0, 1, 0.95}, Cell{1, 0.01, 1, 0.95}, Cell{1, 0.03, 1, 0.9}, Cell{1, 0.01, 10, 0.8},
                           Cell{50, 0, 1, 0.95}, Cell{50, 0.01, 1, 0.95}, Cell{50, 0.03, 1, 0.9}, Cell{50, 0.01, 10, 0.9},
                           Cell{100, 0, 1, 0.95}, Cell{100, 0.01, 1, 0.94}, Cell{100, 0.03, 1, 0.9}, Cell{100, 0.01, 10, 0.9},
                           Cell{200, 0, 1, 0.94}, Cell{200, 0.01, 1, 0.91}, Cell{200, 0.03, 1, 0.9}, Cell{200, 0.01, 10, 0.9}}) {
    const std::string name = std::to_string(cell.rtt_ms) + "_ms_" + std::to_string(cell.loss) + "_x" + std::to_string(static_cast<int>(cell.burst));
    const double share = share_of(cell);
    RecordProperty(name, std::to_string(share));
    EXPECT_GE(share, cell.wanted) << name;
  }
}

// Packets that come up to 20 ms later than others are no losses, and what is sent again by mistake costs little.
TEST(SimShare, IsHeldOverReordering) {
  struct Late { int rtt_ms; double part; int most_ms; double wanted; };
  for (const Late& late : {Late{10, 0.01, 5, 0.95}, Late{10, 0.01, 20, 0.95}, Late{50, 0.01, 20, 0.95}, Late{50, 0.2, 20, 0.95}, Late{100, 0.01, 20, 0.95},
                           Late{200, 0.01, 20, 0.95}}) {
    const std::string name = std::to_string(late.rtt_ms) + "_ms_" + std::to_string(late.part) + "_late_" + std::to_string(late.most_ms);
    const double share = share_of({late.rtt_ms, 0, 1, late.wanted}, {.share = late.part, .extra_max = milliseconds(late.most_ms)});
    RecordProperty(name, std::to_string(share));
    EXPECT_GE(share, late.wanted) << name;
  }
}

// At this rate a thousand and more packets overtake each late one.
TEST(SimShare, IsHeldOverReorderingAtAGigabit) {
  const double share = share_of({50, 0, 1, 0.95}, {.share = 0.01, .extra_max = milliseconds(20)}, Scale::kWhole);
  RecordProperty("share", std::to_string(share));
  EXPECT_GE(share, 0.95);
}

}  // namespace
}  // namespace tideway::test
