// SPDX-License-Identifier: Apache-2.0
#include "flow/probe_timeout.h"

#include "flow/ack_schedule.h"

#include <algorithm>

namespace tideway::flow {

Duration ProbeTimeout::period(const RttEstimator& rtt) {
  return rtt.smoothed() + std::max(4 * rtt.variance(), kVarianceMin) + AckSchedule::delay_max(rtt.smoothed());
}

Time ProbeTimeout::deadline(const RttEstimator& rtt) const {
  const Duration once = period(rtt);
  Duration wait = once * std::min(1 << std::min(count_, 8U), kBackoffMax);
  if (is_resting()) wait = std::min(wait, longest(rtt));
  return from_ + wait;
}

}  // namespace tideway::flow
