// SPDX-License-Identifier: Apache-2.0
#include "planner/counter_watch.h"

#include <gtest/gtest.h>

namespace tideway::planner {
namespace {

using std::chrono::milliseconds;
using Edge = CounterWatch::Edge;

constexpr uint64_t kBinBytes = 1'250'000;  // of 1 Gbit/s in 10 ms

// An interface whose bins are given in shares of the link: others' and ours.
class Interface {
 public:
  CounterWatch watch{1_Gbit};
  CounterWatch::Sample sample{Time(std::chrono::seconds(9)), 0, 0, 0, 0};

  Interface() { watch.on_sample(sample); }
  Edge bin(double others, double ours = 0, double ours_counted_later = 0) {
    sample.at += CounterWatch::kBin;
    sample.own_sent += bytes(ours);
    sample.sent += bytes(others + ours - ours_counted_later) + waiting_;
    waiting_ = bytes(ours_counted_later);
    return watch.on_sample(sample);
  }

 private:
  static uint64_t bytes(double share) { return static_cast<uint64_t>(share * static_cast<double>(kBinBytes)); }
  uint64_t waiting_ = 0;
};

TEST(CounterWatch, ABurstBeginsInItsFirstBinAndEndsAfterTwentyQuietMilliseconds) {
  Interface eth;
  EXPECT_EQ(eth.bin(0.04), Edge::kNone);
  const Time begin = eth.sample.at;
  EXPECT_EQ(eth.bin(0.06), Edge::kBegin);
  EXPECT_EQ(eth.watch.edge_at(), begin);
  const Bytes before = eth.watch.carried();
  EXPECT_EQ(eth.bin(0.9), Edge::kNone);
  EXPECT_NEAR(static_cast<double>((eth.watch.carried() - before).count()), 0.9 * static_cast<double>(kBinBytes), 2);
  EXPECT_EQ(eth.bin(0.01), Edge::kNone);
  EXPECT_EQ(eth.bin(0.9), Edge::kNone);  // a pause of one bin is none
  const Time end = eth.sample.at;
  EXPECT_EQ(eth.bin(0), Edge::kNone);
  EXPECT_EQ(eth.bin(0), Edge::kEnd);
  EXPECT_EQ(eth.watch.edge_at(), end);
}

// A packet of anybody was 5 % of what a slow link carries in a millisecond.
TEST(CounterWatch, TheCountersOfASlowLinkAreAskedLessOften) {
  const auto least = {CounterWatch::kPortBin, CounterWatch::kKernelBin};
  for (const Duration bin : least) {
    EXPECT_EQ(CounterWatch::bin_of(100_Mbit, bin), CounterWatch::kBin);
    EXPECT_EQ(CounterWatch::bin_of(10_Gbit, bin), bin);
    EXPECT_NEAR(static_cast<double>(CounterWatch::bin_of(1_Gbit, bin).count()), 2.62e6, 1e4);
  }
}

TEST(CounterWatch, ShortBinsShowABurstSoonerAndItsEnd) {
  constexpr Duration kShort = CounterWatch::kKernelBin;
  CounterWatch watch(10_Gbit, kShort);
  CounterWatch::Sample sample{Time(milliseconds(10)), 0, 0, 0, 0};
  watch.on_sample(sample);
  const auto bin = [&](double others, double ours) {
    sample.at += kShort;
    sample.own_sent += (10_Gbit * ours).over(kShort).count();
    sample.sent += (10_Gbit * (others + ours)).over(kShort).count();
    return watch.on_sample(sample);
  };
  for (int i = 0; i < 100; ++i) ASSERT_EQ(bin(0, 0.95), Edge::kNone) << i;
  EXPECT_EQ(bin(0.1, 0.9), Edge::kBegin);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(bin(0.9, 0), Edge::kNone) << i;
  const Time end = sample.at;
  for (int i = 1; i < CounterWatch::kQuietLeast / kShort; ++i) ASSERT_EQ(bin(0, 0), Edge::kNone) << i;
  EXPECT_EQ(bin(0, 0), Edge::kEnd);
  EXPECT_EQ(watch.edge_at(), end);
}

TEST(CounterWatch, OurOwnBytesAreNoBurst) {
  Interface eth;
  for (int i = 0; i < 100; ++i) ASSERT_EQ(eth.bin(0, 0.95), Edge::kNone) << i;
  EXPECT_EQ(eth.bin(0.1, 0.5), Edge::kBegin);
}

// A gate that opened handed packets to the kernel at the end of a bin; they were counted in the next one and taken for a burst.
TEST(CounterWatch, WhatTheInterfaceCountsLateIsStillOurs) {
  Interface eth;
  EXPECT_EQ(eth.bin(0, 0.5, 0.1), Edge::kNone);
  EXPECT_EQ(eth.bin(0, 0), Edge::kNone);
  EXPECT_EQ(eth.watch.carried(), Bytes());
}

// Headers that we count and the interface does not, since the kernel adds them once for many packets.
TEST(CounterWatch, WhatIsNeverCountedHidesNoBurst) {
  Interface eth;
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(eth.bin(0, 0.5), Edge::kNone);
    eth.sample.own_sent += kBinBytes / 33;
  }
  EXPECT_EQ(eth.bin(0.15), Edge::kBegin);
}

// The interface counts what arrives before we have taken it.
TEST(CounterWatch, WhatWeTakeLateIsStillOurs) {
  CounterWatch watch(1_Gbit);
  CounterWatch::Sample sample{Time(milliseconds(10)), 0, 0, 0, 0};
  watch.on_sample(sample);
  for (int i = 0; i < 20; ++i) {
    sample.at += CounterWatch::kBin;
    sample.own_received = sample.received;
    sample.received += i % 2 == 0 ? kBinBytes : 0;
    ASSERT_EQ(watch.on_sample(sample), Edge::kNone) << i;
  }
}

// Of a port that counts a packet when it comes and is asked each millisecond, while a busy worker takes what came when it gets to it:
// our own bulk used to look like bursts.
TEST(CounterWatch, APortThatIsAskedOftenMayBeAheadOfItsWorker) {
  CounterWatch watch(10_Gbit);
  constexpr uint64_t kMillisecond = 1'250'000;
  CounterWatch::Sample sample{Time(milliseconds(10)), 0, 0, 0, 0};
  watch.on_sample(sample);
  for (int i = 0; i < 200; ++i) {
    sample.at += CounterWatch::kPortBin;
    if (i % 3 == 0) sample.own_received = sample.received;
    sample.received += i % 50 < 30 ? kMillisecond : 0;
    ASSERT_EQ(watch.on_sample(sample), Edge::kNone) << i;
  }
  int bins = 0;
  for (Edge edge = Edge::kNone; edge != Edge::kBegin && bins < 20; ++bins) {
    sample.at += CounterWatch::kPortBin;
    sample.received += kMillisecond / 4;
    edge = watch.on_sample(sample);
  }
  EXPECT_LE(bins, CounterWatch::kReceivedLate / CounterWatch::kPortBin + 3);  // the worker may have owed as much
}

// A port at which bulk of ours arrives, in shares of the link, and whose worker takes what came until a millisecond before the end of some bins.
class BusyPort {
 public:
  explicit BusyPort(Duration bin) : bin_(bin) { watch_.on_sample(sample_); }
  Edge bin(double others, double ours, bool is_taken = true) {
    sample_.at += bin_;
    sample_.received += bytes(others) + bytes(ours);
    came_ += bytes(ours);
    if (is_taken) sample_.own_received = came_ - (10_Gbit * ours).over(milliseconds(1)).count();  // the rest is still on its way
    return watch_.on_sample(sample_);
  }
  // After bulk has arrived for a while: in how many bins a burst is seen.
  int bins_until_seen(double others, double ours) {
    for (int i = 0; i < 300; ++i)
      if (bin(0, ours) != Edge::kNone) return -1;
    for (int bins = 1; bins < 100; ++bins)
      if (bin(others, ours) == Edge::kBegin) return bins;
    return 100;
  }

