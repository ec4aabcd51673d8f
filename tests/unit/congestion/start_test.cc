// SPDX-License-Identifier: Apache-2.0
//
// What a start costs: 512 MiB over a cold session, in virtual time, against what the link could have carried. The whole
// command is the transfer and three round trips before its first byte; its last round trip is the acknowledgement.
#include "congestion/bbr.h"
#include "support/path_simulation.h"

#include <gtest/gtest.h>

#include <ostream>

namespace tideway::congestion::start_test {
namespace {

using namespace std::chrono_literals;
using test::PathSimulation;

constexpr Bytes kFile = 512_MiB;
constexpr int kSetUpRoundTrips = 3;  // before the first byte of data; the limit counts the last ack as a fourth

struct Loss {
  const char* name;
  double share, burst;
  double wanted, wanted_far;  // of the limit; at 200 ms, where the last packets' resends take a twentieth of all the time
};
constexpr Loss kLosses[] = {
    {"Clean", 0, 1, 0.95, 0.95}, {"OnePercent", 0.01, 1, 0.95, 0.91}, {"ThreePercent", 0.03, 1, 0.9, 0.87}, {"Bursts", 0.01, 10, 0.9, 0.9}};
void PrintTo(const Loss& loss, std::ostream* out) { *out << loss.name; }

wan::LinkConfig link_of(Rate rate, Duration rtt, double queue_bdp, const Loss& loss = kLosses[0]) {
  const auto queue = static_cast<uint64_t>(static_cast<double>(rate.over(rtt).count()) * queue_bdp);
  return {.rate = rate, .delay = rtt / 2, .queue = Bytes(queue), .impairments = {.loss = loss.share, .loss_burst = loss.burst}};
}
double share_of(const test::PathResult& result, const wan::LinkConfig& link) {
  return result.goodput().bits_per_second() / PathSimulation::payload_rate(link).bits_per_second();
}
Bytes bdp_of(const wan::LinkConfig& link) { return PathSimulation::payload_rate(link).over(link.delay * 2); }

class ColdStart : public ::testing::TestWithParam<std::tuple<int, Loss>> {};

TEST_P(ColdStart, ReachesItsShareOfTheLimit) {
  const auto& [rtt_ms, loss] = GetParam();
  const Duration rtt = std::chrono::milliseconds(rtt_ms);
  const wan::LinkConfig link = link_of(1_Gbit, rtt, 1, loss);
  Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = rtt});
  wan::LinkModel model(Time(), link, 1);
  PathSimulation path(model, bbr);
  const Duration taken = path.deliver(kFile) + kSetUpRoundTrips * rtt;
  const Duration limit = PathSimulation::payload_rate(link).time_for(kFile) + (kSetUpRoundTrips + 1) * rtt;
  const double share = static_cast<double>(limit.count()) / static_cast<double>(taken.count());
  RecordProperty("share", std::to_string(share));
  EXPECT_GE(share, rtt >= 200ms ? loss.wanted_far : loss.wanted);
}

INSTANTIATE_TEST_SUITE_P(Bbr, ColdStart, ::testing::Combine(::testing::Values(1, 10, 50, 100, 200), ::testing::ValuesIn(kLosses)),
                         [](const auto& test) {
                           return "Rtt" + std::to_string(std::get<0>(test.param)) + "ms" + std::get<1>(test.param).name;
                         });

TEST(Jump, FillsThePathInItsSecondRoundTripAndOvershootsLittle) {
  for (const Duration rtt : {10ms, 50ms, 200ms}) {
    const wan::LinkConfig link = link_of(1_Gbit, rtt, 0.1);
    Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = rtt});
    wan::LinkModel model(Time(), link, 1);
    PathSimulation path(model, bbr);
    path.run(rtt * 5 / 2);  // the acks of the first flight, and half of those of the jump
    EXPECT_GT(share_of(path.run(rtt), link), 0.9);
    path.run(rtt * 3);
    const Bytes dropped = PathSimulation::kFrame * model.counters().dropped_for(wan::DropCause::kQueue);
    EXPECT_LT(dropped, bdp_of(link) / 6) << "with a queue of a tenth of a BDP";
  }
}

