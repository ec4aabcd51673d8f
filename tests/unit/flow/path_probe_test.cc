// SPDX-License-Identifier: Apache-2.0
#include "flow/path_probe.h"

#include <gtest/gtest.h>

#include <set>

namespace tideway::flow::path_probe_test {
namespace {

using namespace std::chrono_literals;
const Time kStart = Time{} + 1s;
constexpr Duration kProbeTimeout = 100ms;

Endpoint endpoint(uint16_t port) {
  Endpoint endpoint{.address = {}, .port = port};
  endpoint.address[15] = std::byte{1};
  return endpoint;
}
const Endpoint kHome = endpoint(7401), kElsewhere = endpoint(9999);

PathProbe probe_of(Proof proof) { return PathProbe(kStart, {.peer = kHome, .proof = proof, .seed = 42}); }
PathProbe::Heard heard(Endpoint from, uint64_t size = 1200, bool is_newest = true) {
  return {.from = from, .size = Bytes(size), .is_newest = is_newest};
}

TEST(PathProbe, AnUnprovenAddressGetsThreeTimesWhatItSent) {
  PathProbe probe = probe_of(Proof::kNone);
  EXPECT_FALSE(probe.is_proven());
  EXPECT_FALSE(probe.on_authentic(kStart, heard(kHome, 1000), kProbeTimeout));
  EXPECT_EQ(probe.allowance(), Bytes(3000));
  probe.on_sent(Bytes(2500));
  EXPECT_EQ(probe.allowance(), Bytes(500));
  probe.on_sent(Bytes(450));
  EXPECT_EQ(probe.allowance(), Bytes()) << "50 bytes fit no packet";
  probe.on_sent(Bytes(1000));  // more than allowed: no wrap around
  EXPECT_EQ(probe.allowance(), Bytes());
}

TEST(PathProbe, AnAddressThatWasOnlyNamedGetsAFewSmallPacketsSoThatOneSideBegins) {
  PathProbe probe = probe_of(Proof::kNone);
  for (uint64_t i = 0; i < PathProbe::kPacketsUnheard; ++i) {
    EXPECT_EQ(probe.allowance(), PathProbe::kLeast) << i;
    probe.on_sent(Bytes(98));
  }
  EXPECT_EQ(probe.allowance(), Bytes());
  EXPECT_EQ(probe.next_deadline(), kNever);
  probe.on_authentic(kStart, heard(kHome, 1000), kProbeTimeout);
  EXPECT_EQ(probe.allowance(), Bytes(3000)) << "from here on the rule of three";
}

TEST(PathProbe, ANamedAddressIsAskedAgainWhenTheFirstChallengeIsLost) {
  PathProbe probe = probe_of(Proof::kNone);
  Time now = kStart;
  for (uint64_t i = 0; i < PathProbe::kPacketsUnheard; ++i) {
    ASSERT_LT(probe.next_deadline(), kNever) << "challenge " << i;
    now = std::max(now, probe.next_deadline());
    EXPECT_TRUE(probe.is_challenge_due(now));
    probe.take_challenge(now, kProbeTimeout);
    probe.on_sent(PathProbe::kLeast);
    EXPECT_FALSE(probe.is_challenge_due(now)) << "the next one waits";
  }
  static_assert(kProbeTimeout < PathProbe::kUnheardWaitMin);
  EXPECT_EQ(now, kStart + (1 + 2 + 4) * PathProbe::kUnheardWaitMin);
  EXPECT_EQ(probe.next_deadline(), kNever) << "all packets for an address that is only named are used up";
}

TEST(PathProbe, AnUnprovenAddressGetsSixteenPacketsHoweverMuchItSends) {
  PathProbe probe = probe_of(Proof::kNone);
  for (int i = 0; i < 100; ++i) probe.on_authentic(kStart, heard(kHome, 9000), kProbeTimeout);
  for (uint64_t i = 0; i < PathProbe::kPacketsUnproven; ++i) {
    EXPECT_GE(probe.allowance(), PathProbe::kLeast) << i;
    probe.on_sent(Bytes(200));
  }
  EXPECT_TRUE(probe.is_for_challenges());
  EXPECT_EQ(probe.allowance(), PathProbe::kLeast) << "a challenge";
}

// All sixteen were lost, each a while after the other, and the address was never asked again (seed 85867).
TEST(PathProbe, AnAddressThatGotAllItsPacketsIsAskedOnceASecondWhileItIsHeardOf) {
  PathProbe probe = probe_of(Proof::kNone);
  Time now = kStart;
  probe.on_authentic(now, heard(kHome, 9000), kProbeTimeout);
  for (uint64_t i = 0; i < PathProbe::kPacketsUnproven - 1; ++i) probe.on_sent(Bytes(200));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(probe.is_challenge_due(now));
    probe.take_challenge(now, 1ms);
    probe.on_sent(PathProbe::kLeast);
    EXPECT_EQ(probe.allowance(), Bytes()) << "nothing was heard since";
    EXPECT_EQ(probe.next_deadline(), kNever);
    probe.on_authentic(now, heard(kHome), kProbeTimeout);
    EXPECT_EQ(probe.allowance(), PathProbe::kLeast);
    EXPECT_FALSE(probe.is_challenge_due(now + PathProbe::kAskedAgainMin - 1ns));
    EXPECT_EQ(probe.next_deadline(), now + PathProbe::kAskedAgainMin);
    now += PathProbe::kAskedAgainMin;
  }
  EXPECT_TRUE(probe.on_response(probe.take_challenge(now, kProbeTimeout)));
  EXPECT_TRUE(probe.is_proven());
}

TEST(PathProbe, AnAnsweredChallengeProvesTheAddress) {
  PathProbe probe = probe_of(Proof::kNone);
  EXPECT_TRUE(probe.is_challenge_due(kStart));
  const wire::PathToken token = probe.take_challenge(kStart, kProbeTimeout);
  EXPECT_FALSE(probe.is_challenge_due(kStart));
  wire::PathToken wrong = token;
  wrong[15] ^= std::byte{1};
  EXPECT_FALSE(probe.on_response(wrong));
  EXPECT_FALSE(probe.on_response({}));
  EXPECT_FALSE(probe.is_proven());
  EXPECT_TRUE(probe.on_response(token));
  EXPECT_TRUE(probe.is_proven());
  EXPECT_TRUE(probe.is_reachable());
  EXPECT_GE(probe.allowance(), Bytes(1 << 30));
  EXPECT_FALSE(probe.is_challenge_due(kStart + 1s));
}

TEST(PathProbe, NoTokenCountsBeforeAChallengeLeft) {
  PathProbe probe = probe_of(Proof::kNone);
  EXPECT_FALSE(probe.on_response({}));
  EXPECT_FALSE(probe.is_proven());
}

TEST(PathProbe, AProvenAddressIsChallengedBesideTheData) {
  PathProbe probe = probe_of(Proof::kProven);
  EXPECT_GE(probe.allowance(), Bytes(1 << 30));
  EXPECT_FALSE(probe.is_reachable()) << "TCP proves no UDP path";
  ASSERT_TRUE(probe.is_challenge_due(kStart));
  EXPECT_TRUE(probe.on_response(probe.take_challenge(kStart, kProbeTimeout)));
  EXPECT_TRUE(probe.is_reachable());
}

TEST(PathProbe, ChallengesWithoutAnAnswerBackOff) {
  PathProbe probe = probe_of(Proof::kProven);
  Time now = kStart;
  std::set<wire::PathToken> tokens;
  Duration last{};
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(probe.is_challenge_due(now));
    tokens.insert(probe.take_challenge(now, kProbeTimeout));
    const Duration wait = probe.next_deadline() - now;
    EXPECT_GE(wait, kProbeTimeout);
    EXPECT_LE(wait, PathProbe::kBackoffMax * kProbeTimeout);
    EXPECT_GE(wait, last);
    EXPECT_FALSE(probe.is_challenge_due(now + wait - 1ns));
    last = wait;
    now += wait;
  }
  EXPECT_EQ(last, PathProbe::kBackoffMax * kProbeTimeout);
  EXPECT_EQ(tokens.size(), 1U) << "the answer to an early one counts, too, however long the path";
  EXPECT_TRUE(probe.on_response(*tokens.begin()));
  EXPECT_EQ(probe.next_deadline(), kNever);
}

