// SPDX-License-Identifier: Apache-2.0
#include "flow/loss_detector.h"

#include <gtest/gtest.h>

#include <vector>

namespace tideway::flow::loss_detector_test {
namespace {

using namespace std::chrono_literals;
const Time kStart = Time{} + 1s;
constexpr uint64_t kFirst = 1000;
constexpr Duration kRtt = 80ms;
constexpr Duration kWindow = kRtt / LossDetector::kWindowStart;  // 10 ms

struct LossDetectorTest : testing::Test {
  SentPackets sent{kFirst};
  LossDetector detector{kFirst};
  RttEstimator rtt{kRtt};

  LossDetectorTest() { rtt.on_sample(kStart, kRtt, 0ms); }
  void send(Time now, uint64_t packets = 1) {
    for (; packets > 0; --packets) {
      ASSERT_TRUE(sent.reserve(1));
      BurstRecord burst;
      burst.sent_at = now;
      burst.first_packet = sent.next_number();
      sent.begin_burst(burst);
      sent.add({.length = 1408, .kind = PacketKind::kData});
    }
  }
  void ack(uint64_t number) {
    sent.on_acked(number);
    detector.on_acked(number);
  }
  std::vector<uint64_t> lost(Time now) {
    std::vector<uint64_t> numbers;
    while (const auto number = detector.next_lost(now, sent, rtt)) {
      sent.on_lost(*number);
      numbers.push_back(*number);
    }
    return numbers;
  }
};

using Numbers = std::vector<uint64_t>;

TEST_F(LossDetectorTest, NothingIsLostThatWasNotOvertaken) {
  send(kStart, 200);
  EXPECT_TRUE(lost(kStart + 1h).empty()) << "the probe timeout's business";
  EXPECT_EQ(detector.next_deadline(), kNever);
  ack(kFirst);
  EXPECT_TRUE(lost(kStart + 2h).empty());
  EXPECT_EQ(detector.next_deadline(), kNever);
}

TEST_F(LossDetectorTest, APacketIsLostOnceItIsOlderThanARoundTripAndTheWindow) {
  for (int ms = 0; ms < 200; ++ms) send(kStart + ms * 1ms);
  ack(kFirst + 100);
  ack(kFirst + 2);
  EXPECT_TRUE(lost(kStart + kRtt + kWindow - 1ns).empty());
  EXPECT_EQ(detector.next_deadline(), kStart + kRtt + kWindow);
  EXPECT_EQ(lost(detector.next_deadline()), (Numbers{kFirst}));
  EXPECT_EQ(detector.next_deadline(), kStart + 1ms + kRtt + kWindow);
  EXPECT_EQ(lost(kStart + 5ms + kRtt + kWindow), (Numbers{kFirst + 1, kFirst + 3, kFirst + 4, kFirst + 5}));
  const Numbers rest = lost(kStart + 1h);
  EXPECT_EQ(rest.size(), 94U) << "each once, and none behind the acked one";
  EXPECT_EQ(rest.back(), kFirst + 99);
  EXPECT_EQ(detector.next_deadline(), kNever);
}

TEST_F(LossDetectorTest, TheSlowerOfTheNewestAndTheUsualRoundTripCounts) {
  send(kStart, 100);
  rtt.on_sample(kStart, 200ms, 0ms);
  ack(kFirst + 99);
  EXPECT_TRUE(lost(kStart + 200ms + kWindow - 1us).empty());
  EXPECT_EQ(lost(kStart + 200ms + kWindow).size(), 99U);
}

TEST_F(LossDetectorTest, ThreeLaterOnesAreEnoughWhileFewAreInFlight) {
  send(kStart, 10);
  ack(kFirst + 5);
  EXPECT_EQ(lost(kStart + kRtt), (Numbers{kFirst, kFirst + 1, kFirst + 2}));
  ack(kFirst + 6);
  EXPECT_EQ(lost(kStart + kRtt), (Numbers{kFirst + 3}));
}

TEST_F(LossDetectorTest, NoCountDecidesWhileManyAreInFlight) {
  send(kStart, LossDetector::kCountRuleBelow + 1);
  ack(kFirst + 40);
  ASSERT_EQ(sent.packets_in_flight(), LossDetector::kCountRuleBelow);
  EXPECT_TRUE(lost(kStart + kRtt).empty());
}

TEST_F(LossDetectorTest, AfterOneMistakeNoCountDecidesEver) {
  send(kStart, 10);
  ack(kFirst + 5);
  ASSERT_EQ(lost(kStart + kRtt).size(), 3U);
  sent.on_acked(kFirst);
  detector.on_spurious(kStart + kRtt + 1ms, kStart, rtt);
  ack(kFirst + 8);
  EXPECT_TRUE(lost(kStart + kRtt + 1ms).empty());

  ack(kFirst + 9);
  const Time later = kStart + 1h;
  for (int i = 0; i < 100; ++i) lost(later + i * 1h);  // long calm: the window is what it was
  ASSERT_EQ(detector.reorder_window(rtt), kWindow);
  const uint64_t first = sent.next_number();
  send(later + 200h, 10);
  ack(first + 9);
  EXPECT_TRUE(lost(later + 200h + kRtt).empty());
}

TEST_F(LossDetectorTest, TheWindowStartsAtAnEighthOfTheMinimumAndHasAFloor) {
  EXPECT_EQ(detector.reorder_window(rtt), kWindow);
  RttEstimator lan(200us);
  lan.on_sample(kStart, 200us, 0ms);
  EXPECT_EQ(detector.reorder_window(lan), LossDetector::kWindowFloor);
}

TEST_F(LossDetectorTest, AMistakeWidensTheWindowBeyondItsLateness) {
  detector.on_spurious(kStart + kRtt + 40ms, kStart, rtt);
  EXPECT_GE(detector.reorder_window(rtt), 50ms) << "1.25 times 40 ms";
  EXPECT_LE(detector.reorder_window(rtt), 50ms + kWindow);
  const Duration wide = detector.reorder_window(rtt);
  detector.on_spurious(kStart + kRtt + 20ms, kStart, rtt);
  EXPECT_EQ(detector.reorder_window(rtt), wide) << "a smaller mistake does not narrow it";
}

TEST_F(LossDetectorTest, TheWindowIsNeverMoreThanTheSmoothedRoundTrip) {
  detector.on_spurious(kStart + 10s, kStart, rtt);
  EXPECT_EQ(detector.reorder_window(rtt), kRtt);
}

TEST_F(LossDetectorTest, APathThatCalmsDownHalvesTheExcess) {
  detector.on_spurious(kStart + kRtt + 40ms, kStart, rtt);
  const Duration excess = detector.reorder_window(rtt) - kWindow;
  Time now = kStart + kRtt + 40ms;
  send(now, 100);
  ack(kFirst + 50);
  lost(now + 15 * kRtt);
  EXPECT_EQ(detector.reorder_window(rtt), kWindow + excess);
  lost(now + 16 * kRtt + 1ms);
  EXPECT_LE(detector.reorder_window(rtt), kWindow + excess / 2 + 1ns);
  EXPECT_GE(detector.reorder_window(rtt), kWindow + excess / 2 - 1ns);
  for (int i = 1; i < 60; ++i) lost(now + 17 * i * kRtt);
  EXPECT_LE(detector.reorder_window(rtt), kWindow + 1us) << "and comes back to its start";
}

}  // namespace
}  // namespace tideway::flow::loss_detector_test
