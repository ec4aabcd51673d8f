// SPDX-License-Identifier: Apache-2.0
//
// Outages in virtual time: a connection asks when it begins, and 1 and 3 s later, as TCP does, and gives up after 5 s.
#include "daemon/away_peers.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tideway::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kAttempt = seconds(5);  // session::kConnectTime
constexpr Duration kAsks[] = {seconds(0), seconds(1), seconds(3)};

struct FoundAway {
  Duration late;  // behind the return of the link
  uint64_t dials = 0;
  std::vector<job::JobId> jobs;
};

// A link that is away from zero until `returns`; `jobs` wait for the peer behind it.
FoundAway outage_until(Time returns, uint64_t seed, size_t jobs = 1) {
  AwayPeers away(seed);
  for (size_t i = 0; i < jobs; ++i) away.on_away("there", std::to_string(i), Time());
  FoundAway found;
  for (Time now = away.next_deadline();; now = away.next_deadline()) {
    EXPECT_TRUE(away.wants_dial("there", now));
    found.dials += 1;
    const auto heard = std::ranges::find_if(kAsks, [&](Duration after) { return now + after >= returns; });
    if (heard != std::end(kAsks)) {
      found.late = now + *heard - returns;
      found.jobs = away.on_back("there");
      EXPECT_EQ(away.next_deadline(), kNever);
      return found;
    }
    away.on_dial_failed("there", now + kAttempt);
  }
}

TEST(AwayPeers, N05ALinkThatReturnsAfterAnHourIsFoundWithinFiveSecondsByAllWhoWait) {
  for (uint64_t seed = 1; seed <= 64; ++seed) {
    const FoundAway found = outage_until(Time() + std::chrono::hours(1) + milliseconds(97 * seed), seed, 100);
    EXPECT_GE(found.late, Duration());
    EXPECT_LT(found.late, seconds(4)) << "seed " << seed << ": nothing is left of five seconds for handshakes";
    EXPECT_EQ(found.jobs.size(), 100U);
    EXPECT_LT(found.dials, 3600 / 5) << "it is asked all the time";
  }
}

TEST(AwayPeers, WhileADialIsUnderWayNothingIsDue) {
  AwayPeers away(7);
  away.on_away("there", "a", Time());
  const Time now = away.next_deadline();
  away.on_dial("there");
  EXPECT_EQ(away.next_deadline(), kNever);
  EXPECT_FALSE(away.wants_dial("there", now + kAttempt));
  away.on_dial_failed("there", now + kAttempt);
  EXPECT_GT(away.next_deadline(), now + kAttempt);
}

TEST(AwayPeers, APeerThatRefusesAtOnceIsAskedOnceASecond) {
  AwayPeers away(7);
  away.on_away("there", "a", Time());
  uint64_t dials = 0;
  for (Time now = away.next_deadline(); now < Time() + std::chrono::minutes(10); now = away.next_deadline(), ++dials) away.on_dial_failed("there", now);
  EXPECT_GE(dials, 600U);
  EXPECT_LE(dials, 810U) << "pauses are at most a quarter shorter";
}

TEST(AwayPeers, AJobThatWaitsAgainOrForAnotherPeerCountsOnce) {
  AwayPeers away(3);
  for (const char* peer : {"there", "there", "elsewhere"}) away.on_away(peer, "a", Time());
  away.tidy();
  EXPECT_EQ(away.peers(), std::vector<std::string>{"elsewhere"});
  away.on_left("a");
  away.tidy();
  EXPECT_TRUE(away.peers().empty());
}

TEST(AwayPeers, NobodyIsAskedForWhomNoJobWaitsAnyMore) {
  AwayPeers away(3);
  away.on_away("there", "a", Time());
  away.on_away("elsewhere", "b", Time());
  away.on_left("a");
  away.tidy();
  EXPECT_EQ(away.peers(), std::vector<std::string>{"elsewhere"});
  EXPECT_FALSE(away.wants_dial("there", Time() + seconds(9)));
  EXPECT_EQ(away.on_back("elsewhere"), std::vector<job::JobId>{"b"});
  away.on_dial_failed("elsewhere", Time());
  EXPECT_EQ(away.next_deadline(), kNever);
}

}  // namespace
}  // namespace tideway::daemon
