// SPDX-License-Identifier: Apache-2.0
#include "session/carrier_choice.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

using namespace std::chrono_literals;

bool is_blocked(CarrierChoice& choice, Time now) { return choice.on_ended(now, Fault::kUdpBlocked, Rate()); }

TEST(CarrierChoice, GoesOverTlsWhereUdpIsBlockedAndAsksAgainLessAndLessOften) {
  CarrierChoice choice(Fallback::kTls);
  EXPECT_EQ(choice.delivery(), Delivery::kDatagram);
  EXPECT_EQ(choice.asks_at(), kNever);
  Time now(1h);
  for (const Duration wait : {Duration(5min), Duration(10min), Duration(20min), Duration(40min), Duration(1h), Duration(1h)}) {
    EXPECT_TRUE(is_blocked(choice, now));
    EXPECT_EQ(choice.delivery(), Delivery::kStream);
    EXPECT_FALSE(choice.is_trial());
    EXPECT_EQ(choice.asks_at(), now + wait);
    now = choice.asks_at();
    choice.ask_again();
    EXPECT_EQ(choice.delivery(), Delivery::kDatagram);
    EXPECT_EQ(choice.asks_at(), kNever);
  }
}

TEST(CarrierChoice, AsksAfterTheTimeItIsToldAndOnlyOnceAtATime) {
  CarrierChoice choice(Fallback::kTls, 20s);
  ASSERT_TRUE(is_blocked(choice, Time(1h)));
  EXPECT_EQ(choice.asks_at(), Time(1h) + 20s);
  choice.on_probe();
  EXPECT_EQ(choice.asks_at(), kNever);
  EXPECT_EQ(choice.delivery(), Delivery::kStream) << "what runs stays until the answer is there";
  choice.on_probe_failed(Time(1h) + 25s);
  EXPECT_EQ(choice.delivery(), Delivery::kStream);
  EXPECT_EQ(choice.asks_at(), Time(1h) + 65s);
  choice.on_probe();
  choice.ask_again();
  EXPECT_EQ(choice.delivery(), Delivery::kDatagram);
  EXPECT_EQ(choice.asks_at(), kNever);
}

TEST(CarrierChoice, HasNowhereToGoWithoutFallbackOrTwice) {
  CarrierChoice off(Fallback::kOff);
  EXPECT_FALSE(is_blocked(off, Time(1s)));
  EXPECT_EQ(off.delivery(), Delivery::kDatagram);
  EXPECT_FALSE(off.wants_trial(Time(1s)));
  CarrierChoice tls(Fallback::kTls);
  EXPECT_TRUE(is_blocked(tls, Time(1s)));
  EXPECT_FALSE(is_blocked(tls, Time(2s))) << "TLS is blocked, too";
}

TEST(CarrierChoice, OtherTroubleIsNoneOfTheCarrier) {
  CarrierChoice choice(Fallback::kTls);
  for (const Fault why : {Fault::kPeerLost, Fault::kDestFull, Fault::kProtocolVersion, Fault::kCancelled})
    EXPECT_FALSE(choice.on_ended(Time(1s), why, 4_Mbit));
  EXPECT_EQ(choice.delivery(), Delivery::kDatagram);
}

TEST(CarrierChoice, StaysAtTlsThatCarriesMoreThanPolicedUdpAndAsksAgain) {
  CarrierChoice choice(Fallback::kTls);
  EXPECT_TRUE(choice.wants_trial(Time(1h)));
  ASSERT_TRUE(choice.on_ended(Time(1h), Fault::kUdpBlocked, 4_Mbit));
  EXPECT_TRUE(choice.is_trial());
  EXPECT_FALSE(choice.wants_trial(Time(1h)));
  EXPECT_TRUE(choice.judge(6_Mbit));
  EXPECT_FALSE(choice.is_trial());
  EXPECT_EQ(choice.delivery(), Delivery::kStream);
  EXPECT_EQ(choice.asks_at(), Time(1h) + 5min);
  choice.ask_again();
  EXPECT_TRUE(choice.wants_trial(Time(1h) + 5min)) << "what is still policed is tried again";
}

TEST(CarrierChoice, GoesBackToUdpWhenTlsCarriesNoMoreAndLeavesItInPeace) {
  CarrierChoice choice(Fallback::kTls);
  Time now(1h);
  for (const Duration rest : {Duration(5min), Duration(10min), Duration(20min)}) {
    ASSERT_TRUE(choice.wants_trial(now));
    ASSERT_TRUE(choice.on_ended(now, Fault::kUdpBlocked, 4_Mbit));
    EXPECT_FALSE(choice.judge(5_Mbit));
    EXPECT_EQ(choice.delivery(), Delivery::kDatagram);
    EXPECT_EQ(choice.asks_at(), kNever);
    EXPECT_FALSE(choice.wants_trial(now + rest - 1s));
    now += rest;
  }
}

TEST(CarrierChoice, APeerThatCarriesNothingOverTlsIsServedOverUdp) {
  for (const Fault refusal : {Fault::kUdpBlocked, Fault::kProtocolVersion}) {
    CarrierChoice choice(Fallback::kTls);
    ASSERT_TRUE(choice.on_ended(Time(1h), Fault::kUdpBlocked, 4_Mbit));
    EXPECT_FALSE(choice.on_ended(Time(1h), Fault::kPeerLost, Rate())) << "that is another matter";
    EXPECT_TRUE(choice.on_ended(Time(1h), refusal, Rate()));
    EXPECT_EQ(choice.delivery(), Delivery::kDatagram);
    EXPECT_FALSE(choice.wants_trial(Time(1h) + 1min));
    EXPECT_FALSE(choice.on_ended(Time(1h) + 1min, Fault::kUdpBlocked, Rate())) << "nothing else is left";
  }
}

}  // namespace
}  // namespace tideway::session
