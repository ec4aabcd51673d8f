// SPDX-License-Identifier: Apache-2.0
#include "gate/remembered_rate.h"

#include <algorithm>

namespace tideway::gate {

void RememberedRate::on_delivered(Time now, Rate rate, Duration rtt, Duration over) {
  if (rate == Rate()) return;
  const bool is_first = rate_ == Rate() || now - measured_at_ > kValid;
  const Duration window = kRoundTrips * std::max(rtt, Duration(1));
  const double weight = static_cast<double>(std::clamp(over, Duration::zero(), window).count()) / static_cast<double>(window.count());
  const double old = static_cast<double>(rate_.bytes_per_second()), sample = static_cast<double>(rate.bytes_per_second());
  rate_ = is_first ? rate : Rate::bytes_per_second(static_cast<uint64_t>(old + (sample - old) * weight));
  measured_at_ = now;
}

bool RememberedRate::is_stale(Time now, Duration period) const {
  return rate_ != Rate() && now - measured_at_ > std::max(kValid, kValidPeriods * period);
}

}  // namespace tideway::gate