TEST(PathProbe, TokensDependOnTheSeed) {
  PathProbe one = probe_of(Proof::kProven), other(kStart, {.peer = kHome, .proof = Proof::kProven, .seed = 43});
  EXPECT_NE(one.take_challenge(kStart, kProbeTimeout), other.take_challenge(kStart, kProbeTimeout));
}

TEST(PathProbe, AChallengeIsAnsweredOnceAndTheNewestCounts) {
  PathProbe probe = probe_of(Proof::kProven);
  EXPECT_FALSE(probe.has_response());
  EXPECT_FALSE(probe.take_response());
  wire::PathToken first{}, second{};
  first[0] = std::byte{1};
  second[0] = std::byte{2};
  probe.on_challenge(first);
  probe.on_challenge(second);
  EXPECT_TRUE(probe.has_response());
  EXPECT_EQ(probe.take_response(), second);
  EXPECT_FALSE(probe.has_response());
}

struct PathProbeRebinding : testing::Test {
  PathProbe probe = probe_of(Proof::kProven);
  Time now = kStart + 10s;
  wire::PathToken old_token{};

  PathProbeRebinding() {
    old_token = probe.take_challenge(kStart, kProbeTimeout);
    EXPECT_TRUE(probe.on_response(old_token));
  }
};

TEST_F(PathProbeRebinding, TheNewestPacketMovesThePeerUnderTheLimitsOfAStranger) {
  EXPECT_FALSE(probe.on_authentic(now, heard(kHome), kProbeTimeout));
  EXPECT_TRUE(probe.on_authentic(now, heard(kElsewhere, 500), kProbeTimeout));
  EXPECT_EQ(probe.peer(), kElsewhere);
  EXPECT_FALSE(probe.is_proven());
  EXPECT_FALSE(probe.is_reachable());
  EXPECT_EQ(probe.allowance(), Bytes(1500)) << "what was heard from the old address does not count";
  EXPECT_TRUE(probe.is_challenge_due(now));
  EXPECT_FALSE(probe.on_response(old_token)) << "an old token proves no new address";
  EXPECT_FALSE(probe.is_proven());
  EXPECT_TRUE(probe.on_response(probe.take_challenge(now, kProbeTimeout)));
  EXPECT_TRUE(probe.is_proven());
  EXPECT_FALSE(probe.on_deadline(now + 1h)) << "it stays";
  EXPECT_EQ(probe.peer(), kElsewhere);
}

