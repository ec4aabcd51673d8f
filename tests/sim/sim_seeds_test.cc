// SPDX-License-Identifier: Apache-2.0
//
// Thousands of short runs, each of them a seed (sim/seeds.h): everything about a run is drawn from it, and what must hold at every
// step is checked by SimPair.
#include "sim/sim_pair.h"

#include "crypto/registry.h"
#include "sim/seeds.h"

#include <gtest/gtest.h>

namespace tideway::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kPairShards = 16;
constexpr uint64_t kBleachedEach = 9, kReroutedEach = 7;  // of the seeds: not drawn, so that what others draw stays what it was
// Of one run, virtual: the slowest link needs a few seconds, a window of two packets on a path that has become longer a minute or two,
// and so does a burst of losses that takes twenty questions in turn, three seconds apart (seed 85867).
constexpr Duration kTimeMax = seconds(240);
constexpr Duration kFaultsBeginBefore = milliseconds(600), kDeadTimeMax = seconds(4), kDetourMax = milliseconds(200);

class Scenario {
 public:
  explicit Scenario(uint64_t seed) : random_(seed) {
    config_.seed = seed;
    if (seed % kBleachedEach == 0) config_.marks = SimPairConfig::Marks::kBleached;
    draw_link();
    draw_ends();
    draw_strangers();
  }

  // Empty: all invariants held.
  std::string run() {
    SimPair sim(config_);
    open_transfers(sim);
    plan_faults(sim);
    if (config_.seed % kReroutedEach == 0) plan_detour(sim);
    if (!sim.run_until_done(slots_, kTimeMax) || !sim.run_for(seconds(2))) return state_of(sim);
    trace_ = sim.trace();
    // What a dead path carried is acknowledged when it is back (seed 480145), which no path is later than this.
    if (!sim.is_home() && !sim.run_for(kDeadTimeMax)) return state_of(sim);
    return sim.is_home() ? "" : "not all buffers came home";
  }
  uint64_t trace() const { return trace_; }

 private:
  bool one_in(uint64_t n) { return random_.below(n) == 0; }
  Duration up_to(Duration most) { return Duration(static_cast<int64_t>(random_.below(static_cast<uint64_t>(most.count())))); }

