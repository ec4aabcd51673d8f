// SPDX-License-Identifier: Apache-2.0
#include "flow/rtt_estimator.h"

#include <algorithm>

namespace tideway::flow {

RttEstimator::RttEstimator(Duration initial) : latest_(initial), smoothed_(initial), variance_(initial / 2) {
  minima_.fill({Time(), initial});
}

void RttEstimator::on_sample(Time now, Duration rtt, Duration ack_delay) {
  rtt = std::max(rtt, Duration(1));
  if (!has_sample_) minima_.fill({now, rtt});
  update_minimum(now, rtt);
  latest_ = std::max(rtt - ack_delay, std::min(rtt, min()));
  if (!has_sample_) {
    has_sample_ = true;
    smoothed_ = latest_;
    variance_ = latest_ / 2;
    return;
  }
  const Duration difference = smoothed_ > latest_ ? smoothed_ - latest_ : latest_ - smoothed_;
  variance_ = (3 * variance_ + difference) / 4;
  smoothed_ = (7 * smoothed_ + latest_) / 8;
}

void RttEstimator::update_minimum(Time now, Duration rtt) {
  const Minimum sample{now, rtt};
  if (rtt <= minima_[0].rtt || now - minima_[2].at > kMinWindow) {
    minima_.fill(sample);
    return;
  }
  if (rtt <= minima_[1].rtt) minima_[1] = minima_[2] = sample;
  else if (rtt <= minima_[2].rtt) minima_[2] = sample;

  const Duration age = now - minima_[0].at;
  if (age > kMinWindow) {  // the next best becomes the best
    minima_ = {minima_[1], minima_[2], sample};
    if (now - minima_[0].at > kMinWindow) minima_ = {minima_[1], minima_[2], sample};
  } else if (minima_[1].at == minima_[0].at && age > kMinWindow / 4) {
    minima_[1] = minima_[2] = sample;  // a quarter passed without a second best: take one from this quarter
  } else if (minima_[2].at == minima_[1].at && age > kMinWindow / 2) {
    minima_[2] = sample;
  }
}

}  // namespace tideway::flow
