// SPDX-License-Identifier: Apache-2.0
#include "job/back_off.h"

#include <algorithm>

namespace tideway::job {

Duration back_off(Reaction reaction, uint32_t attempts, Random& random) {
  const bool is_short = reaction == Reaction::kRetry;
  const Duration first = is_short ? kRetryFirst : kWaitFirst, most = is_short ? kRetryMax : kWaitMax;
  constexpr uint32_t kDoublingsMax = 16;  // far beyond either limit
  const Duration whole = std::min(most, first * (1 << std::min(std::max(attempts, 1U) - 1, kDoublingsMax)));
  const auto quarter = static_cast<uint64_t>(whole.count() / 4);
  return whole - Duration(static_cast<int64_t>(random.below(quarter + 1)));
}

}  // namespace tideway::job
