// SPDX-License-Identifier: Apache-2.0
//
// What the paths of all sessions are like, for the metrics. Round trips come and go with their flows, so they are gathered: one of
// each open flow with every look, at most once a second.
// Thread: control.
#pragma once
#include "daemon/metrics_text.h"
#include "session/gateway.h"

#include <array>
#include <map>
#include <string>
#include <vector>

namespace tideway::daemon {

class PathWatch {
 public:
  static constexpr Duration kLookEvery = std::chrono::seconds(1);
  static constexpr std::array kRttBounds{0.0001, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0};  // seconds: within a room to around the world

  void look(Time now, session::Gateway& gateway);
  // Peers by the site in their certificate; a configured one that has no session is down.
  void add_to(MetricsText& out, session::Gateway& gateway, const std::vector<session::PeerConfig>& configured) const;

  void take_rtt(Duration rtt);
  const Histogram& rtts() const { return rtts_; }

 private:
  Histogram rtts_{std::vector<uint64_t>(kRttBounds.size()), 0, 0};
  Time looked_at_{};
};

}  // namespace tideway::daemon