// Trains that took long to be received told a part of the path only.
TEST(Jump, ThatWasTooShortGoesOnFromWhereItWas) {
  for (const double stretch : {1.6, 2.0, 4.0, 8.0}) {
    for (const Duration rtt : {10ms, 50ms, 200ms}) {
      const wan::LinkConfig link = link_of(1_Gbit, rtt, 1);
      Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = rtt});
      wan::LinkModel model(Time(), link, 1);
      PathSimulation path(model, bbr);
      path.stretch_trains(stretch);
      path.run(rtt * 13);
      EXPECT_GT(share_of(path.run(rtt * 5), link), 0.9) << "stretched " << stretch << " at " << rtt / 1ms;
    }
  }
}

// A path that lets the first flight pass ten times as fast as all that follows, as a token bucket does.
TEST(Jump, ThatWasTooFarEndsWithinARound) {
  constexpr Duration kRtt = 50ms;
  const wan::LinkConfig first = link_of(1_Gbit, kRtt, 1), rest = link_of(100_Mbit, kRtt, 1);
  Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = kRtt});
  wan::LinkModel fast(Time(), first, 1);
  PathSimulation flight(fast, bbr);
  flight.stop_sending_at(Time(kRtt));
  flight.run(kRtt * 3 / 2);
  ASSERT_GT(bbr.pacing_rate(), 800_Mbit);
  wan::LinkModel slow(flight.now(), rest, 1);
  PathSimulation path(slow, bbr);
  path.go_on_after(flight);
  path.run(kRtt * 2 + kRtt / 4);  // one to send too much, one to hear of it, and the queue that it waited in
  EXPECT_LT(bbr.pacing_rate(), 110_Mbit);
  EXPECT_LT(Bytes(PathSimulation::kPayload * path.run(kRtt * 4).packets_lost), bdp_of(first) * 2);
  EXPECT_GT(share_of(path.run(1s), rest), 0.9);
}

AckSample ack_at(Time now, uint64_t round, LimitedBy limited_by) {
  return {.now = now, .acked = 14'080_B, .in_flight = 14'080_B, .in_flight_before = 28'160_B, .rtt = 20ms, .rtt_min = 20ms,
          .rtt_smoothed = 20ms, .delivery_rate = 10_Mbit, .round = round, .packets_acked = 10, .ce_marked = 0, .limited_by = limited_by};
}

TEST(Start, DoesNotEndBecauseTheApplicationHasNothingToSend) {
  for (const Duration rtt : {20ms, 30ms}) {  // without and beside a queue of others
    Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = 20ms});
    Time now(1s);
    bbr.on_ack(ack_at(now, 0, LimitedBy::kApplication));
    for (uint64_t round = 1; round < 50; ++round) {
      AckSample sample = ack_at(now += 20ms, round, LimitedBy::kApplication);
      sample.rtt = rtt;
      bbr.on_ack(sample);
    }
    EXPECT_EQ(bbr.phase(), Bbr::Phase::kStartup) << rtt / 1ms << " ms";
    for (uint64_t round = 50; round < 60; ++round) bbr.on_ack(ack_at(now += 20ms, round, LimitedBy::kNetwork));
    EXPECT_NE(bbr.phase(), Bbr::Phase::kStartup) << "the path itself gives no more";
  }
}

// Credit held it back, for one.
TEST(Start, EndsWhenAllThatItMaySendMakesAQueue) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = 20ms});
  Time now(1s);
  for (uint64_t round = 0; round < 10; ++round) {
    AckSample sample = ack_at(now += 20ms, round, LimitedBy::kApplication);
    sample.delivery_rate = 200_Mbit;
    if (round > 0) sample.rtt = 30ms;
    bbr.on_ack(sample);
  }
  EXPECT_NE(bbr.phase(), Bbr::Phase::kStartup);
}

