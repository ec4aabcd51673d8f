// SPDX-License-Identifier: Apache-2.0
//
// The synthetic trainer's settings and what one of its iterations came to.
// Thread: main.
#pragma once
#include <tideway/packet_io.h>
#include <tideway/units.h>

#include <string>
#include <vector>

namespace tideway::trainer {

enum class Announce : uint8_t { kNone, kApi, kBoard, kBeacon };

struct Settings {
  Endpoint peer;
  size_t iterations = 100, warmup = 5;
  size_t fan_in = 1, flows = 4;      // hosts, and the flows of each
  Duration compute = std::chrono::milliseconds(600);
  Bytes burst = Bytes(40'000'000);   // of all hosts together
  Rate pace = Rate::unlimited();     // of all flows of a host together, by TCP's own pacing
  double jitter = 0;                 // sigma of the compute time, of compute and burst together
  size_t step_at = 0;                // from this iteration on the compute time is `step` longer; 0: never
  double step = 0;
  std::string congestion = "cubic";
  uint64_t seed = 1;
  std::string csv, json;             // empty: none
  Announce announce = Announce::kNone;
  std::string training = "llm7", api, board, beacon, key_file;
  double announce_loss = 0;          // share of words that are not said
};

struct Iteration {
  Time start, burst_start, end;
  Duration drawn{};                  // how long to compute, with its jitter
  Duration compute{};                // as slept; what the timer was late is in it
};

}  // namespace tideway::trainer
