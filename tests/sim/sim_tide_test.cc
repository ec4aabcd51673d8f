// SPDX-License-Identifier: Apache-2.0
//
// Bulk behind a real gate, beside a training that bursts through the same queue for 0.4 s of every second and is announced at
// its own site: what bulk makes of the rest. Scaled down from 500 Mbit/s and blocks of 4 MB, with as many blocks in a second.
#include "engine/lane_gate.h"
#include "sim/sim_pair.h"
#include "sim/sim_training.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tideway::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Rate kTideLink = 50_Mbit;
constexpr Duration kQueue = milliseconds(25);
constexpr Bytes kTrainingPayload = 1472_B, kTrainingCharge = 1538_B;
constexpr double kPayloadOfLink = 1408.0 / 1522.0;

enum class Bursts : uint8_t { kAnnounced, kUnannounced };

struct TideConfig {
  Bursts bursts = Bursts::kAnnounced;
  Duration rtt = milliseconds(20);
  const char* controller = "bbr";
  uint64_t credit_blocks = 40;
  Duration store = milliseconds(200);  // from a complete block to its buffer's coming home
  Rate kept_to = Rate::unlimited();    // by all flows together, in UDP payload
  Duration looks_every = {};           // how often both hosts look at what came, and send
};

class Tide {
 public:
  static constexpr Duration kPeriod = seconds(1), kBurst = milliseconds(400), kBin = milliseconds(10), kFirst = milliseconds(1500);
  static constexpr int kUsualOver = 20;  // bins
  static constexpr uint32_t kBlock = 400'000;
  static constexpr double kFull = 0.95;  // of a window: acks that come in clumps leave a bin without packets then

  explicit Tide(const TideConfig& config)
      : config_(config),
        sim_({.link = {.rate = kTideLink, .delay = config.rtt / 2, .queue = kTideLink.over(kQueue)}, .flows = 4, .paths = SimPairConfig::Paths::kShared, .seed = 1,
              .controller = config.controller, .credit_blocks = config.credit_blocks, .unsent_max = 2 * kBlock}),
        gate_(sim_.now(), gates_, 0, 0) {
    for (const auto& flow : sim_.lane(0).flows())
      if (!config.kept_to.is_unlimited()) flow->limit_rate(config.kept_to * (1.0 / static_cast<double>(sim_.lane(0).flows().size())));
    if (config.looks_every > Duration{}) sim_.run_every(config.looks_every);
    sim_.open({.slot = kSlot, .blocks = 1'000'000, .length = kBlock, .store_delay = config.store});
    sim_.gate = [this](Time now) {
      gate_.turn(now, sim_.lane(0).flows());
      return gate_.next_deadline(now);
    };
  }

  // Share of what the bursts leave of the link that bulk carried, from the first burst on.
  double carry(int bursts) {
    for (int i = 0; i < bursts; ++i) burst_at(kFirst + i * kPeriod);
    EXPECT_TRUE(sim_.run_for(kFirst)) << state_of(sim_);
    const uint64_t before = received();
    for (Duration at{}; at < bursts * kPeriod; at += kBin) watch_bin();
    const double leftover = static_cast<double>(kTideLink.over(bursts * (kPeriod - kBurst)).count()) * kPayloadOfLink;
    return static_cast<double>(received() - before) / leftover;
  }
  struct Beside { double share; Duration cost; double losses; };  // the latter two for a burst
  // The same beside TCP connections that nobody announces, when some bursts are over.
  Beside carry_beside(size_t settling, size_t bursts, double jitter) {
    SimTraining training(sim_, {.link = kTideLink, .rtt = config_.rtt, .queue = kQueue, .burst = kBurst, .compute = kPeriod - kBurst, .jitter = jitter});
    training.begin_at(kFirst);
    run_to(training, settling);
    const uint64_t before = received(), lost = training.losses();
    const Time from = sim_.now();
    beside_ = 0;
    run_to(training, settling + bursts);
    EXPECT_EQ(training.bursts(), settling + bursts);
    const auto count = static_cast<int64_t>(bursts);
    const double leftover = static_cast<double>(kTideLink.over(sim_.now() - from - count * kBurst).count()) * kPayloadOfLink;
    return {static_cast<double>(received() - before) / leftover, link_time(beside_) / count, static_cast<double>(training.losses() - lost) / static_cast<double>(bursts)};
  }
  // Bins behind an open gate, later than a round trip after it opened, in which hardly anything left though the windows had room.
  int holes() const { return holes_; }
  // Of what left while it was open before, the least that left in a bin of the round trip after it had opened again.
  double reopened() const { return reopened_; }
  // How long the first packet of a burst waited behind ours at most.
  Duration met() const { return met_; }
  // What bulk carried while bursts were under way, as the time that the link took for it in each.
  Duration cost() const { return link_time(beside_) / bursts_; }

 private:
  static Duration link_time(uint64_t payload) { return kTideLink.time_for(Bytes(static_cast<uint64_t>(static_cast<double>(payload) / kPayloadOfLink))); }
  void run_to(const SimTraining& training, size_t bursts) {
    const Time end = sim_.now() + 2 * static_cast<int64_t>(bursts) * kPeriod;
    while (training.bursts() < bursts && sim_.now() < end) {
      const uint64_t before = received();
      const bool is_bursting = training.is_bursting();
      EXPECT_TRUE(sim_.run_for(kBin)) << state_of(sim_);
      if (is_bursting) beside_ += received() - before;
    }
  }
  uint64_t received() { return sim_.lane(1).stats().flows.bytes_received; }

