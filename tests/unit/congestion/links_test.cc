// SPDX-License-Identifier: Apache-2.0
//
// Each controller over simulated links: does it fill them, and does it leave no standing queue?
#include "congestion/registry.h"
#include "support/path_simulation.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tideway::congestion::links_test {
namespace {

using namespace std::chrono_literals;

struct LinkCase {
  const char* name;
  Rate rate;
  Duration rtt;
  double loss, burst;
  double queue_bdp;  // of the queue, in BDP; at least 100 packets
  double utilisation;  // at least this share of the payload rate, once started
};

wan::LinkConfig config_of(const LinkCase& c) {
  const Bytes bdp = c.rate.over(c.rtt);
  const auto queue = static_cast<uint64_t>(static_cast<double>(bdp.count()) * c.queue_bdp);
  return {.rate = c.rate, .delay = c.rtt / 2, .queue = Bytes(std::max<uint64_t>(queue, 153'800)),
          .impairments = {.loss = c.loss, .loss_burst = c.burst}};
}

ControllerConfig controller_for(const LinkCase& c) {
  return {.packet_size = test::PathSimulation::kPayload, .rtt_initial = c.rtt,
          .rate_contracted = test::PathSimulation::payload_rate(config_of(c)) * 0.99};
}

class Links : public ::testing::TestWithParam<std::tuple<const char*, LinkCase>> {};

TEST_P(Links, AreFilledWithoutAStandingQueue) {
  const auto& [controller_name, c] = GetParam();
  const wan::LinkConfig link = config_of(c);
  const auto controller = find_controller(controller_name, 1_Gbit).value().make(controller_for(c));
  wan::LinkModel model(Time(), link, 1);
  test::PathSimulation path(model, *controller);
  path.run(std::max<Duration>(2s, c.rtt * 20));
  const test::PathResult steady = path.run(std::max<Duration>(8s, c.rtt * 40));
  const double utilisation = steady.goodput().bits_per_second() / path.payload_rate(link).bits_per_second();
  EXPECT_GE(utilisation, c.utilisation);
  EXPECT_LT(steady.queue_delay_mean, std::max<Duration>(c.rtt, 5ms));
}

constexpr LinkCase kLinks[] = {
    {"ShortClean", 200_Mbit, 1ms, 0, 1, 5, 0.93},
    {"ShortLossy", 200_Mbit, 1ms, 0.01, 1, 5, 0.9},
    {"MiddleClean", 200_Mbit, 50ms, 0, 1, 1, 0.95},
    {"MiddleLossy", 200_Mbit, 50ms, 0.001, 1, 1, 0.94},
    {"MiddleVeryLossy", 200_Mbit, 50ms, 0.01, 1, 1, 0.92},
    {"MiddleThreePercent", 200_Mbit, 50ms, 0.03, 1, 1, 0.88},
    {"MiddleBursts", 200_Mbit, 50ms, 0.01, 10, 1, 0.9},
    {"MiddleShallow", 200_Mbit, 50ms, 0, 1, 0.1, 0.88},
    {"MiddleDeep", 200_Mbit, 50ms, 0, 1, 4, 0.95},
    {"LongClean", 100_Mbit, 300ms, 0, 1, 1, 0.93},
    {"LongLossy", 100_Mbit, 300ms, 0.01, 1, 1, 0.9},
};

INSTANTIATE_TEST_SUITE_P(Bbr, Links, ::testing::Combine(::testing::Values("bbr"), ::testing::ValuesIn(kLinks)),
                         [](const auto& test) { return std::get<1>(test.param).name; });
INSTANTIATE_TEST_SUITE_P(Contracted, Links, ::testing::Combine(::testing::Values("contracted"), ::testing::ValuesIn(kLinks)),
                         [](const auto& test) { return std::get<1>(test.param).name; });

// It makes room where others make a queue, and so it also leaves a little more of the link.
constexpr LinkCase kScavenged[] = {
    {"ShortClean", 200_Mbit, 1ms, 0, 1, 5, 0.93},
    {"ShortLossy", 200_Mbit, 1ms, 0.01, 1, 5, 0.88},
    {"MiddleClean", 200_Mbit, 50ms, 0, 1, 1, 0.93},
    {"MiddleLossy", 200_Mbit, 50ms, 0.001, 1, 1, 0.93},
    {"MiddleVeryLossy", 200_Mbit, 50ms, 0.01, 1, 1, 0.9},
    {"MiddleShallow", 200_Mbit, 50ms, 0, 1, 0.1, 0.9},
    {"MiddleDeep", 200_Mbit, 50ms, 0, 1, 4, 0.93},
    {"LongClean", 100_Mbit, 300ms, 0, 1, 1, 0.88},
    {"LongLossy", 100_Mbit, 300ms, 0.001, 1, 1, 0.88},
};
INSTANTIATE_TEST_SUITE_P(Scavenger, Links, ::testing::Combine(::testing::Values("scavenger"), ::testing::ValuesIn(kScavenged)),
                         [](const auto& test) { return std::get<1>(test.param).name; });

Duration time_to_deliver(Bytes size, const wan::LinkConfig& link, ControllerConfig config) {
  config.packet_size = test::PathSimulation::kPayload;
  config.rtt_initial = link.delay * 2;
  const auto controller = find_controller("bbr", Rate()).value().make(config);
  wan::LinkModel model(Time(), link, 1);
  test::PathSimulation path(model, *controller);
  while (path.delivered() < size) path.step();
  return path.now() - Time();
}

// 512 MiB take 4.7 s at the payload rate of 1 Gbit/s. What a start costs is told in round trips.
TEST(BbrStart, TakesAFewRoundTripsOnly) {
  for (const auto& [rtt, loss, round_trips] : {std::tuple(50ms, 0.0, 6.5), std::tuple(50ms, 0.001, 6.5),
                                               std::tuple(100ms, 0.0, 7.0), std::tuple(200ms, 0.0, 8.0)}) {
    const wan::LinkConfig link{.rate = 1_Gbit, .delay = rtt / 2, .impairments = {.loss = loss}};
    const Duration ideal = (test::PathSimulation::payload_rate(link) * (1 - loss)).time_for(512_MiB);
    const Duration taken = time_to_deliver(512_MiB, link, {});
    const double cost = static_cast<double>((taken - ideal).count()) / static_cast<double>(Duration(rtt).count());
    EXPECT_LT(cost, round_trips);
  }
}

TEST(BbrStart, IsFasterOnAPathItRemembers) {
  const wan::LinkConfig link{.rate = 1_Gbit, .delay = 100ms};
  const Duration cold = time_to_deliver(64_MiB, link, {});
  const Duration known = time_to_deliver(64_MiB, link, {.rate_remembered = test::PathSimulation::payload_rate(link)});
  EXPECT_LT(known, cold - 100ms);  // a cold start sends next to nothing in its first round trip of 200 ms
}

TEST(BbrFlows, ShareALinkEvenlyAndLeaveNoStandingQueue) {
  const wan::LinkConfig link{.rate = 200_Mbit, .delay = 10ms};
  wan::LinkModel model(Time(), link, 1);
  std::vector<std::unique_ptr<CongestionController>> controllers;
  std::vector<std::unique_ptr<test::PathSimulation>> paths;
  std::vector<test::PathSimulation*> all;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const ControllerConfig config{.window_initial = 64_KiB, .rtt_initial = 20ms, .flows = 4, .seed = seed};
    controllers.push_back(find_controller("bbr", Rate()).value().make(config));
    paths.push_back(std::make_unique<test::PathSimulation>(model, *controllers.back()));
    all.push_back(paths.back().get());
  }
  test::run_together(all, Time(5s));
  for (auto* path : all) path->take_result();
  test::run_together(all, Time(25s));
  double sum = 0, least = 1;
  for (auto* path : all) {
    const test::PathResult result = path->take_result();
    const double share = result.goodput().bits_per_second() / test::PathSimulation::payload_rate(link).bits_per_second();
    sum += share;
    least = std::min(least, share);
    EXPECT_LT(result.queue_delay_mean, 20ms);
  }
  EXPECT_GT(sum, 0.96);
  EXPECT_GT(least, 0.25 / 3);
}

// What each transfer got in 10 s after 5, all having started together. On fast links so many packets are one event.
std::vector<double> shares_of(const wan::LinkConfig& link, std::initializer_list<uint32_t> flows_of_transfers, uint64_t packets = 1) {
  wan::LinkModel model(Time(), link, 1);
  std::vector<std::unique_ptr<CongestionController>> controllers;
  std::vector<std::unique_ptr<test::PathSimulation>> paths;
  std::vector<test::PathSimulation*> all;
  const uint64_t most = std::max(flows_of_transfers);
  for (const uint32_t flows : flows_of_transfers) {
    for (uint32_t flow = 0; flow < flows; ++flow) {
      const Bytes size = test::PathSimulation::kPayload * packets;
      const ControllerConfig config{.packet_size = size, .window_initial = std::max(256_KiB, size * 2 * most) / flows,
                                    .rtt_initial = link.delay * 2, .flows = flows, .seed = controllers.size() + 1};
      controllers.push_back(find_controller("bbr", Rate()).value().make(config));
      paths.push_back(std::make_unique<test::PathSimulation>(model, *controllers.back(), packets));
      all.push_back(paths.back().get());
    }
  }
  test::run_together(all, Time(5s));
  for (auto* path : all) path->take_result();
  test::run_together(all, Time(15s));
  std::vector<double> shares;
  size_t next = 0;
  for (const uint32_t flows : flows_of_transfers) {
    double sum = 0;
    for (uint32_t flow = 0; flow < flows; ++flow) sum += all[next++]->take_result().goodput().bits_per_second();
    shares.push_back(sum / test::PathSimulation::payload_rate(link).bits_per_second());
  }
  return shares;
}

// Jain's index of fairness: 1 when all are equal.
double fairness(const std::vector<double>& shares) {
  double sum = 0, squares = 0;
  for (const double share : shares) sum += share, squares += share * share;
  return sum * sum / (squares * static_cast<double>(shares.size()));
}

TEST(BbrTransfers, ShareALinkEvenlyHoweverManyFlowsTheyHave) {
  for (const Duration rtt : {20ms, 100ms}) {
    const wan::LinkConfig link{.rate = 200_Mbit, .delay = rtt / 2};
    for (const auto& shares : {shares_of(link, {1, 1}), shares_of(link, {2, 2}), shares_of(link, {4, 1})}) {
      EXPECT_GE(fairness(shares), 0.95) << "at " << rtt / 1ms << " ms: " << shares[0] << " and " << shares[1];
      EXPECT_GE(shares[0] + shares[1], 0.95);
    }
  }
}

// From 1 to 400 Gbit/s, in virtual time, over shallow and deep queues: alone a transfer fills the link, and two get their halves.
TEST(BbrTransfers, FillAndShareLinksOfAnySpeedAndQueue) {
  constexpr Duration kRtt = 50ms;
  struct Speed { Rate rate; uint64_t packets; };
  for (const auto& [rate, packets] : {Speed{1_Gbit, 32}, Speed{10_Gbit, 256}, Speed{100_Gbit, 1024}, Speed{400_Gbit, 4096}}) {
    for (const double queue : {0.1, 1.0, 4.0}) {
      const auto bytes = static_cast<uint64_t>(static_cast<double>(rate.over(kRtt).count()) * queue);
      const wan::LinkConfig link{.rate = rate, .delay = kRtt / 2, .queue = Bytes(bytes)};
      const std::string name = std::to_string(rate.bits_per_second() / 1'000'000'000) + " Gbit/s, " + std::to_string(queue) + " BDP";
      EXPECT_GE(shares_of(link, {2}, packets)[0], 0.95) << name;
      const auto shares = shares_of(link, {2, 2}, packets);
      EXPECT_GE(shares[0] + shares[1], 0.95) << name;
      EXPECT_GE(fairness(shares), queue < 1 ? 0.9 : 0.95) << name << ": " << shares[0] << " and " << shares[1];
    }
  }
}

// Though each of the many probes by itself. Of sixteen one half has up to 1.9 times what the other has, whichever it is, and not sixteen times.
TEST(BbrTransfers, OfManyFlowsTakesNoMoreThanOneOfASingleFlow) {
  struct Case { Rate rate; uint32_t flows; uint64_t packets; double wanted = 0.95; };
  for (const auto& [rate, flows, packets, wanted] : {Case{1_Gbit, 4, 8}, Case{1_Gbit, 16, 2, 0.9}, Case{1_Gbit, 64, 1, 0.9}, Case{10_Gbit, 4, 64}, Case{100_Gbit, 4, 512}, Case{400_Gbit, 4, 2048}}) {
    const wan::LinkConfig link{.rate = rate, .delay = 25ms, .queue = rate.over(50ms)};
    const auto shares = shares_of(link, {flows, 1}, packets);
    EXPECT_GE(fairness(shares), wanted) << rate.bits_per_second() << ", " << flows << " flows: " << shares[0] << " and " << shares[1];
    EXPECT_GE(shares[0] + shares[1], 0.97) << rate.bits_per_second() << ", " << flows << " flows";
  }
}

// The flows of transfers that share a path; on fast links so many packets are one event.
class Transfers {
 public:
  Transfers(wan::LinkModel& link, uint32_t transfers, uint32_t flows, uint64_t packets) : packets_(packets) {
    const Bytes size = test::PathSimulation::kPayload * packets;
    for (uint64_t seed = 1; seed <= uint64_t{transfers} * flows; ++seed) {
      const ControllerConfig config{.packet_size = size, .window_initial = std::max(256_KiB / flows, size * 2),
                                    .rtt_initial = link.config().delay * 2, .flows = flows, .seed = seed};
      controllers_.push_back(find_controller("bbr", Rate()).value().make(config));
    }
    go_on_over(link);
  }
  void go_on_over(wan::LinkModel& link) {
    const auto before = std::exchange(paths_, {});
    for (size_t i = 0; i < controllers_.size(); ++i) {
      paths_.push_back(std::make_unique<test::PathSimulation>(link, *controllers_[i], packets_));
      if (!before.empty()) paths_.back()->go_on_after(*before[i]);
    }
  }
  Time now() const { return paths_.front()->now(); }

  struct Result {
    Rate goodput;               // of all
    Duration queue_delay_most;  // of the flow with the longest
  };
  Result run(Duration time) {
    std::vector<test::PathSimulation*> all;
    for (auto& path : paths_) {
      path->take_result();
      all.push_back(path.get());
    }
    test::run_together(all, now() + time);
    Result sum{};
    for (auto* path : all) {
      const test::PathResult result = path->take_result();
      sum.goodput = sum.goodput + result.goodput();
      sum.queue_delay_most = std::max(sum.queue_delay_most, result.queue_delay_mean);
    }
    return sum;
  }

 private:
  const uint64_t packets_;
  std::vector<std::unique_ptr<CongestionController>> controllers_;
  std::vector<std::unique_ptr<test::PathSimulation>> paths_;
};

TEST(BbrTransfers, LeaveNoStandingQueueWhileTheyShare) {
  constexpr Duration kRtt = 50ms;
  const wan::LinkConfig link{.rate = 1_Gbit, .delay = kRtt / 2, .queue = (1_Gbit).over(kRtt)};
  for (const uint32_t flows : {2U, 16U}) {
    wan::LinkModel model(Time(), link, 1);
    Transfers both(model, 2, flows, 16);
    both.run(5s);
    EXPECT_LT(both.run(10s).queue_delay_most, kRtt / 5) << flows << " flows each";
  }
}

// Though a queue of four BDP would hold a standing one.
TEST(BbrTransfers, LeaveNoStandingQueueInADeepOneAtAnySpeed) {
  constexpr Duration kRtt = 50ms;
  struct Speed { Rate rate; uint64_t packets; };
  for (const auto& [rate, packets] : {Speed{1_Gbit, 32}, Speed{10_Gbit, 256}, Speed{100_Gbit, 1024}, Speed{400_Gbit, 4096}}) {
    const wan::LinkConfig link{.rate = rate, .delay = kRtt / 2, .queue = rate.over(kRtt * 4)};
    for (const uint32_t transfers : {1U, 2U}) {
      wan::LinkModel model(Time(), link, 1);
      Transfers all(model, transfers, 2, packets);
      all.run(5s);
      EXPECT_LT(all.run(10s).queue_delay_most, kRtt) << rate.bits_per_second() << ", transfers: " << transfers;
    }
  }
}

// At the speeds at which nobody can try: random loss up to 3 %, and bursts.
TEST(BbrTransfers, HoldTheirRateOverLossAtAnySpeed) {
  constexpr Duration kRtt = 50ms;
  struct Speed { Rate rate; uint64_t packets; };
  struct Loss { double share, burst, wanted; };
  for (const auto& [rate, packets] : {Speed{1_Gbit, 16}, Speed{10_Gbit, 128}, Speed{100_Gbit, 1024}, Speed{400_Gbit, 4096}}) {
    for (const auto& [share, burst, wanted] : {Loss{0.01, 1, 0.92}, Loss{0.03, 1, 0.88}, Loss{0.01, 10, 0.9}}) {
      const wan::LinkConfig link{.rate = rate, .delay = kRtt / 2, .queue = rate.over(kRtt * 4), .impairments = {.loss = share, .loss_burst = burst}};
      wan::LinkModel model(Time(), link, 1);
      Transfers transfer(model, 1, 2, packets);
      transfer.run(3s);
      const Transfers::Result result = transfer.run(6s);
      EXPECT_GE(result.goodput.bits_per_second() / test::PathSimulation::payload_rate(link).bits_per_second(), wanted) << rate.bits_per_second() << ", " << share << " x" << burst;
      EXPECT_LT(result.queue_delay_most, kRtt) << rate.bits_per_second() << ", " << share << " x" << burst;
    }
  }
}

// A packet in a hundred, or one in five, comes up to 20 ms after those behind it.
TEST(BbrTransfers, HoldTheirRateOverReorderingAtAnySpeed) {
  constexpr Duration kRtt = 50ms;
  struct Speed { Rate rate; uint64_t packets; };
  for (const auto& [rate, packets] : {Speed{1_Gbit, 16}, Speed{10_Gbit, 128}, Speed{100_Gbit, 1024}, Speed{400_Gbit, 4096}}) {
    for (const double share : {0.01, 0.2}) {
      const wan::LinkConfig link{.rate = rate, .delay = kRtt / 2, .queue = rate.over(kRtt * 4), .impairments = {.reorder = {.share = share, .extra_max = 20ms}}};
      const std::string name = std::to_string(rate.bits_per_second()) + ", " + std::to_string(share);
      wan::LinkModel model(Time(), link, 1);
      Transfers transfer(model, 1, 2, packets);
      transfer.run(3s);
      const Transfers::Result result = transfer.run(6s);
      EXPECT_GT(model.counters().frames_reordered, 0U) << name;
      EXPECT_GE(result.goodput.bits_per_second() / test::PathSimulation::payload_rate(link).bits_per_second(), 0.95) << name;
      EXPECT_LT(result.queue_delay_most, kRtt) << name;
    }
  }
}

// Within two seconds each way; what was under way at the change is lost to the simulation. The queue that a halved rate leaves stands for some
// seconds more, until the flows probe.
TEST(BbrPath, ThatHalvesOrDoublesInMidTransferIsFilledAgain) {
  constexpr Duration kRtt = 50ms;
  struct Case { Rate rate; uint32_t flows; uint64_t packets; };
  for (const auto& [rate, flows, packets] : {Case{1_Gbit, 1, 8}, Case{10_Gbit, 1, 64}, Case{100_Gbit, 1, 512}, Case{400_Gbit, 1, 2048}, Case{1_Gbit, 16, 8}}) {
    std::vector<std::unique_ptr<wan::LinkModel>> models;
    std::optional<Transfers> transfer;
    for (const double part : {1.0, 0.5, 1.0}) {
      const wan::LinkConfig link{.rate = rate * part, .delay = kRtt / 2, .queue = rate.over(kRtt * 4)};
      models.push_back(std::make_unique<wan::LinkModel>(transfer ? transfer->now() : Time(), link, 1));
      if (transfer) transfer->go_on_over(*models.back());
      else transfer.emplace(*models.back(), 1, flows, packets);
      transfer->run(2s);
      const Transfers::Result result = transfer->run(4s);
      const double share = result.goodput.bits_per_second() / test::PathSimulation::payload_rate(link).bits_per_second();
      const std::string name = std::to_string(part) + " of " + std::to_string(rate.bits_per_second()) + " with flows: " + std::to_string(flows);
      EXPECT_GE(share, 0.95) << name;
      EXPECT_LT(result.queue_delay_most, 2 * kRtt) << name;
      EXPECT_LT(transfer->run(2s).queue_delay_most, kRtt) << name;  // a BDP of the rate that there is
    }
  }
}

}  // namespace
}  // namespace tideway::congestion::links_test
