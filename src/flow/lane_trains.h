// SPDX-License-Identifier: Apache-2.0
//
// The packet trains of a lane's flows (train_meter.h); a session's lanes know nothing of each other's. They leave one after the other:
// two that leave together are mixed at the bottleneck, and each then tells half of the path. And what one of them told is told to the
// others, which may have been received in too few turns to say anything themselves.
// Thread: net worker. Pure.
#pragma once
#include <tideway/ids.h>
#include <tideway/time.h>
#include <tideway/units.h>

#include <array>
#include <cstdint>

namespace tideway::flow {

class LaneTrains {
 public:
  // Taking turns: who begins has the lane for itself for so long at most, or until it is done.
  bool is_free(Time now, FlowId flow) const { return now >= until_ || flow == leaving_; }
  Time free_at(FlowId flow) const { return flow == leaving_ ? Time::min() : until_; }
  void begin(Time now, FlowId flow, Duration most) {
    if (now < until_) return;
    leaving_ = flow;
    until_ = now + most;
  }
  void end(FlowId flow) {
    if (flow == leaving_) until_ = Time::min();
  }

  // What was told, each rate once to each flow.
  uint64_t told() const { return told_; }
  void tell(Rate rate) { rates_[told_++ % rates_.size()] = rate; }
  Rate next(uint64_t& heard) const {
    if (told_ - heard > rates_.size()) heard = told_ - rates_.size();
    return heard == told_ ? Rate() : rates_[heard++ % rates_.size()];
  }

 private:
  FlowId leaving_;
  Time until_ = Time::min();
  std::array<Rate, 8> rates_{};
  uint64_t told_ = 0;
};

}  // namespace tideway::flow
