// SPDX-License-Identifier: Apache-2.0
#include "session/carrier_choice.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

using namespace std::chrono_literals;

TEST(CarrierChoice, GoesOverTlsWhereUdpIsBlockedAndAsksAgainLessAndLessOften) {
  CarrierChoice choice(Fallback::kTls);
  EXPECT_EQ(choice.delivery(), Delivery::kDatagram);
  EXPECT_EQ(choice.asks_at(), kNever);
  Time now(1h);
  for (const Duration wait : {Duration(5min), Duration(10min), Duration(20min), Duration(40min), Duration(1h), Duration(1h)}) {
    EXPECT_TRUE(choice.on_blocked(now));
    EXPECT_EQ(choice.delivery(), Delivery::kStream);
    EXPECT_EQ(choice.asks_at(), now + wait);
    now = choice.asks_at();
    choice.ask_again();
    EXPECT_EQ(choice.delivery(), Delivery::kDatagram);
    EXPECT_EQ(choice.asks_at(), kNever);
  }
}

TEST(CarrierChoice, HasNowhereToGoWithoutFallbackOrTwice) {
  CarrierChoice off(Fallback::kOff);
  EXPECT_FALSE(off.on_blocked(Time(1s)));
  EXPECT_EQ(off.delivery(), Delivery::kDatagram);
  CarrierChoice tls(Fallback::kTls);
  EXPECT_TRUE(tls.on_blocked(Time(1s)));
  EXPECT_FALSE(tls.on_blocked(Time(2s))) << "TLS is blocked, too";
}

}  // namespace
}  // namespace tideway::session
