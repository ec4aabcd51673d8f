// SPDX-License-Identifier: Apache-2.0
#include "session/telemetry_board.h"

namespace tideway::session {

using packet_io::TelemetryRow;
using packet_io::TelemetryTable;

namespace {

TelemetryRow row_of(const engine::FlowBoard& flow) {
  return {{"open", flow.is_open.get()},
          {"packets_sent", flow.packets_sent.get()},
          {"packets_lost", flow.packets_lost.get()},
          {"bytes_sent", flow.bytes_sent.get()},
          {"bytes_received", flow.bytes_received.get()},
          {"bytes_per_second", flow.rate_bytes_per_second.get()},
          {"rtt_ns", flow.rtt_ns.get()},
          {"path_mtu", flow.path_mtu.get()}};
}

}  // namespace

void TelemetryBoard::tell(Time now, std::span<const std::unique_ptr<Session>> sessions, const engine::Engine& engine) {
  told_at_ = now;
  TelemetryTable session_rows, flow_rows;
  for (const auto& session : sessions) {
    if (!session->is_up()) continue;
    const std::string peer = session->peer_name();
    session_rows.push_back({{"peer", peer}, {"lanes", uint64_t{session->lanes().size()}}, {"flows", uint64_t{session->flows()}},
                            {"transfers", uint64_t{session->transfers()}}});
    for (const engine::LaneHandle handle : session->lanes()) {
      const auto lane = engine.lane_board(handle);
      if (lane == nullptr) continue;
      for (size_t i = 0; i < lane->flows.size(); ++i) {
        TelemetryRow row = row_of(lane->flows[i]);
        row.insert(row.begin(), {{"peer", peer}, {"net_worker", uint64_t{engine::net_worker_of(handle)}}, {"lane", uint64_t{handle.value()}}, {"flow", uint64_t{i}}});
        flow_rows.push_back(std::move(row));
      }
    }
  }
  const std::scoped_lock lock(guard_);
  sessions_ = std::move(session_rows);
  flows_ = std::move(flow_rows);
}

std::vector<packet_io::TelemetryCommand> TelemetryBoard::commands() {
  const auto self = shared_from_this();
  return {{"/tideway/sessions", "Peers with a session, what each has. Parameters: a row", [self] { return self->read(self->sessions_); }},
          {"/tideway/flows", "Flows of all sessions. Parameters: a row", [self] { return self->read(self->flows_); }}};
}

TelemetryTable TelemetryBoard::read(const TelemetryTable& table) {
  const std::scoped_lock lock(guard_);
  return table;
}

}  // namespace tideway::session