TEST_F(PathProbeRebinding, AnOlderPacketMovesNothing) {
  EXPECT_FALSE(probe.on_authentic(now, heard(kElsewhere, 500, false), kProbeTimeout));
  EXPECT_EQ(probe.peer(), kHome);
  EXPECT_TRUE(probe.is_proven());
}

TEST_F(PathProbeRebinding, AnAddressThatDoesNotAnswerIsGivenUpForTheOldOne) {
  ASSERT_TRUE(probe.on_authentic(now, heard(kElsewhere), kProbeTimeout));
  EXPECT_LE(probe.next_deadline(), now) << "the challenge";
  probe.take_challenge(now, kProbeTimeout);
  EXPECT_FALSE(probe.on_deadline(now + 2 * kProbeTimeout));
  EXPECT_EQ(probe.peer(), kElsewhere);
  EXPECT_LE(probe.next_deadline(), now + 3 * kProbeTimeout);
  EXPECT_TRUE(probe.on_deadline(now + 3 * kProbeTimeout));
  EXPECT_EQ(probe.peer(), kHome);
  EXPECT_TRUE(probe.is_proven());
  EXPECT_FALSE(probe.on_deadline(now + 4 * kProbeTimeout)) << "told once";
}

TEST_F(PathProbeRebinding, AfterTwoUnprovenChangesTheProvenAddressIsStillTheOneToGoBackTo) {
  ASSERT_TRUE(probe.on_authentic(now, heard(kElsewhere), kProbeTimeout));
  ASSERT_TRUE(probe.on_authentic(now + 1ms, heard(endpoint(8888)), kProbeTimeout));
  EXPECT_EQ(probe.peer(), endpoint(8888));
  EXPECT_TRUE(probe.on_deadline(now + 1s));
  EXPECT_EQ(probe.peer(), kHome);
}

// Packets by two ways, each of which overtakes the other in turn (seed 11734).
TEST(PathProbe, TwoUnprovenAddressesThatTakeTurnsFasterThanAnAnswerComesAreProvenAllTheSame) {
  PathProbe probe = probe_of(Proof::kNone);
  ASSERT_FALSE(probe.on_authentic(kStart, heard(kHome), kProbeTimeout));
  const wire::PathToken first = probe.take_challenge(kStart, kProbeTimeout);
  for (int turn = 0; turn < 10; ++turn) {
    const Time now = kStart + (2 * turn + 1) * 1ms;
    ASSERT_TRUE(probe.on_authentic(now, heard(kElsewhere), kProbeTimeout));
    EXPECT_NE(probe.take_challenge(now, kProbeTimeout), first);
    EXPECT_FALSE(probe.on_response(first)) << "it proves the other one";
    ASSERT_TRUE(probe.on_authentic(now + 1ms, heard(kHome), kProbeTimeout));
    EXPECT_EQ(probe.take_challenge(now + 1ms, kProbeTimeout), first);
  }
  EXPECT_TRUE(probe.on_response(first));
  EXPECT_TRUE(probe.is_proven());
}

TEST_F(PathProbeRebinding, APacketFromTheOldAddressEndsTheTrial) {
  ASSERT_TRUE(probe.on_authentic(now, heard(kElsewhere), kProbeTimeout));
  EXPECT_TRUE(probe.on_authentic(now + 10ms, heard(kHome), kProbeTimeout));
  EXPECT_EQ(probe.peer(), kHome);
}

}  // namespace
}  // namespace tideway::flow::path_probe_test