TEST(Trains, LeaveUntilTheFirstFlightIsAckedWhateverProbesWereBefore) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .window_initial = 128_KiB, .rtt_initial = 20ms});
  EXPECT_EQ(bbr.train(), 64_KiB);
  AckSample probe = ack_at(Time(1s), 1, LimitedBy::kApplication);
  probe.acked = 2'900_B;
  bbr.on_ack(probe);
  EXPECT_EQ(bbr.train(), 64_KiB);
  AckSample flight = ack_at(Time(1s) + 20ms, 2, LimitedBy::kNetwork);
  flight.acked = 64_KiB;
  bbr.on_ack(flight);
  EXPECT_EQ(bbr.train(), 64_KiB);
  flight.train_rate = 900_Mbit;
  bbr.on_ack(flight);
  EXPECT_EQ(bbr.train(), Bytes());
}

// What leaves in trains waits for those of other flows.
TEST(Trains, LeaveNoMoreOnceOneHasToldTheRate) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .window_initial = 128_KiB, .rtt_initial = 20ms});
  AckSample flight = ack_at(Time(1s), 1, LimitedBy::kNetwork);
  flight.acked = 32_KiB;
  flight.train_rate = 900_Mbit;
  bbr.on_ack(flight);
  EXPECT_EQ(bbr.train(), Bytes());
}

TEST(Trains, OfLaterFlightsAreLongerWhenThoseOfTheFirstToldNothing) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .window_initial = 128_KiB, .rtt_initial = 20ms});
  Time now(1s);
  Bytes longest;
  for (uint64_t round = 1; round < 5; ++round) {
    AckSample flight = ack_at(now += 20ms, round, LimitedBy::kNetwork);
    flight.acked = bbr.window();
    flight.delivery_rate = Rate::of(bbr.window(), 20ms);
    bbr.on_ack(flight);
    EXPECT_LE(bbr.train(), bbr.window() / 2);
    longest = std::max(longest, bbr.train());
  }
  EXPECT_EQ(longest, 256_KiB);
  AckSample told = ack_at(now += 20ms, 5, LimitedBy::kNetwork);
  told.train_rate = 9_Gbit;
  bbr.on_ack(told);
  EXPECT_EQ(bbr.train(), Bytes());
}

TEST(Jump, WaitsUntilItWasMadeUseOf) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = 20ms});
  Time now(1s);
  AckSample first = ack_at(now, 1, LimitedBy::kNetwork);
  first.train_rate = 900_Mbit;
  bbr.on_ack(first);
  ASSERT_GT(bbr.pacing_rate(), 800_Mbit);
  for (uint64_t round = 2; round < 20; ++round) bbr.on_ack(ack_at(now += 20ms, round, LimitedBy::kApplication));
  EXPECT_GT(bbr.pacing_rate(), 800_Mbit);
}

// Its mean since the jump, with the application's pauses, used to be taken for the path's rate.
TEST(Jump, ThatWaitedForTheApplicationIsJudgedByTheRoundThatEndsIt) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = 50ms});
  AckSample sample{};
  sample.now = Time(1s);
  sample.rtt = sample.rtt_min = sample.rtt_smoothed = 50ms;
  sample.delivery_rate = 50_Mbit;
  sample.limited_by = LimitedBy::kApplication;
  const auto acks = [&](uint64_t round, Duration after, Bytes acked) {
    sample.now += after;
    sample.round = round;
    sample.acked = acked;
    sample.packets_acked = acked.count() / PathSimulation::kPayload.count();
    bbr.on_ack(sample);
  };
  sample.train_rate = 10_Gbit;
  acks(1, 0ms, 100_KiB);
  sample.train_rate = Rate();
  for (uint64_t round = 2; round < 22; ++round) acks(round, 1s, 14_KiB);
  acks(22, 50ms, 14_KiB);
  sample.rtt = 200ms;
  for (int i = 0; i < 50; ++i) acks(22, 1ms, 1_MiB);
  EXPECT_GE(bbr.pacing_rate(), 500_Mbit);
}

