// SPDX-License-Identifier: Apache-2.0
//
// A training as a shared link sees it: TCP connections that burst together, each paced to its part of the link, and a compute time between the
// last ack of a burst and the next one. A connection's window is cut to 0.7 by a loss and comes back as CUBIC's does (RFC 9438), over some bursts;
// after a pause it begins with a quarter of it, as Linux does. A window below its part of the link leaves gaps and no queue.
#pragma once
#include "base/random.h"
#include "sim/sim_pair.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <vector>

namespace tideway::test {

struct SimTrainingConfig {
  Rate link;
  Duration rtt, queue;           // of the link, without and at most
  Duration burst, compute;       // as long as there is nobody else
  double jitter = 0;             // of the compute time, up to this share more or less
  size_t connections = 4;
};

class SimTraining {
 public:
  static constexpr Bytes kPayload = 1472_B, kCharge = 1538_B;  // of a full packet: of UDP as sim counts it, and of the link

  SimTraining(SimPair& sim, const SimTrainingConfig& config)
      : sim_(sim), config_(config), gap_(config.link.time_for(kCharge) * static_cast<int64_t>(config.connections)), random_(7),
        connections_(config.connections, Connection{.window = kWindows * packets(config.rtt)}) {}

  void begin_at(Duration when) {
    sim_.at(when, [this] { begin(); });
  }
  bool is_bursting() const { return is_bursting_; }
  size_t bursts() const { return bursts_; }
  uint64_t losses() const { return losses_; }

 private:
  struct Connection {
    double window, most = 0, threshold = 1e9;
    uint64_t left = 0, in_flight = 0;
    Time next{}, cut_until{};
    Duration since_cut{};           // of bursts
  };
  struct Coming {
    Time at;
    size_t connection;
    bool is_acked;                  // not lost
    bool operator>(const Coming& other) const { return at > other.at; }
  };
  static constexpr Duration kTurn = std::chrono::microseconds(500);
  static constexpr double kWindows = 4;  // of what a connection needs, at first
  static constexpr double kCut = 0.7, kCubic = 0.4, kIdle = 0.25, kIdleThreshold = 0.75, kWindowLeast = 10;

  double packets(Duration time) const { return static_cast<double>(config_.link.over(time).count() / kCharge.count()) / static_cast<double>(config_.connections); }

  void begin() {
    began_ = sim_.now();
    is_bursting_ = true;
    for (Connection& one : connections_) {
      one.threshold = std::max(one.threshold, one.window * kIdleThreshold);
      one.window = std::max(one.window * kIdle, kWindowLeast);
      one.left = static_cast<uint64_t>(packets(config_.burst));
      one.next = sim_.now();
      unacked_ += one.left;
    }
    turn();
  }

  // As a host does that looks so often.
  void turn() {
    for (; !coming_.empty() && coming_.top().at <= sim_.now(); coming_.pop()) {
      Connection& one = connections_[coming_.top().connection];
      --one.in_flight;
      if (coming_.top().is_acked) on_ack(one);
      else on_loss(one);
    }
    if (unacked_ == 0) return end();
    for (size_t i = 0; i < connections_.size(); ++i) send(i);
    after(kTurn, [this] { turn(); });
  }

  void send(size_t index) {
    Connection& one = connections_[index];
    one.next = std::max(one.next, sim_.now() - kTurn);
    for (; one.left > 0 && static_cast<double>(one.in_flight) < one.window && one.next <= sim_.now(); one.next += gap_) {
      --one.left;
      ++one.in_flight;
      const wan::Fate fate = sim_.meet_other(kPayload);
      if (fate.dropped) coming_.push({sim_.now() + config_.rtt + config_.queue, index, false});
      else coming_.push({fate.deliver_at + config_.rtt / 2, index, true});
    }
  }

  void on_ack(Connection& one) {
    --unacked_;
    if (one.window < one.threshold) one.window += 1;
    else one.window = std::max(one.window, cubic(one));
  }

  void on_loss(Connection& one) {
    ++one.left;
    ++losses_;
    if (sim_.now() < one.cut_until) return;
    one.most = one.window;
    one.window = one.threshold = std::max(one.window * kCut, kWindowLeast);
    one.since_cut = -(sim_.now() - began_);
    one.cut_until = sim_.now() + config_.rtt + config_.queue;
  }

  void end() {
    for (Connection& each : connections_) each.since_cut += sim_.now() - began_;
    ++bursts_;
    is_bursting_ = false;
    const double spread = config_.jitter * (2 * random_.fraction() - 1);
    after(config_.compute + Duration(static_cast<int64_t>(spread * static_cast<double>(config_.compute.count()))), [this] { begin(); });
  }

  double cubic(const Connection& one) const {
    if (one.most == 0) return one.window;
    const double seconds = std::chrono::duration<double>(one.since_cut + (sim_.now() - began_)).count();
    const double x = seconds - std::cbrt(one.most * (1 - kCut) / kCubic);
    return kCubic * x * x * x + one.most;
  }

  void after(Duration wait, std::function<void()> event) { sim_.at(sim_.now() - Time() + wait, std::move(event)); }

  SimPair& sim_;
  const SimTrainingConfig config_;
  const Duration gap_;
  Random random_;
  std::vector<Connection> connections_;
  std::priority_queue<Coming, std::vector<Coming>, std::greater<>> coming_;
  Time began_{};
  uint64_t unacked_ = 0, losses_ = 0;
  bool is_bursting_ = false;
  size_t bursts_ = 0;
};

}  // namespace tideway::test