  void draw_link() {
    constexpr uint64_t kMbits[] = {5, 20, 50, 100, 400};
    wan::LinkConfig& link = config_.link;
    link.rate = Rate::bits_per_second(kMbits[random_.below(5)] * 1'000'000);
    link.delay = one_in(3) ? microseconds(200 + random_.below(1000)) : milliseconds(1 + random_.below(60));
    if (one_in(3)) link.queue = Bytes(8000 + random_.below(100'000));  // from five packets on
    if (one_in(8)) link.ce_mark = 20_KiB;
    if (one_in(5)) link.mtu = Bytes(1280 + random_.below(220));
    wan::Impairments& bad = link.impairments;
    if (!one_in(4)) bad.loss = random_.fraction() * 0.05;
    if (one_in(2)) bad.loss_burst = 1 + random_.fraction() * 10;
    if (one_in(2)) bad.duplicate = random_.fraction() * 0.03;
    if (one_in(2)) bad.corrupt = random_.fraction() * 0.01;
    if (one_in(2)) bad.reorder = {.share = random_.fraction() * 0.2, .extra_max = milliseconds(1 + random_.below(50))};
    if (one_in(3)) bad.jitter = milliseconds(1 + random_.below(5));
  }

  void draw_ends() {
    config_.flows = 1 + random_.below(4);
    if (config_.flows > 1 && one_in(3)) {
      config_.link_of[0] = config_.link;
      config_.link_of[0].rate = config_.link.rate * 0.1;
      // Its own queue would be shorter than a packet, which no sender can do anything about.
      config_.link_of[0].queue = std::max(wan::queue_limit(config_.link_of[0]), 8000_B);
    }
    constexpr const char* kControllers[] = {"bbr", "contracted", ""};
    config_.controller = kControllers[random_.below(3)];
    config_.window = Bytes(3000 + random_.below(300'000));
    config_.credit_blocks = 16 + random_.below(20);
    constexpr uint64_t kMtus[] = {1280, 1400, 1500, 1500, 4000, 9000};
    config_.mtu_max = Bytes(kMtus[random_.below(6)]);
    if (!one_in(4)) {
      // The hard limits stay: a key that is never confirmed ends a flow on purpose, and a path may be dead for long.
      config_.key_limits.packets = 8 + random_.below(200);
      if (one_in(3)) config_.key_limits.bytes = 10'000 + random_.below(100'000);
      if (one_in(3)) config_.key_limits.age = milliseconds(20 + random_.below(500));
      config_.key_limits.forgeries = 1 + random_.below(20);
    }
    if (one_in(8)) {
      const auto providers = crypto::aead_providers();
      config_.provider = providers[random_.below(providers.size())].name;
    }
    if (one_in(4)) config_.address = flow::FlowConfig::Address::kUnproven;
    if (one_in(2)) config_.receive_every = microseconds(10 + random_.below(2000));
    if (one_in(4)) config_.rooms_max = 1 + random_.below(8);
    config_.rooms_wait = microseconds(5 + random_.below(100));
  }

  void draw_strangers() {
    if (one_in(2)) config_.stray = 0.01;
    if (one_in(2)) config_.forged = random_.fraction() * 0.1;
    if (one_in(4)) config_.raced = random_.fraction() * 0.02;
  }

  void open_transfers(SimPair& sim) {
    const uint64_t count = 1 + random_.below(4);
    const auto length_max = static_cast<uint32_t>(config_.link.rate < 20_Mbit ? 20'000 : 45'000);
    for (uint16_t slot = 0; slot < count; ++slot) {
      slots_.emplace_back(slot);
      sim.open({.slot = SlotId(slot),
                .from = random_.below(2),
                .blocks = static_cast<uint32_t>(1 + random_.below(20)),
                .length = static_cast<uint32_t>(16 + random_.below(length_max)),
                .store_delay = one_in(2) ? milliseconds(random_.below(50)) : Duration{}});
    }
    if (one_in(4)) sim.at(up_to(milliseconds(500)), [&sim] { sim.abandon_under_way(SlotId(0), 2); });
  }

  void plan_faults(SimPair& sim) {
    const Duration span = kFaultsBeginBefore;
    const auto flow = [this] { return random_.below(config_.flows); };
    if (one_in(3)) {  // one path or all of them, for a moment or for long
      const bool is_all = one_in(2);
      const size_t only = flow();
      const Duration from = up_to(span), length = one_in(2) ? up_to(milliseconds(300)) : up_to(kDeadTimeMax);
      for (size_t f = 0; f < config_.flows; ++f) {
        if (!is_all && f != only) continue;
        sim.at(from, [&sim, f] { sim.set_flow_dead(f, true); });
        sim.at(from + length, [&sim, f] { sim.set_flow_dead(f, false); });
      }
    }
    if (config_.flows > 1 && one_in(6)) sim.at(up_to(span), [&sim] { sim.set_flow_dead(0, true); });
    if (one_in(3)) {
      const bool is_all = one_in(2);
      const size_t only = flow();
      const Bytes mtu(1280 + random_.below(200));
      const Duration from = up_to(span), back = from + up_to(seconds(3));
      for (size_t f = 0; f < config_.flows; ++f) {
        if (!is_all && f != only) continue;
        sim.at(from, [&sim, f, mtu] { sim.set_mtu(f, mtu); });
        sim.at(back, [&sim, f] { sim.set_mtu(f, Bytes::max()); });
      }
    }
    // The end behind a NAT; were both to move at once, no packet could tell anybody.
    for (uint64_t moves = one_in(3) ? 1 + random_.below(3) : 0; moves > 0; --moves)
      sim.at(up_to(span), [&sim, f = flow()] { sim.rebind(0, f); });
    for (int i = 0; i < 12; ++i) sim.at(up_to(seconds(3)), [&sim] { sim.replay_old(); });
    for (int i = 0; i < 12; ++i) sim.at(up_to(seconds(2)), [&sim] { sim.forge(2); });
  }

  // The route of one path is another and a longer one, for a while or for good.
  void plan_detour(SimPair& sim) {
    const size_t flow = random_.below(config_.flows);
    const Duration from = up_to(kFaultsBeginBefore), more = up_to(kDetourMax);
    sim.at(from, [&sim, flow, more] { sim.set_detour(flow, more); });
    if (one_in(2)) sim.at(from + up_to(seconds(2)), [&sim, flow] { sim.set_detour(flow, {}); });
  }

  Random random_;
  SimPairConfig config_;
  std::vector<SlotId> slots_;
  uint64_t trace_ = 0;
};

class SimPairSeeds : public testing::TestWithParam<uint64_t> {};

TEST_P(SimPairSeeds, EveryInvariantHoldsWhateverHappensToTheLinks) {
  check_seeds({GetParam(), kPairShards}, [](uint64_t seed) { return Scenario(seed).run(); });
}

INSTANTIATE_TEST_SUITE_P(Shard, SimPairSeeds, testing::Range<uint64_t>(0, kPairShards));

TEST(SimPair, TheSameSeedGivesTheSameTrace) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Scenario first(seed), second(seed);
    ASSERT_EQ(first.run(), "") << "seed " << seed;
    ASSERT_EQ(second.run(), "") << "seed " << seed;
    EXPECT_EQ(first.trace(), second.trace()) << "seed " << seed;
    EXPECT_NE(first.trace(), 0U);
  }
}

}  // namespace
}  // namespace tideway::test
