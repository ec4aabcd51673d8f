// SPDX-License-Identifier: Apache-2.0
#include "daemon/path_watch.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

using enum MetricsText::Type;

template <typename Take>
void each_open_flow(session::Gateway& gateway, const session::Session& session, Take take) {
  for (const engine::LaneHandle lane : session.lanes()) {
    const auto board = gateway.engine().lane_board(lane);
    for (size_t i = 0; board != nullptr && i < board->flows.size(); ++i)
      if (board->flows[i].is_open.get() == 1) take(board->flows[i]);
  }
}

}  // namespace

std::map<std::string, PeerPaths> paths_by_site(session::Gateway& gateway, const std::vector<session::PeerConfig>& configured) {
  std::map<std::string, PeerPaths> paths;
  for (const session::PeerConfig& peer : configured) paths[peer.name];
  for (const auto& session : gateway.all_sessions()) {
    const std::string site = session->peer_site();
    if (site.empty() || session->is_over()) continue;
    PeerPaths& path = paths[site];
    path.is_up |= session->is_up();
    path.is_fallback |= session->is_up() && session->delivery() == Delivery::kStream;
    const auto ends = session->channel().peer().not_after;
    path.certificate_ends = std::min(path.certificate_ends.value_or(ends), ends);
    each_open_flow(gateway, *session, [&](const engine::FlowBoard& flow) {
      const uint64_t mtu = flow.path_mtu.get();
      if (mtu > 0) path.mtu = path.mtu == 0 ? mtu : std::min(path.mtu, mtu);
      const Duration rtt = std::chrono::nanoseconds(flow.rtt_ns.get());
      if (rtt > Duration::zero()) path.rtt = path.rtt == Duration::zero() ? rtt : std::min(path.rtt, rtt);
    });
  }
  return paths;
}

void PathWatch::take_rtt(Duration rtt) {
  const double seconds = std::chrono::duration<double>(rtt).count();
  const auto bound = std::ranges::lower_bound(kRttBounds, seconds);
  if (bound != kRttBounds.end()) ++rtts_.counts[static_cast<size_t>(bound - kRttBounds.begin())];
  ++rtts_.all;
  rtts_.sum += seconds;
}

void PathWatch::look(Time now, session::Gateway& gateway) {
  if (looked_at_ != Time{} && now < looked_at_ + kLookEvery) return;
  looked_at_ = now;
  for (const auto& session : gateway.all_sessions())
    each_open_flow(gateway, *session, [&](const engine::FlowBoard& flow) {
      if (flow.rtt_ns.get() > 0) take_rtt(std::chrono::nanoseconds(flow.rtt_ns.get()));
    });
}

void PathWatch::add_to(MetricsText& out, session::Gateway& gateway, const std::vector<session::PeerConfig>& configured) const {
  const auto paths = paths_by_site(gateway, configured);
  out.family("flow_rtt_seconds", kHistogram, "round trips of open flows, one of each per scrape").histogram(kRttBounds, rtts_);
  out.family("peer_up", kGauge, "1 while a session with that peer is up; without a job for ten minutes none is, but with those that a watch or a recurring job sends to");
  for (const auto& [peer, path] : paths) out.value(path.is_up ? 1 : 0, {{"peer", peer}});
  out.family("fallback_active", kGauge, "1 while packets to that peer go over TLS, because UDP is blocked or policed");
  for (const auto& [peer, path] : paths) out.value(path.is_fallback ? 1 : 0, {{"peer", peer}});
  out.family("path_mtu_bytes", kGauge, "UDP payload of the largest packets that the path to a peer takes, of its worst open flow");
  for (const auto& [peer, path] : paths)
    if (path.mtu > 0) out.value(static_cast<double>(path.mtu), {{"peer", peer}});
  const auto seconds = [](crypto::UnixTime time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); };
  out.family("cert_expiry_timestamp_seconds", kGauge, "when a certificate ends: ours, and those of peers with a session").value(seconds(gateway.own_certificate().not_after), {{"peer", "self"}});
  for (const auto& [peer, path] : paths)
    if (path.certificate_ends) out.value(seconds(*path.certificate_ends), {{"peer", peer}});
}

}  // namespace tideway::daemon
