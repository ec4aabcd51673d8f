// SPDX-License-Identifier: Apache-2.0
//
// Choices that a seed decides (xoshiro256**, Blackman and Vigna 2018). Never for keys: those come from crypto.
// Pure.
#pragma once
#include <array>
#include <cstdint>

namespace tideway {

class Random {
 public:
  explicit Random(uint64_t seed);
  uint64_t next();
  uint64_t below(uint64_t bound);            // uniform in [0, bound); bound is not 0
  double fraction();                         // uniform in [0, 1)
  bool happens(double probability) { return probability > 0 && fraction() < probability; }

 private:
  std::array<uint64_t, 4> state_;
};

}  // namespace tideway
