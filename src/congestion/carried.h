// SPDX-License-Identifier: Apache-2.0
//
// For packets that a stream carries (docs/protocol.md, section 10.1): TCP below them finds the rate, resends, and says by taking no more
// when to wait, so this says neither. What holds a flow back is the stream, its credit, and the operator's ceiling.
// Thread: net worker. Pure.
#pragma once
#include <tideway/congestion_controller.h>

namespace tideway::congestion {

class Carried final : public CongestionController {
 public:
  void on_ack(const AckSample&) override {}
  void on_loss(const LossSample&) override {}
  void on_spurious_loss(Time) override {}
  Bytes window() const override { return Bytes(uint64_t{1} << 40); }
  Rate pacing_rate() const override { return Rate::unlimited(); }
};

}  // namespace tideway::congestion