// A flow that jumps at once, and then acks of what it sent: 1 MiB every 10 ms, which is 839 Mbit/s.
class AfterAJump {
 public:
  AfterAJump() {
    sample_.now = Time(1s);
    sample_.rtt = sample_.rtt_min = sample_.rtt_smoothed = kRtt;
    sample_.delivery_rate = 5_Mbit;
    sample_.train_rate = 900_Mbit;
    sample_.round = 1;
    ack(0ms, 64_KiB);
    sample_.train_rate = Rate();
    sample_.now += kRtt;
  }
  void ack(Duration after, Bytes acked = 1_MiB) {
    sample_.now += after;
    sample_.acked = acked;
    sample_.packets_acked = acked.count() / PathSimulation::kPayload.count();
    sample_.in_flight = sample_.in_flight_before = 8_MiB;
    bbr.on_ack(sample_);
  }
  void next_round(Rate delivered) {
    ++sample_.round;
    sample_.delivery_rate = delivered;
  }
  void wait_in_queue(Duration time) { sample_.rtt = kRtt + time; }

  static constexpr Duration kRtt = 100ms;
  Bbr bbr{{.packet_size = PathSimulation::kPayload, .rtt_initial = kRtt}};

 private:
  AckSample sample_{};
};

// Acks of what waited there used to look like a queue, and the jump ended at a fraction of the rate.
TEST(Jump, SurvivesAHostThatIsLateOnce) {
  AfterAJump flow;
  flow.next_round(100_Mbit);
  for (int i = 0; i < 3; ++i) flow.ack(10ms);
  flow.wait_in_queue(50ms);
  flow.ack(50ms);
  flow.ack(1ms);
  flow.wait_in_queue(0ms);
  flow.ack(1ms);
  EXPECT_GE(flow.bbr.pacing_rate(), 890_Mbit);
  flow.wait_in_queue(30ms);
  for (int i = 0; i < 3; ++i) flow.ack(10ms);
  EXPECT_LT(flow.bbr.pacing_rate(), 890_Mbit) << "a queue that stays is ours";
}

// Only what left since the jump says what it did. Counted from the round before, it looked like a tenth of the path's rate.
TEST(Jump, IsJudgedByWhatLeftSince) {
  AfterAJump flow;
  flow.ack(-50ms, 14_KiB);
  flow.next_round(100_Mbit);
  flow.ack(20ms, 14_KiB);
  flow.ack(30ms);
  flow.wait_in_queue(40ms);
  for (int i = 0; i < 3; ++i) flow.ack(10ms);
  flow.next_round(100_Mbit);
  flow.ack(10ms);
  EXPECT_GE(flow.bbr.pacing_rate(), 350_Mbit);
}

// The window used to stay, until the next probe, at a BDP of the rate that was counted when the jump failed.
TEST(Jump, ThatFailedHoldsAsMuchAsArrivesSince) {
  AfterAJump flow;
  flow.wait_in_queue(40ms);
  for (int i = 0; i < 4; ++i) flow.ack(10ms, 100_KiB);
  ASSERT_LT(flow.bbr.window(), 2_MiB);
  flow.wait_in_queue(0ms);
  for (int round = 0; round < 4; ++round) {
    flow.next_round(800_Mbit);
    for (int i = 0; i < 10; ++i) flow.ack(10ms);
  }
  EXPECT_GE(flow.bbr.window(), 8_MiB);
}

// Behind a host that stood still acks come faster than anything was sent. The rate at which they did used to be the model, and a queue stood for seconds.
TEST(Jump, ThatFailedHasNoMoreThanTheTrainsTold) {
  AfterAJump flow;
  flow.ack(50ms);
  flow.wait_in_queue(40ms);
  for (int i = 0; i < 20; ++i) flow.ack(1ms);
  flow.next_round(300_Mbit);
  flow.ack(1ms);
  EXPECT_LE(flow.bbr.pacing_rate(), 900_Mbit);
}

