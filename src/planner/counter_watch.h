// SPDX-License-Identifier: Apache-2.0
//
// Sees a training burst in the counters of an interface that its packets pass: in bins of 1 to 10 ms, what the interface
// counted less what we sent ourselves. Over 5 % of the link for one bin is a begin, under it for two bins, and 8 ms at least, an end.
//
// What we hand to the kernel is counted by the interface a moment later, so a bin may hold more of ours than it shows. The
// difference is owed by the next one; if it were forgotten, each gate that opens would look like a burst. What is owed for long
// never comes: it was headers that the interface does not count.
//
// What arrives is counted by the interface first, and by us once a worker has taken it: a bin later, or several of a port whose bins
// are as short as a worker's turn. So what is more than ours counts as others' only once it has stayed that for kReceivedLate. Some of even
// that may be ours while bulk arrives: as much is forgiven as comes in kForgiven at the rate of our bulk, and when that begins up to kOwedMax of
// the link's. A burst beside it is seen later by what it takes to bring as much: of half the link after a bin or two, of a tenth beside nine after 10 ms.
// Thread: beacon. Pure.
#pragma once
#include <tideway/time.h>
#include <tideway/units.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tideway::planner {

class CounterWatch {
 public:
  // The shorter, the less of bulk a burst meets; but what is taken for one shall be more than a few packets of whoever, and asking costs.
  static constexpr Duration kBin = std::chrono::milliseconds(10);       // the longest, and of counters that others may lock
  static constexpr Duration kKernelBin = std::chrono::milliseconds(2);  // that the kernel adds up, in microseconds
  static constexpr Duration kPortBin = std::chrono::milliseconds(1);    // of a port that is asked without the kernel
  static constexpr Bytes kBusyBytes = 16_KiB;
  static Duration bin_of(Rate capacity, Duration least) { return std::clamp<Duration>((capacity * kBusyShare).time_for(kBusyBytes), least, kBin); }
  static constexpr Duration kQuietLeast = std::chrono::milliseconds(8);
  static constexpr double kBusyShare = 0.05;                            // of the link
  static constexpr Duration kOwedMax = std::chrono::milliseconds(2);    // of the link's rate: what waits in the kernel,
  static constexpr Bytes kOwedBytes = Bytes(128 << 10);                 // or a burst of ours, where that is more
  static constexpr double kOwedKept = 0.5;                              // from bin to bin
  static constexpr Duration kReceivedLate = std::chrono::milliseconds(4);
  static constexpr Duration kForgiven = std::chrono::milliseconds(1);   // of the rate at which bulk arrives as before;
  static constexpr Duration kForgivenOfLongBins = std::chrono::milliseconds(2);  // two of them do not tell how late a worker is
  static constexpr double kForgivenKept = 0.9;                          // of what is more than that, from millisecond to millisecond

  // `bin`: in which it is asked.
  explicit CounterWatch(Rate capacity, Duration bin = kBin) : capacity_(capacity), quiet_(std::max(2 * bin, kQuietLeast)) {}

  // Sums since some start: of the interfaces, and of what we sent and received through them.
  struct Sample {
    Time at;
    uint64_t sent = 0, received = 0, own_sent = 0, own_received = 0;
  };
  enum class Edge : uint8_t { kNone, kBegin, kEnd };
  // Once per bin. A late one covers more time and is judged by it.
  Edge on_sample(const Sample& sample);

  Time edge_at() const { return edge_at_; }       // of the last edge: when the bin with it began
  // What was not ours, since the start: of each bin the busier direction.
  Bytes carried() const { return Bytes(static_cast<uint64_t>(carried_)); }
  bool is_busy() const { return is_busy_; }

 private:
  struct Direction {
    uint64_t counted = 0, own = 0;
    double owed = 0;
    double surplus(uint64_t counted_now, uint64_t own_now);  // that this bin adds: counted less ours
    double others(double surplus, double owed_max);
  };
  double not_ahead(Time at, double surplus, uint64_t own, double ahead_max);

  const Rate capacity_;
  const Duration quiet_;
  Direction sent_, received_;
  struct Arrived { Time at; double surplus; uint64_t own; };
  std::vector<Arrived> arrived_;  // sums at the ends of the last bins, as far back as twice kReceivedLate and one bin
  double lasting_ = 0;            // the least surplus of kReceivedLate, and one bin
  double forgiven_ = 0;           // of what it may grow by, what is taken for ours
  double allowed_ = 0;            // what was forgiven when bulk began
  Time judged_at_{};
  Time last_at_ = Time::min(), quiet_since_ = Time::min(), edge_at_{};
  double carried_ = 0;
  bool is_busy_ = false;
};

}  // namespace tideway::planner
