// SPDX-License-Identifier: Apache-2.0
//
// What a bad link does to frames besides being slow: losses in bursts, delay that wanders, dead minutes, flipped
// bits. Each process decides by itself from the seeded Random it is handed.
// Thread: the link's. Pure.
#pragma once
#include "base/random.h"
#include <tideway/time.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace tideway::wan {

// From `from` after a link's start, for `length`, and again each `every` (zero: only once).
struct Windows {
  Duration from = {}, length = {}, every = {};
  // Whether one is open `age` after the link's start.
  bool covers(Duration age) const;
  bool operator==(const Windows&) const = default;
};

// A share of the frames takes up to `extra_max` longer than the others, so that later ones overtake it.
struct Reorder {
  double share = 0;
  Duration extra_max = {};
};

struct Impairments {
  double loss = 0;        // share of all frames, 0 to 1
  double loss_burst = 1;  // mean length of a run of losses, at least 1; 1: every frame by itself
  double duplicate = 0;   // share delivered twice
  double corrupt = 0;     // share delivered with flipped bits
  Reorder reorder = {};
  Duration jitter = {};      // delay wanders between nothing and this
  Windows blackout = {};     // the link is dead in them
};

// Loses a given share of frames, in runs of a given mean length (Gilbert 1960: a good state that loses nothing and a
// bad one that loses all). At length 1 the losses are independent.
class LossProcess {
 public:
  LossProcess(double share, double burst);
  bool next_is_lost(Random& random);

 private:
  double share_, to_bad_ = 0, to_good_ = 1;
  bool is_bursty_;
  bool is_bad_ = false;
};

// A delay that wanders between zero and `jitter`, as behind a queue that other traffic shares: a new random target every
// four times `jitter`, reached in a straight line. It never falls faster than a quarter of real time, so it keeps
// frames in order; to disturb the order is what Reorder is for.
class JitterProcess {
 public:
  explicit JitterProcess(Duration jitter) : jitter_(jitter) {}
  Duration at(Duration age, Random& random);

 private:
  static constexpr int kPeriods = 4;  // period over jitter; see above
  Duration jitter_;
  Duration period_start_{}, from_{}, to_{};
  bool has_target_ = false;
};

// Flips one to four bits at places that `choice` decides. An empty span is left alone.
void flip_bits(std::span<std::byte> bytes, uint64_t choice);

// Sets the ECN field of an Ethernet frame's IP header to "congestion experienced" and repairs the IPv4 checksum. False:
// not IPv4 or IPv6, or its sender did not say that it understands ECN; the frame is untouched.
bool mark_congestion(std::span<std::byte> frame);

}  // namespace tideway::wan
