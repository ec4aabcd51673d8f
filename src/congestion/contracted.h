// SPDX-License-Identifier: Apache-2.0
//
// Holds a rate that the operator has contracted: leased waves, policed VLANs. Paced at that rate from the first packet; a
// queue that stays, loss above 2 % or congestion marks lower it by 15 %, down to a tenth, and it climbs back in steps of
// 2 % of the contract.
// Thread: net worker. Pure.
#pragma once
#include "congestion/controller_config.h"
#include "congestion/loss_rate.h"
#include <tideway/congestion_controller.h>

namespace tideway::congestion {

class Contracted final : public CongestionController {
 public:
  explicit Contracted(const ControllerConfig& config);
  void on_ack(const AckSample& sample) override;
  void on_loss(const LossSample& sample) override;
  void on_spurious_loss(Time now) override;
  Bytes window() const override;
  Rate pacing_rate() const override { return rate_; }

 private:
  void end_round(const AckSample& sample);
  bool is_lossy();
  void back_off(Time now);
  void climb(Time now);

  const ControllerConfig config_;
  const Rate contract_;      // this flow's share
  Rate rate_;
  Rate rate_before_;         // the last back_off, for undo
  Duration rtt_, rtt_min_;
  LossRate loss_;
  double loss_base_ = 0;      // what the path loses at any rate
  double loss_answered_ = 0;  // the rate that the last step down answered
  uint64_t round_ = 0;
  uint32_t rounds_queued_ = 0;
  bool is_marked_ = false;   // congestion experienced in this round
  Time changed_at_{};        // the last step down or up
};

}  // namespace tideway::congestion
