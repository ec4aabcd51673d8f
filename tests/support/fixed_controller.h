// SPDX-License-Identifier: Apache-2.0
//
// A congestion controller that never changes its mind, for tests of what is around it. It keeps what it was told.
#pragma once
#include <tideway/congestion_controller.h>

namespace tideway::test {

struct ControllerRecord {
  AckSample last_ack{};
  LossSample last_loss{};
  uint64_t acks = 0, losses = 0, spurious = 0;
  Bytes acked, lost;
};

class FixedController final : public CongestionController {
 public:
  // `record` outlives the controller, or is null.
  FixedController(Bytes window, Rate rate, ControllerRecord* record = nullptr) : window_(window), rate_(rate), record_(record) {}

  void on_ack(const AckSample& sample) override {
    if (record_ == nullptr) return;
    record_->last_ack = sample;
    record_->acked += sample.acked;
    ++record_->acks;
  }
  void on_loss(const LossSample& sample) override {
    if (record_ == nullptr) return;
    record_->last_loss = sample;
    record_->lost += sample.lost;
    ++record_->losses;
  }
  void on_spurious_loss(Time) override {
    if (record_ != nullptr) ++record_->spurious;
  }
  Bytes window() const override { return window_; }
  Rate pacing_rate() const override { return rate_; }

 private:
  Bytes window_;
  Rate rate_;
  ControllerRecord* record_;
};

}  // namespace tideway::test
