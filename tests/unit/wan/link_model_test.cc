// SPDX-License-Identifier: Apache-2.0
#include "wan/link_model.h"

#include <gtest/gtest.h>

#include <vector>

namespace tideway::wan {
namespace {

using namespace std::chrono_literals;

constexpr Bytes kFrame = 1514_B;  // an IP packet of 1,500 bytes; the link charges 1,538

Time at(Duration age) { return Time(age); }

LinkModel link(const LinkConfig& config, uint64_t seed = 1) { return LinkModel(Time(), config, seed); }

// Offers `frames` frames, one each `gap`, and returns their fates.
std::vector<Fate> offer_all(LinkModel& model, int frames, Duration gap) {
  std::vector<Fate> fates;
  for (int i = 0; i < frames; ++i) fates.push_back(model.offer(at(gap * i), kFrame));
  return fates;
}

TEST(LinkModel, AFrameIsChargedItsEthernetOverhead) {
  LinkModel model = link({.rate = 1_Gbit});
  EXPECT_EQ(model.offer(at(0ns), kFrame).deliver_at, at(12'304ns));  // 1538 bytes at 8 ns
  EXPECT_EQ(link_charge(1500_B), 1538_B);
}

TEST(LinkModel, FramesLeaveAtTheRateNotFaster) {
  LinkModel model = link({.rate = 100_Gbit, .queue = 1_GiB});
  const auto fates = offer_all(model, 100'000, 0ns);
  EXPECT_NEAR(static_cast<double>((fates.back().deliver_at - at(0ns)).count()), 100'000 * 123.04, 1);
}

TEST(LinkModel, DelayIsAddedBehindTheBottleneck) {
  LinkModel model = link({.rate = 1_Gbit, .delay = 25ms});
  EXPECT_EQ(model.offer(at(1s), kFrame).deliver_at, at(1s + 25ms + 12'304ns));
  EXPECT_EQ(model.offer(at(1s), kFrame).deliver_at, at(1s + 25ms + 24'608ns));
  EXPECT_EQ(model.busy_until(), at(1s + 24'608ns));
}

TEST(LinkModel, AnIdleLinkForgetsItsPast) {
  LinkModel model = link({.rate = 1_Gbit});
  offer_all(model, 10, 0ns);
  EXPECT_EQ(model.offer(at(1s), kFrame).deliver_at, at(1s + 12'304ns));
}

TEST(LinkModel, AFullQueueDropsTheNewestFrame) {
  LinkModel model = link({.rate = 1_Gbit, .queue = 15'380_B});
  const auto fates = offer_all(model, 12, 0ns);
  for (size_t i = 0; i < 10; ++i) EXPECT_FALSE(fates[i].dropped) << i;
  EXPECT_EQ(fates[10].dropped, DropCause::kQueue);
  EXPECT_EQ(model.counters().dropped_for(DropCause::kQueue), 2U);
  EXPECT_EQ(model.counters().queue_peak, 15'380_B);
  EXPECT_FALSE(model.offer(at(13us), kFrame).dropped);  // one frame has left by then
}

TEST(LinkModel, TheQueueIsOneBdpButAtLeastFiveMilliseconds) {
  EXPECT_EQ(queue_limit({.rate = 1_Gbit, .delay = 25ms}), 6'250'000_B);
  EXPECT_EQ(queue_limit({.rate = 1_Gbit, .delay = 500us}), 625'000_B);
  EXPECT_EQ(queue_limit({.rate = 1_Gbit, .delay = 25ms, .queue = 1000_B}), 1000_B);
  EXPECT_EQ(queue_limit({.delay = 25ms}), Bytes::max());
}

TEST(LinkModel, LossTakesTheShareAskedForAndNoCapacity) {
  LinkModel model = link({.rate = 1_Gbit, .impairments = {.loss = 0.01}});
  offer_all(model, 200'000, 12'304ns);  // exactly the rate
  EXPECT_NEAR(static_cast<double>(model.counters().dropped_for(DropCause::kLoss)), 2000, 180);  // 4 sigma
  EXPECT_EQ(model.counters().dropped_for(DropCause::kQueue), 0U);
  EXPECT_LE(model.counters().queue_peak, 1538_B);
}

TEST(LinkModel, BurstsOfLossHaveTheMeanLengthAskedFor) {
  LinkModel model = link({.impairments = {.loss = 0.02, .loss_burst = 10}});
  const auto fates = offer_all(model, 500'000, 1us);
  int losses = 0, bursts = 0;
  for (size_t i = 0; i < fates.size(); ++i) {
    losses += fates[i].dropped.has_value();
    bursts += fates[i].dropped && (i == 0 || !fates[i - 1].dropped);
  }
  EXPECT_NEAR(losses, 10'000, 1'500);
  EXPECT_NEAR(static_cast<double>(losses) / bursts, 10, 1);
}

TEST(LinkModel, ABlackoutKillsItsWindowsAndNothingElse) {
  LinkModel model = link({.impairments = {.blackout = {.from = 1s, .length = 200ms, .every = 10s}}});
  EXPECT_FALSE(model.offer(at(999ms), kFrame).dropped);
  EXPECT_EQ(model.offer(at(1s), kFrame).dropped, DropCause::kBlackout);
  EXPECT_EQ(model.offer(at(1199ms), kFrame).dropped, DropCause::kBlackout);
  EXPECT_FALSE(model.offer(at(1200ms), kFrame).dropped);
  EXPECT_EQ(model.offer(at(11'100ms), kFrame).dropped, DropCause::kBlackout);
  LinkModel once = link({.impairments = {.blackout = {.from = 1s, .length = 200ms}}});
  EXPECT_FALSE(once.offer(at(11'100ms), kFrame).dropped);
}

TEST(LinkModel, ASlowdownActsInItsWindowsAndOnWhatComesInThem) {
  LinkModel model = link({.rate = 1_Gbit, .slowdown = {.when = {.from = 2s, .length = 2s, .every = 4s}, .rate = 500_Mbit}, .queue = Bytes(30'000)});
  const auto takes = [&](Duration when) { return model.offer(at(when), kFrame).deliver_at - at(when); };
  const Duration full = takes(1999ms);
  EXPECT_EQ(takes(2s), 2 * full);
  EXPECT_EQ(takes(3999ms), 2 * full);
  EXPECT_EQ(takes(4s), full);
  EXPECT_EQ(takes(6s), 2 * full);
  // The queue holds as many bytes, for twice as long.
  int queued = 0;
  while (!model.offer(at(6500ms), kFrame).dropped) queued += 1;
  EXPECT_EQ(queued, 19);
  EXPECT_EQ(model.busy_until() - at(6500ms), 19 * 2 * full);
}

TEST(LinkModel, APacketAboveTheMtuVanishes) {
  LinkModel model = link({.mtu = 1400_B});
  EXPECT_EQ(model.offer(at(0ns), 1415_B).dropped, DropCause::kMtu);
  EXPECT_FALSE(model.offer(at(0ns), 1414_B).dropped);
}

TEST(LinkModel, JitterStaysInItsRangeAndKeepsTheOrder) {
  LinkModel model = link({.rate = 1_Gbit, .delay = 10ms, .impairments = {.jitter = 5ms}});
  Time last;
  Duration least = 1h, most{};
  for (int i = 0; i < 100'000; ++i) {
    const Time now = at(20us * i);
    const Time delivered = model.offer(now, kFrame).deliver_at;
    EXPECT_GE(delivered, last);
    last = delivered;
    least = std::min(least, delivered - now);
    most = std::max(most, delivered - now);
  }
  EXPECT_GE(least, 10ms);
  EXPECT_LT(least, 11ms);
  EXPECT_GT(most, 14ms);
  EXPECT_LE(most, 15ms + 12'304ns);
}

TEST(LinkModel, ReorderedFramesAreOvertaken) {
  LinkModel model = link({.delay = 10ms, .impairments = {.reorder = {.share = 0.1, .extra_max = 20ms}}});
  const auto fates = offer_all(model, 10'000, 100us);
  EXPECT_NEAR(static_cast<double>(model.counters().frames_reordered), 1000, 120);
  for (size_t i = 0; i < fates.size(); ++i) {
    const Duration extra = fates[i].deliver_at - at(100us * static_cast<int>(i)) - 10ms;
    EXPECT_EQ(extra > 0ns, fates[i].is_reordered) << i;
    EXPECT_LE(extra, 20ms);
  }
}

TEST(LinkModel, CopiesDamageAndMarksAreToldAndCounted) {
  LinkModel model = link({.rate = 1_Gbit, .ce_mark = 10'000_B, .impairments = {.duplicate = 0.05, .corrupt = 0.02}});
  uint64_t copies = 0, damaged = 0, marked = 0;
  for (const Fate& fate : offer_all(model, 300, 0ns)) {
    copies += fate.copies;
    damaged += fate.flip.has_value();
    marked += fate.is_ce_marked;
  }
  EXPECT_EQ(marked, 293U);  // all but the seven frames that found less than 10,000 bytes
  EXPECT_EQ(copies, 300 + model.counters().frames_duplicated);
  EXPECT_GT(copies, 300U);
  EXPECT_EQ(damaged, model.counters().frames_corrupted);
  EXPECT_GT(damaged, 0U);
}

TEST(LinkModel, TheSameSeedGivesTheSameFates) {
  const LinkConfig config{.rate = 1_Gbit, .delay = 1ms,
                          .impairments = {.loss = 0.1, .loss_burst = 3, .duplicate = 0.1, .corrupt = 0.1,
                                          .reorder = {.share = 0.1, .extra_max = 1ms}, .jitter = 1ms}};
  LinkModel first = link(config, 7), second = link(config, 7), other = link(config, 8);
  int different = 0;
  for (int i = 0; i < 1000; ++i) {
    const Fate a = first.offer(at(10us * i), kFrame), b = second.offer(at(10us * i), kFrame);
    const Fate c = other.offer(at(10us * i), kFrame);
    ASSERT_TRUE(a.dropped == b.dropped && a.deliver_at == b.deliver_at && a.copies == b.copies && a.flip == b.flip);
    different += a.dropped != c.dropped;
  }
  EXPECT_GT(different, 0);
}

}  // namespace
}  // namespace tideway::wan
