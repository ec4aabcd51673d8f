// SPDX-License-Identifier: Apache-2.0
#include "ip/neighbour_table.h"

#include "base/random.h"
#include "frames.h"

#include <gtest/gtest.h>

#include <map>

namespace tideway::ip {
namespace {

using namespace frames;
using namespace std::chrono_literals;

NeighbourClaim claim(const IpAddress& address, const MacAddress& mac) { return {.address = address, .mac = mac}; }

// Asks, and is answered, at `time`.
void resolve(NeighbourTable& table, Duration time, const MacAddress& mac = kPeerMac) {
  ASSERT_TRUE(table.next_ask(at(time)));
  table.on_answer(at(time), claim(kPeer4, mac));
}

TEST(NeighbourTable, AsksAtOnceAndKnowsTheMacFromTheAnswer) {
  NeighbourTable table;
  EXPECT_EQ(table.next_deadline(), kNever);
  const NextHopId id = table.hold(kPeer4).value();
  EXPECT_LE(table.next_deadline(), at(0s));
  const auto ask = table.next_ask(at(0s));
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->address, kPeer4);
  EXPECT_FALSE(ask->mac);
  EXPECT_FALSE(table.mac_of(id));
  const uint64_t before = table.generation();
  table.on_answer(at(1ms), claim(kPeer4, kPeerMac));
  EXPECT_EQ(table.mac_of(id), kPeerMac);
  EXPECT_GT(table.generation(), before);
  EXPECT_EQ(table.stats().mac_changes, 0U);
}

TEST(NeighbourTable, AsksAgainWithDoublingPausesForAsLongAsItIsHeld) {
  NeighbourTable table;
  ASSERT_TRUE(table.hold(kPeer4));
  Duration due = 0s;
  for (const Duration pause : {250ms, 500ms, 1000ms, 2000ms, 4000ms, 8000ms, 8000ms, 8000ms}) {
    EXPECT_FALSE(due > 0s && table.next_ask(at(due - 1ns)));
    const auto ask = table.next_ask(at(due));
    ASSERT_TRUE(ask);
    EXPECT_FALSE(ask->mac);
    due += pause;
    EXPECT_EQ(table.next_deadline(), at(due));
  }
  EXPECT_EQ(table.stats().refreshes_failed, 0U);  // there was nothing to refresh
}

TEST(NeighbourTable, RefreshesAfterThirtySecondsAskingTheKnownMacFirst) {
  NeighbourTable table;
  ASSERT_TRUE(table.hold(kPeer4));
  resolve(table, 0s);
  EXPECT_EQ(table.next_deadline(), at(30s));
  EXPECT_EQ(table.next_ask(at(30s))->mac, kPeerMac);
  EXPECT_FALSE(table.next_ask(at(30s + 250ms))->mac);  // everybody
  const uint64_t before = table.generation();
  table.on_answer(at(31s), claim(kPeer4, kPeerMac));
  EXPECT_EQ(table.generation(), before);
  EXPECT_EQ(table.next_deadline(), at(61s));
}

TEST(NeighbourTable, KeepsTheLastGoodMacWhenRefreshFailsAndCountsIt) {
  NeighbourTable table;
  const NextHopId id = table.hold(kPeer4).value();
  resolve(table, 0s);
  for (Duration time = 30s; time < 90s; time += 250ms) static_cast<void>(table.next_ask(at(time)));
  EXPECT_EQ(table.mac_of(id), kPeerMac);
  EXPECT_EQ(table.stats().refreshes_failed, 1U);
  EXPECT_LE(table.next_deadline(), at(98s));
}

TEST(NeighbourTable, AdoptsAChangedMacFromAnAnswerToItsQuestion) {
  NeighbourTable table;
  const NextHopId id = table.hold(kPeer4).value();
  resolve(table, 0s);
  const uint64_t before = table.generation();
  resolve(table, 30s, kOtherMac);
  EXPECT_EQ(table.mac_of(id), kOtherMac);
  EXPECT_GT(table.generation(), before);
  EXPECT_EQ(table.stats().mac_changes, 1U);
}

TEST(NeighbourTable, AnAnnouncementMakesItAskEverybodyAndChangesNothing) {
  NeighbourTable table;
  const NextHopId id = table.hold(kPeer4).value();
  resolve(table, 0s);
  table.on_hint(at(5s), claim(kPeer4, kOtherMac));
  EXPECT_EQ(table.mac_of(id), kPeerMac);
  EXPECT_EQ(table.next_deadline(), at(5s));
  EXPECT_FALSE(table.next_ask(at(5s))->mac);
  table.on_answer(at(5s), claim(kPeer4, kPeerMac));  // the owner is where it was
  EXPECT_EQ(table.mac_of(id), kPeerMac);
  EXPECT_EQ(table.stats().hints_received, 1U);
}

TEST(NeighbourTable, ASecondAnswerToOneQuestionIsNotAdopted) {
  NeighbourTable table;
  const NextHopId id = table.hold(kPeer4).value();
  resolve(table, 0s);
  table.on_answer(at(1ms), claim(kPeer4, kOtherMac));
  EXPECT_EQ(table.mac_of(id), kPeerMac);
  EXPECT_EQ(table.next_deadline(), at(1s));  // but asks again, a second after it did
}

TEST(NeighbourTable, AnnouncementsCannotMakeItAskMoreOftenThanOncePerSecond) {
  NeighbourTable table;
  ASSERT_TRUE(table.hold(kPeer4));
  resolve(table, 0s);
  int asks = 0;
  for (Duration time = 1ms; time <= 10s; time += 1ms) {
    table.on_hint(at(time), claim(kPeer4, kOtherMac));
    if (!table.next_ask(at(time))) continue;
    ++asks;
    table.on_answer(at(time), claim(kPeer4, kPeerMac));
  }
  EXPECT_EQ(asks, 10);
}

TEST(NeighbourTable, AnAnnouncementOfOneItWaitsForCutsTheWaitShort) {
  NeighbourTable table;
  ASSERT_TRUE(table.hold(kPeer4));
  for (const Duration time : {0ms, 250ms, 750ms, 1750ms, 3750ms}) ASSERT_TRUE(table.next_ask(at(time)));
  EXPECT_EQ(table.next_deadline(), at(7750ms));
  table.on_hint(at(5s), claim(kPeer4, kPeerMac));
  EXPECT_EQ(table.next_deadline(), at(5s));
}

TEST(NeighbourTable, ClaimsForOthersAndForReleasedEntriesLeaveNoTrace) {
  NeighbourTable table;
  const NextHopId id = table.hold(kPeer4).value();
  ASSERT_TRUE(table.next_ask(at(0s)));
  table.on_answer(at(0s), claim(kOurs4, kOtherMac));
  table.release(id);
  table.on_answer(at(0s), claim(kPeer4, kPeerMac));
  table.on_hint(at(0s), claim(kPeer4, kPeerMac));
  EXPECT_FALSE(table.mac_of(id));
  EXPECT_EQ(table.next_deadline(), kNever);
  EXPECT_EQ(table.stats().answers_received, 0U);
}

TEST(NeighbourTable, AnAdvertisementWithoutOverrideReplacesNothing) {
  NeighbourTable table;
  const NextHopId id = table.hold(kPeer4).value();
  ASSERT_TRUE(table.next_ask(at(0s)));
  table.on_answer(at(0s), {.address = kPeer4, .mac = kPeerMac, .may_replace = false});
  EXPECT_EQ(table.mac_of(id), kPeerMac);
  ASSERT_TRUE(table.next_ask(at(30s)));
  table.on_answer(at(30s), {.address = kPeer4, .mac = kOtherMac, .may_replace = false});
  EXPECT_EQ(table.mac_of(id), kPeerMac);
}

TEST(NeighbourTable, HoldsOfOneAddressShareAnEntry) {
  NeighbourTable table;
  const NextHopId a = table.hold(kPeer4).value(), b = table.hold(kPeer4).value();
  EXPECT_EQ(a, b);
  table.release(a);
  EXPECT_LE(table.next_deadline(), at(0s));  // still held
  table.release(b);
  EXPECT_EQ(table.next_deadline(), kNever);
  EXPECT_EQ(table.hold(kPeer4), a);  // not evicted without need
}

IpAddress numbered(size_t i) {
  IpAddress address = kPeer6;
  address[14] = static_cast<std::byte>(i >> 8);
  address[15] = static_cast<std::byte>(i);
  return address;
}

TEST(NeighbourTable, FullOfHeldEntriesTakesNoMoreAndTheOneReleasedFirstMakesRoom) {
  NeighbourTable table;
  std::vector<NextHopId> ids;
  for (size_t i = 0; i < kNeighboursMax; ++i) ids.push_back(table.hold(numbered(i)).value());
  EXPECT_FALSE(table.hold(numbered(999)));
  table.release(ids[7]);
  table.release(ids[3]);
  EXPECT_TRUE(table.hold(numbered(999)));
  EXPECT_FALSE(table.mac_of(ids[7]));
  EXPECT_EQ(table.hold(numbered(3)), ids[3]);
  EXPECT_FALSE(table.hold(numbered(7)));
  EXPECT_EQ(table.stats().evictions, 1U);
}

TEST(NeighbourTable, AnIdOfAnEvictedEntryFindsNothing) {
  NeighbourTable table;
  const NextHopId first = table.hold(numbered(0)).value();
  ASSERT_TRUE(table.next_ask(at(0s)));
  table.on_answer(at(0s), claim(numbered(0), kPeerMac));
  table.release(first);
  for (size_t i = 1; i <= kNeighboursMax; ++i) ASSERT_TRUE(table.hold(numbered(i)));
  EXPECT_FALSE(table.mac_of(first));
  EXPECT_FALSE(table.mac_of(NextHopId()));
  EXPECT_FALSE(table.mac_of(NextHopId(UINT32_MAX)));
}

TEST(NeighbourTable, AfterLinkUpAsksEverybodyForAllThatIsHeld) {
  NeighbourTable table;
  const NextHopId id = table.hold(kPeer4).value();
  resolve(table, 0s);
  table.on_link_up(at(2s));
  EXPECT_EQ(table.mac_of(id), kPeerMac);
  const auto ask = table.next_ask(at(2s));
  ASSERT_TRUE(ask);
  EXPECT_FALSE(ask->mac);
}

// Whatever comes in any order: a MAC is only ever one that was answered while a question was open.
TEST(NeighbourTable, ARandomHistoryNeverAdoptsWhatWasNotAskedFor) {
  Random random(21);
  NeighbourTable table;
  std::map<NextHopId, size_t> holds;
  uint64_t asked = 0;
  Time now = at(0s);
  for (int step = 0; step < 100'000; ++step) {
    now += Duration(random.below(100'000'000));
    const size_t i = random.below(400);
    switch (random.below(5)) {
      case 0:
        if (const auto id = table.hold(numbered(i))) ++holds[*id];
        break;
      case 1:
        if (holds.empty()) break;
        table.release(holds.begin()->first);
        if (--holds.begin()->second == 0) holds.erase(holds.begin());
        break;
      case 2: table.on_hint(now, claim(numbered(i), kOtherMac)); break;
      default:
        if (const auto ask = table.next_ask(now)) {
          ++asked;
          if (random.happens(0.7)) table.on_answer(now, claim(ask->address, kPeerMac));
        }
    }
    for (const auto& [id, count] : holds) ASSERT_NE(table.mac_of(id).value_or(kPeerMac), kOtherMac);
    ASSERT_LE(holds.size(), kNeighboursMax);
  }
  EXPECT_EQ(table.stats().asks_sent, asked);
  EXPECT_GT(table.stats().evictions, 0U);
}

}  // namespace
}  // namespace tideway::ip
