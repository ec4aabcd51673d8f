// SPDX-License-Identifier: Apache-2.0
#include "session/udp_policing.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

using namespace std::chrono_literals;

using Sending = UdpPolicing::Sending;
using enum UdpPolicing::Work;

// A path, told second by second: packets of 1,000 bytes sent, and of these lost.
struct Case {
  const char* what;
  uint64_t sent, lost;  // per second
  Sending sending;
  int seconds;
  bool is_likely;
};

UdpPolicing watch(const Case& one) {
  UdpPolicing policing;
  for (int look = 0; look <= 4 * one.seconds; ++look) {
    const auto times = static_cast<uint64_t>(look);
    policing.on_traffic(Time(1h) + look * 250ms, {Bytes(times * one.sent * 250), Bytes(), times * one.sent / 4, times * one.lost / 4}, one.sending);
  }
  return policing;
}

TEST(UdpPolicing, IsLikelyAtASmallShareOfWhatThePathCarriedBefore) {
  const Sending fast{100_Mbit}, unknown{};
  const Case cases[] = {
      {"a small rate without loss: a controller has found the limit", 600, 0, fast, 6, true},
      {"a small rate, and most of it lost", 6000, 5500, fast, 6, true},
      {"as long as the window, to the look", 600, 0, fast, 5, true},
      {"not long enough", 600, 0, fast, 4, false},
      {"a tenth of it", 1250, 0, fast, 6, false},
      {"lossy, and as fast as ever", 15'000, 2'400, fast, 6, false},
      {"hardly anything is sent", 36, 18, fast, 6, false},
      {"silent", 0, 0, fast, 6, false},
      {"we allow no more", 600, 0, {100_Mbit, 5_Mbit}, 6, false},
      {"we allow somewhat more", 600, 0, {100_Mbit, 50_Mbit}, 6, true},
      {"the source has no more", 600, 0, {100_Mbit, Rate::unlimited(), kScarce}, 6, false},
      {"nothing is known of the path, and much is lost", 600, 60, unknown, 6, true},
      {"nothing is known of the path, and little is lost", 600, 30, unknown, 6, false},
      {"nothing is known of the path, and much is lost of what only acknowledges", 600, 60, {Rate(), Rate::unlimited(), kScarce}, 6, false},
      {"nothing is known, and it gives way to trainings on a link that is full of their bursts", 600, 300, {Rate(), Rate::unlimited(), UdpPolicing::Work::kPiledUp, UdpPolicing::Path::kShared}, 6, false},
  };
  for (const Case& one : cases) EXPECT_EQ(watch(one).is_likely(), one.is_likely) << one.what;
}

TEST(UdpPolicing, ASourceThatWasSlowWithinTheWindowMayBeWhatItWas) {
  UdpPolicing policing;
  for (int look = 0; look <= 40; ++look) {
    const auto times = static_cast<uint64_t>(look);
    policing.on_traffic(Time(1h) + look * 250ms, {Bytes(times * 150'000), Bytes(), times * 150, 0}, {100_Mbit, Rate::unlimited(), look == 15 ? kScarce : kPiledUp});
    const bool has_filled_the_window_since = look >= 15 + 21;
    EXPECT_EQ(policing.is_likely(), has_filled_the_window_since) << look;
  }
}

TEST(UdpPolicing, ForgetsWhatLiesBeforeItsWindow) {
  UdpPolicing policing;
  Traffic traffic;
  for (int look = 0; look < 80; ++look) {
    const bool is_good = look >= 40;
    traffic.packets_sent += is_good ? 5000 : 150;
    traffic.packets_lost += is_good ? 0 : 50;
    traffic.sent += Bytes(is_good ? 5'000'000 : 150'000);
    policing.on_traffic(Time(1h) + look * 250ms, traffic, {});
    if (look == 39) {
      EXPECT_TRUE(policing.is_likely());
    }
  }
  EXPECT_FALSE(policing.is_likely());
  EXPECT_EQ(policing.rate(), Rate::bytes_per_second(20'000'000));
  EXPECT_EQ(policing.watched(), UdpPolicing::kWindow);
}

TEST(UdpPolicing, RatesAreWhatCrossedEitherWay) {
  UdpPolicing sends, receives;
  for (int look = 0; look < 12; ++look) {
    const auto times = static_cast<uint64_t>(look);
    sends.on_traffic(Time(1h) + look * 250ms, {Bytes(times * 250'000), Bytes(times * 10), times * 250, times * 25}, {});
    receives.on_traffic(Time(1h) + look * 250ms, {Bytes(times * 10), Bytes(times * 500'000), times, 0}, {});
  }
  EXPECT_EQ(sends.rate(), Rate::bytes_per_second(900'000));
  EXPECT_EQ(sends.rate_best(), Rate::bytes_per_second(900'000));
  EXPECT_EQ(receives.rate(), Rate::bytes_per_second(2'000'000));
}

TEST(UdpPolicing, LooksThatComeEarlyDoNothing) {
  UdpPolicing policing;
  policing.on_traffic(Time(1h), {}, {});
  policing.on_traffic(Time(1h) + 1ms, {1_MiB, 1_MiB, 1000, 500}, {});
  EXPECT_EQ(policing.rate(), Rate());
  EXPECT_EQ(policing.next_look(), Time(1h) + 250ms);
}

}  // namespace
}  // namespace tideway::session