// Four trains that a late host made look slow used to be all that was ever listened to.
TEST(Trains, OfALaterFlightAreNotHeldAgainstThoseOfTheFirst) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .window_initial = 128_KiB, .rtt_initial = 20ms});
  AckSample flight = ack_at(Time(1s), 1, LimitedBy::kNetwork);
  for (const Rate told : {20_Mbit, 30_Mbit, 20_Mbit, 900_Mbit}) {
    flight.train_rate = told;
    bbr.on_ack(flight);
  }
  ASSERT_LT(bbr.pacing_rate(), 300_Mbit);
  flight.now += 20ms;
  ++flight.round;
  bbr.on_ack(flight);
  EXPECT_GE(bbr.pacing_rate(), 890_Mbit);
}

// A flow that had nothing to send for a part of its jump, and then sends as much as the trains told: that is no sign that they told too little.
TEST(Jump, IsNotRepeatedWhileNoMoreArrivesThanTheTrainsTold) {
  AfterAJump flow;
  for (const Rate little : {300_Mbit, 320_Mbit}) {
    flow.next_round(little);
    for (int i = 0; i < 10; ++i) flow.ack(10ms, 256_KiB);
  }
  for (int round = 0; round < 4; ++round) {
    flow.next_round(800_Mbit);
    for (int i = 0; i < 10; ++i) flow.ack(10ms);
    EXPECT_LE(flow.bbr.pacing_rate(), 1'100_Mbit) << round;
  }
}

TEST(Jump, TheFlowsOfASessionTakeOneShareTogether) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .window_initial = 64_KiB, .rtt_initial = 100ms, .flows = 4});
  AckSample first = ack_at(Time(1s), 1, LimitedBy::kNetwork);
  first.train_rate = 800_Mbit;
  bbr.on_ack(first);
  EXPECT_LE(bbr.pacing_rate(), 200_Mbit);
  EXPECT_GT(bbr.pacing_rate(), 190_Mbit);
}

// One loss is no sign of that, nor is one burst of ten: a path of 1 % loses something of nearly every first flight.
TEST(Remembered, RateIsGivenUpWhereMuchIsLost) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = 100ms, .rate_remembered = 1_Gbit});
  ASSERT_GE(bbr.pacing_rate(), 500_Mbit);
  bbr.on_ack(ack_at(Time(1s), 1, LimitedBy::kNetwork));
  const auto lose = [&](uint64_t packets) {
    bbr.on_loss({.now = Time(1s), .lost = 1408_B * packets, .packets_lost = packets, .in_flight = 256_KiB, .in_flight_before = 256_KiB, .round = 1, .cause = LossCause::kTimeThreshold});
  };
  lose(1);
  EXPECT_GE(bbr.pacing_rate(), 500_Mbit);
  lose(10);
  EXPECT_GE(bbr.pacing_rate(), 500_Mbit);
  lose(20);
  EXPECT_LT(bbr.pacing_rate(), 200_Mbit);
}

// On links as fast as these a train of 64 KiB passes between two looks at the port, so the start doubles.
TEST(FastLinks, AreFilledAndStayFull) {
  struct Case { Rate rate; Duration rtt; uint64_t packets; };
  for (const auto& [rate, rtt, packets] : {Case{10_Gbit, 1ms, 4}, Case{10_Gbit, 200ms, 16}, Case{100_Gbit, 10ms, 64},
                                           Case{100_Gbit, 100ms, 128}, Case{400_Gbit, 1ms, 128}, Case{400_Gbit, 50ms, 256}}) {
    const wan::LinkConfig link = link_of(rate, rtt, 1, {"", 0.001, 1, 0, 0});
    Bbr bbr({.packet_size = PathSimulation::kPayload * packets, .rtt_initial = rtt});
    wan::LinkModel model(Time(), link, 1);
    PathSimulation path(model, bbr, packets);
    path.run(rtt * 20);
    const test::PathResult steady = path.run(std::max<Duration>(rtt * 10, 100ms));
    EXPECT_GE(share_of(steady, link), 0.97) << rate.bits_per_second() << " at " << rtt / 1ms;
    EXPECT_LT(steady.queue_delay_mean, std::max<Duration>(rtt, 2ms));
  }
}

}  // namespace
}  // namespace tideway::congestion::start_test
