// SPDX-License-Identifier: Apache-2.0
#include "gate/beacon_judge.h"

#include <gtest/gtest.h>

namespace tideway::gate {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kCalendar = seconds(1'700'000'000);

class Judged {
 public:
  BeaconJudge judge{{BeaconKey{}}};
  Time now{seconds(5)};
  Duration calendar = kCalendar;

  void wait(Duration time) {
    now += time;
    calendar += time;
  }
  std::array<std::byte, kBeaconSize> beacon(uint64_t sequence, uint64_t source = 7) const {
    Beacon beacon;
    beacon.source = source;
    beacon.sequence = sequence;
    beacon.sent_ns = static_cast<uint64_t>(calendar.count());
    return write_beacon(beacon, BeaconKey{});
  }
  bool takes(std::span<const std::byte> datagram) { return judge.take(now, calendar, datagram).has_value(); }
};

TEST(BeaconJudge, TakesEachNumberOfASourceOnce) {
  Judged site;
  const auto first = site.beacon(1);
  EXPECT_TRUE(site.takes(first));
  EXPECT_FALSE(site.takes(first));
  EXPECT_TRUE(site.takes(site.beacon(3)));
  EXPECT_TRUE(site.takes(site.beacon(2)));  // overtaken on the way
  EXPECT_FALSE(site.takes(site.beacon(2)));
  EXPECT_TRUE(site.takes(site.beacon(100)));
  EXPECT_FALSE(site.takes(site.beacon(36)));  // behind the window
  EXPECT_TRUE(site.takes(site.beacon(37)));
  EXPECT_TRUE(site.takes(site.beacon(1, 8)));  // another source
  EXPECT_EQ(site.judge.count(BeaconFate::kRepeat), 3u);
  EXPECT_EQ(site.judge.count(BeaconFate::kTaken), 6u);
}

TEST(BeaconJudge, RefusesWhatWasSentMoreThanTwoSecondsFromNow) {
  Judged site;
  const auto early = site.beacon(1);
  site.wait(milliseconds(2001));
  EXPECT_FALSE(site.takes(early));
  site.calendar -= milliseconds(4002);
  EXPECT_FALSE(site.takes(early));
  EXPECT_EQ(site.judge.count(BeaconFate::kTime), 2u);
  site.calendar += milliseconds(1);
  EXPECT_TRUE(site.takes(early));
}

TEST(BeaconJudge, AForgottenSourceLetsNoOldBeaconIn) {
  Judged site;
  const auto old = site.beacon(5);
  EXPECT_TRUE(site.takes(old));
  site.wait(seconds(11));
  EXPECT_TRUE(site.takes(site.beacon(1)));  // the process started anew with the same id
  EXPECT_FALSE(site.takes(old));
}

TEST(BeaconJudge, ManyShortLivedSendersDoNotFillTheTable) {
  Judged site;
  for (uint64_t source = 1; source <= 3 * RepeatFilter::kSourcesMax; ++source) {
    site.wait(milliseconds(1));
    ASSERT_TRUE(site.takes(site.beacon(1, source)));
    ASSERT_LE(site.judge.sources(), RepeatFilter::kSourcesMax);
  }
}

TEST(BeaconJudge, CountsStrangersByReasonAndKeepsNothingOfThem) {
  Judged site;
  EXPECT_FALSE(site.takes(std::vector<std::byte>(10)));
  auto forged = site.beacon(1);
  forged[95] ^= std::byte{1};
  EXPECT_FALSE(site.takes(forged));
  EXPECT_EQ(site.judge.count(BeaconFate::kLength), 1u);
  EXPECT_EQ(site.judge.count(BeaconFate::kTag), 1u);
  EXPECT_EQ(site.judge.sources(), 0u);
}

}  // namespace
}  // namespace tideway::gate