 private:
  uint64_t bytes(double share) const { return (10_Gbit * share).over(bin_).count(); }
  Duration bin_;
  CounterWatch watch_{10_Gbit};
  CounterWatch::Sample sample_{Time(std::chrono::seconds(9)), 0, 0, 0, 0};
  uint64_t came_ = 0;
};

// A twenty-fifth of our own rate used to be taken off every burst, and all of the smaller ones.
TEST(CounterWatch, ABurstBesideArrivingBulkIsSeen) {
  const auto later = [](Duration bin, double others, double ours) {
    const int alone = BusyPort(bin).bins_until_seen(others, 0), beside = BusyPort(bin).bins_until_seen(others, ours);
    EXPECT_GT(alone, 0);
    EXPECT_GT(beside, 0) << "bulk was taken for a burst";
    return beside - alone;
  };
  constexpr Duration kShort = CounterWatch::kPortBin, kLong = CounterWatch::kBin;
  EXPECT_LE(later(kShort, 0.5, 0.5), 2);
  EXPECT_LE(later(kShort, 0.4, 0.6), 2);
  EXPECT_LE(later(kShort, 0.2, 0.8), 5);
  EXPECT_LE(later(kShort, 0.1, 0.5), 6);
  EXPECT_LE(later(kShort, 0.1, 0.9), 10);
  EXPECT_LE(later(kShort, 0.08, 0.9), 12);
  EXPECT_LE(later(kLong, 0.5, 0.5), 0);
  EXPECT_LE(later(kLong, 0.2, 0.8), 1);
  EXPECT_LE(later(kLong, 0.1, 0.5), 1);
  EXPECT_LE(later(kLong, 0.1, 0.9), 2);
}

TEST(CounterWatch, BulkOfABusyWorkerIsNoBurst) {
  for (const double ours : {0.1, 0.5, 0.95}) {
    BusyPort port(CounterWatch::kPortBin);
    for (int i = 0, turn = 0; i < 2000; ++i) {
      const bool is_taken = i >= turn;
      if (is_taken) turn = i + 1 + i * 7 % 4;  // one to four bins
      ASSERT_EQ(port.bin(0, i % 500 < 400 ? ours : 0, is_taken), Edge::kNone) << ours << " of the link, bin " << i;
    }
  }
}

// For longer than kReceivedLate; while it takes nothing it is not known whose that is.
TEST(CounterWatch, AWorkerThatStandsStillForSomeMillisecondsIsNoBurst) {
  BusyPort port(CounterWatch::kPortBin);
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(port.bin(0, 0.9, i % 100 < 93), Edge::kNone) << i;
}

TEST(CounterWatch, AnInterfaceThatWasMadeAnewShowsNothing) {
  Interface eth;
  eth.bin(0, 0.5);
  eth.sample.sent = 0;
  eth.sample.at += CounterWatch::kBin;
  EXPECT_EQ(eth.watch.on_sample(eth.sample), Edge::kNone);
}

TEST(CounterWatch, ALateBinIsJudgedByTheTimeThatItCovers) {
  Interface eth;
  eth.sample.at += 9 * CounterWatch::kBin;
  EXPECT_EQ(eth.bin(0.4), Edge::kNone);  // 4 % of a bin ten times as long
}

TEST(CounterWatch, ReceivingCountsAsSendingDoes) {
  CounterWatch watch(1_Gbit);
  CounterWatch::Sample sample{Time(milliseconds(10)), 5, 5, 5, 5};
  watch.on_sample(sample);
  sample.at += CounterWatch::kBin;
  sample.received += kBinBytes / 2;
  EXPECT_EQ(watch.on_sample(sample), Edge::kNone);
  sample.at += CounterWatch::kBin;
  EXPECT_EQ(watch.on_sample(sample), Edge::kBegin);  // a bin later
}

}  // namespace
}  // namespace tideway::planner
