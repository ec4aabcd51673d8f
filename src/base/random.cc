// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <tideway/check.h>

#include <bit>

namespace tideway {

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) {  // splitmix64, as the authors advise for seeding
    seed += 0x9E3779B97F4A7C15;
    uint64_t mixed = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB;
    word = mixed ^ mixed >> 31;
  }
}

uint64_t Random::next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Random::below(uint64_t bound) {
  TIDEWAY_CHECK(bound != 0);
  // The remainder of 2^64 / bound biases by less than bound / 2^64, nothing for choices in a simulation.
  return next() % bound;
}

double Random::fraction() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

}  // namespace tideway
