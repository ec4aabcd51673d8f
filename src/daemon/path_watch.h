// SPDX-License-Identifier: Apache-2.0
//
// What the paths of all sessions are like, for the metrics and for who asks. Round trips come and go with their flows, so they are gathered: one of
// each open flow with every look, at most once a second.
// Thread: control.
#pragma once
#include "daemon/metrics_text.h"
#include "session/gateway.h"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tideway::daemon {

struct PeerPaths {
  bool is_up = false, is_fallback = false;
  uint64_t mtu = 0;  // of the flow with the smallest packets; 0: none is open
  Duration rtt{};    // of the flow with the shortest; zero: none is open
  std::optional<crypto::UnixTime> certificate_ends;
};
// Peers by the site in their certificate, and those configured.
std::map<std::string, PeerPaths> paths_by_site(session::Gateway& gateway, const std::vector<session::PeerConfig>& configured);

class PathWatch {
 public:
  static constexpr Duration kLookEvery = std::chrono::seconds(1);
  static constexpr std::array kRttBounds{0.0001, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0};  // seconds: within a room to around the world

  void look(Time now, session::Gateway& gateway);
  // A configured peer that has no session is down.
  void add_to(MetricsText& out, session::Gateway& gateway, const std::vector<session::PeerConfig>& configured) const;

  void take_rtt(Duration rtt);
  const Histogram& rtts() const { return rtts_; }

 private:
  Histogram rtts_{std::vector<uint64_t>(kRttBounds.size()), 0, 0};
  Time looked_at_{};
};

}  // namespace tideway::daemon