  // It takes all of the link, and its end is known a round trip after it has left.
  void burst_at(Duration begin) {
    const Duration step = std::chrono::microseconds(500);
    const uint64_t packets = kTideLink.over(step).count() / kTrainingCharge.count();
    sim_.at(begin, [this] {
      if (config_.bursts == Bursts::kAnnounced) gates_.word(0).write({{.closed_until = sim_.now() + seconds(2), .reason = gate::GateReason::kTraining}, 0, 0, {}});
      before_ = received();
      ++bursts_;
      const wan::Fate first = sim_.meet_other(kTrainingPayload);
      if (!first.dropped) met_ = std::max(met_, first.deliver_at - sim_.now() - config_.rtt / 2 - kTideLink.time_for(kTrainingCharge));
    });
    for (Duration at = begin; at < begin + kBurst; at += step)
      sim_.at(at, [this, packets] {
        for (uint64_t i = 0; i < packets; ++i) sim_.meet_other(kTrainingPayload);
      });
    sim_.at(begin + kBurst, [this] { beside_ += received() - before_; });
    if (config_.bursts == Bursts::kAnnounced) sim_.at(begin + kBurst + config_.rtt, [this] { gates_.word(0).write({}); });
  }
  void watch_bin() {
    const bool is_open = gate_.is_open() && sim_.now() - gate_.gate().since > config_.rtt;
    const bool has_opened = gate_.gate().state == gate::GateState::kProbe;
    const uint64_t before = sim_.lane(0).stats().flows.bytes_sent;
    EXPECT_TRUE(sim_.run_for(kBin)) << state_of(sim_);
    const auto sent = static_cast<double>(sim_.lane(0).stats().flows.bytes_sent - before);
    if (has_opened && gate_.gate().state == gate::GateState::kProbe && usual_ > 0) reopened_ = std::min(reopened_, sent / usual_);
    if (!is_open || !gate_.is_open()) return;
    const flow::FlowStats stats = sim_.lane(0).stats().flows;
    const bool had_room = static_cast<double>(stats.in_flight.count()) < kFull * static_cast<double>(stats.window.count());
    if (had_room && sent < static_cast<double>(kTideLink.over(kBin).count()) / 4) ++holes_;
    usual_ += (sent - usual_) / (usual_ > 0 ? kUsualOver : 1);
  }

  const TideConfig config_;
  SimPair sim_;
  engine::Gates gates_{1, {}};
  engine::LaneGate gate_;
  int holes_ = 0;
  Duration met_{};
  uint64_t before_ = 0, beside_ = 0;
  int bursts_ = 0;
  double usual_ = 0, reopened_ = 1;  // the former: bytes in a bin behind an open gate, lately
};

// Unused credit used to be recalled from a sender whose gate was closed, so that it stood still some 100 ms after the gate had
// opened, until buffers came home.
TEST(SimTide, GoesOnWithoutAHoleWhenTheGateOpens) {
  for (const Duration rtt : {milliseconds(20), milliseconds(50)}) {
    SCOPED_TRACE(rtt / milliseconds(1));
    Tide tide({.rtt = rtt});
    EXPECT_GE(tide.carry(2), 0.92);
    EXPECT_EQ(tide.holes(), 0);
    EXPECT_GE(tide.reopened(), 0.8);  // of the remembered rate 0.9
  }
}

TEST(SimTide, TheScavengerUsesTheGapsToo) {
  Tide tide({.controller = "scavenger"});
  EXPECT_GE(tide.carry(2), 0.92);
  EXPECT_EQ(tide.holes(), 0);
  EXPECT_GE(tide.reopened(), 0.6);  // it may have been closed just after the controller had backed off, to 0.7
}

// What waits at the bottleneck when a burst comes is ahead of it there. A controller that looks for more of the path leaves some milliseconds,
// so bulk stays a little under a capacity that is known.
TEST(SimTide, ABurstMeetsHardlyAnythingWhereTheCapacityIsKnown) {
  Tide freely({});
  freely.carry(6);
  Tide tide({.kept_to = kTideLink * (0.98 * 1456 / 1542)});
  EXPECT_GE(tide.carry(6), 0.9);
  EXPECT_EQ(tide.holes(), 0);
  EXPECT_LE(tide.met(), milliseconds(1));
  EXPECT_GT(freely.met(), 2 * tide.met());
}

// Nobody announces anything: the path alone shows a burst, a round trip after it has met bulk, and that it is over.
TEST(SimTide, TheScavengerUsesTheGapsBetweenBurstsThatNobodyAnnounces) {
  for (const Duration looks_every : {Duration(), Duration(milliseconds(1))}) {
    Tide tide({.bursts = Bursts::kUnannounced, .controller = "scavenger", .looks_every = looks_every});
    EXPECT_GE(tide.carry(10), 0.75);
    EXPECT_LE(tide.cost(), milliseconds(75));
  }
}

// What TCP loses to bulk costs it more than bulk's time on the link, over several bursts: bulk has left before the queue is full.
TEST(SimTide, TheScavengerLeavesTcpItsBursts) {
  Tide tide({.bursts = Bursts::kUnannounced, .controller = "scavenger"});
  const auto [share, cost, losses] = tide.carry_beside(5, 5, 0.1);
  EXPECT_GE(share, 0.75);
  EXPECT_LE(losses, 5);
  EXPECT_LE(cost, milliseconds(120));  // of which 36 are the packets that look for the burst's end: at so small a rate they are many
}

// A host that gets to its packets late takes the time for a queue of the path only if the least of many samples is late, too.
TEST(SimTide, TheScavengerOfABusyHostUsesTheGaps) {
  Tide tide({.controller = "scavenger", .looks_every = milliseconds(1)});
  EXPECT_GE(tide.carry(4), 0.85);
}

}  // namespace
}  // namespace tideway::test
