// SPDX-License-Identifier: Apache-2.0
#include "flow/path_mtu.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace tideway::flow::path_mtu_test {
namespace {

using namespace std::chrono_literals;
const Time kStart = Time{} + 1s;
constexpr Duration kRtt = 100ms;
constexpr Duration kProbeTimeout = 300ms;

// A path that carries packets up to a size and answers a round trip later.
struct Path {
  Bytes carries;
  double loss = 0;
  Random random{1};
  std::map<Bytes, int> probes;  // sent, by size

  // One round: all probes there are leave, then each is acked or lost. False: there were none.
  bool round(PathMtu& mtu, Time& now) {
    std::vector<Bytes> sent;
    while (const auto probe = mtu.next_probe(now)) {
      if (sent.size() == 100) {
        ADD_FAILURE() << "probes without end";
        break;
      }
      mtu.on_probe_sent(*probe);
      sent.push_back(*probe);
      ++probes[*probe];
    }
    now += kRtt;
    for (const Bytes probe : sent)
      if (probe <= carries && !random.happens(loss)) mtu.on_probe_acked(now, probe);
      else mtu.on_probe_lost(now, probe);
    return !sent.empty();
  }
  Bytes settle(PathMtu& mtu, Time& now) {
    for (int i = 0; round(mtu, now); ++i)
      if (i == 100) {
        ADD_FAILURE() << "never settles";
        break;
      }
    return mtu.current();
  }
};

Bytes settled(Bytes local, Bytes carries, double loss = 0) {
  PathMtu mtu(local);
  mtu.allow();
  Path path{.carries = carries, .loss = loss, .probes = {}};
  Time now = kStart;
  return path.settle(mtu, now);
}

TEST(PathMtu, StartsAtTheBaseAndSearchesOnlyWhenAllowed) {
  PathMtu mtu(Bytes(9000));
  EXPECT_EQ(mtu.current(), PathMtu::kBase);
  EXPECT_FALSE(mtu.next_probe(kStart));
  EXPECT_FALSE(mtu.has_probe());
  EXPECT_EQ(mtu.next_deadline(), kNever);
  mtu.allow();
  EXPECT_TRUE(mtu.has_probe());
  EXPECT_TRUE(mtu.next_probe(kStart));
  EXPECT_EQ(mtu.current(), PathMtu::kBase);
}

TEST(PathMtu, OneRoundTripSettlesAPathThatCarriesAll) {
  PathMtu mtu(Bytes(9000));
  mtu.allow();
  EXPECT_EQ(mtu.largest_probe(), Bytes(9000));
  EXPECT_EQ(mtu.probes_waiting(), 4U);
  Path path{.carries = Bytes(9000), .probes = {}};
  Time now = kStart;
  EXPECT_TRUE(path.round(mtu, now));
  EXPECT_EQ(path.probes, (std::map<Bytes, int>{{Bytes(1400), 1}, {Bytes(1500), 1}, {Bytes(4000), 1}, {Bytes(9000), 1}}));
  EXPECT_EQ(mtu.current(), Bytes(9000));
  EXPECT_FALSE(mtu.has_probe());
  EXPECT_EQ(mtu.probes_waiting(), 0U);
}

TEST(PathMtu, NoProbeIsLargerThanTheLocalMtu) {
  for (const uint64_t local : {1280U, 1400U, 1450U, 1500U, 3498U, 4000U, 8950U, 9000U, 9216U}) {
    PathMtu mtu{Bytes(local)};
    mtu.allow();
    Path path{.carries = Bytes(65535), .probes = {}};
    Time now = kStart;
    EXPECT_EQ(path.settle(mtu, now), Bytes(local)) << "the local MTU is a rung, too";
    for (const auto& [size, count] : path.probes) EXPECT_LE(size, Bytes(local));
  }
}

TEST(PathMtu, IsNeverMoreThanThePathCarriesAndNotMuchLess) {
  for (uint64_t carries = 1280; carries <= 9000; carries += 20) {
    const Bytes mtu = settled(Bytes(9000), Bytes(carries));
    ASSERT_LE(mtu, Bytes(carries));
    // The rung below it, or the one size between.
    const uint64_t rung = carries < 1400 ? 1280 : carries < 1500 ? 1400 : carries < 4000 ? 1500 : carries < 9000 ? 4000 : 9000;
    ASSERT_GE(mtu, Bytes(rung)) << carries;
  }
  EXPECT_GE(settled(Bytes(9000), Bytes(3500)), Bytes(2500)) << "one more try between 1500 and 4000";
}

TEST(PathMtu, ASizeIsTriedThreeTimesBeforeItCountsAsTooLarge) {
  PathMtu mtu(Bytes(9000));
  mtu.allow();
  Path path{.carries = Bytes(1500), .probes = {}};
  Time now = kStart;
  EXPECT_EQ(path.settle(mtu, now), Bytes(1500));
  for (const auto& [size, count] : path.probes) EXPECT_EQ(count, size <= Bytes(1500) ? 1 : PathMtu::kTriesMax) << size.count();
}

TEST(PathMtu, OneLostProbeIsNoAnswer) {
  PathMtu mtu(Bytes(1500));
  mtu.allow();
  Time now = kStart;
  Path{.carries = Bytes(1280), .probes = {}}.round(mtu, now);
  EXPECT_EQ(mtu.current(), PathMtu::kBase);
  EXPECT_EQ((Path{.carries = Bytes(1500), .probes = {}}).settle(mtu, now), Bytes(1500));
}

TEST(PathMtu, LateNewsAboutAProbeCounts) {
  PathMtu mtu(Bytes(1500));
  mtu.allow();
  while (const auto probe = mtu.next_probe(kStart)) mtu.on_probe_sent(*probe);
  mtu.on_probe_lost(kStart + 1s, Bytes(1500));
  mtu.on_probe_acked(kStart + 2s, Bytes(1500));
  EXPECT_EQ(mtu.current(), Bytes(1500));
  mtu.on_probe_acked(kStart + 2s, Bytes(1400));
  EXPECT_EQ(mtu.current(), Bytes(1500));
}

TEST(PathMtu, EveryTenMinutesItLooksWhetherThePathHasGrown) {
  PathMtu mtu(Bytes(9000));
  mtu.allow();
  Path path{.carries = Bytes(1500), .probes = {}};
  Time now = kStart;
  ASSERT_EQ(path.settle(mtu, now), Bytes(1500));
  EXPECT_GT(mtu.next_deadline(), now + PathMtu::kRaiseEvery - 1s);
  EXPECT_LE(mtu.next_deadline(), now + PathMtu::kRaiseEvery);
  EXPECT_FALSE(mtu.next_probe(mtu.next_deadline() - 1ms));
  path.carries = Bytes(9000);
  now = mtu.next_deadline();
  EXPECT_EQ(path.settle(mtu, now), Bytes(9000));
}

TEST(PathMtu, APathThatSwallowsFullPacketsFallsToTheBaseAndClimbsAgain) {
  PathMtu mtu(Bytes(9000));
  mtu.allow();
  Path path{.carries = Bytes(9000), .probes = {}};
  Time now = kStart;
  ASSERT_EQ(path.settle(mtu, now), Bytes(9000));
  mtu.on_full_sent(now);
  mtu.on_full_sent(now + 100ms);
  EXPECT_FALSE(mtu.on_small_acked(now + 2 * kProbeTimeout - 1ms, kProbeTimeout));
  EXPECT_EQ(mtu.current(), Bytes(9000));
  EXPECT_TRUE(mtu.on_small_acked(now + 2 * kProbeTimeout + 1ms, kProbeTimeout));
  EXPECT_EQ(mtu.current(), PathMtu::kBase);
  path.carries = Bytes(1500);
  now += 1s;
  EXPECT_EQ(path.settle(mtu, now), Bytes(1500));
}

TEST(PathMtu, AFullPacketThatArrivesIsNoBlackHole) {
  PathMtu mtu(Bytes(1500));
  mtu.allow();
  Time now = kStart;
  ASSERT_EQ((Path{.carries = Bytes(1500), .probes = {}}).settle(mtu, now), Bytes(1500));
  EXPECT_FALSE(mtu.on_small_acked(now + 1h, kProbeTimeout)) << "no full one was sent";
  mtu.on_full_sent(now);
  mtu.on_full_acked();
  EXPECT_FALSE(mtu.on_small_acked(now + 1h, kProbeTimeout));
  EXPECT_EQ(mtu.current(), Bytes(1500));
}

TEST(PathMtu, ALossyPathSettlesOnWhatItCarriesNearlyAlways) {
  int right = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    PathMtu mtu(Bytes(1500));
    mtu.allow();
    Path path{.carries = Bytes(1500), .loss = 0.05, .random = Random(seed), .probes = {}};
    Time now = kStart;
    if (path.settle(mtu, now) == Bytes(1500)) ++right;
  }
  EXPECT_GE(right, 198);  // 5 % cubed is one in 8,000
}

}  // namespace
}  // namespace tideway::flow::path_mtu_test
