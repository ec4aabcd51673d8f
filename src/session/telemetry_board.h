// SPDX-License-Identifier: Apache-2.0
//
// The sessions of a gateway and their flows, as tables for whoever asks the packet backend's tools. The control thread
// writes them now and then; a thread of the backend reads them when it is asked.
// Thread: tell() control; the rest any.
#pragma once
#include "packet_io/telemetry.h"
#include "session/session.h"

#include <memory>
#include <mutex>
#include <span>

namespace tideway::session {

inline constexpr Duration kTelemetryPeriod = std::chrono::seconds(1);

class TelemetryBoard : public std::enable_shared_from_this<TelemetryBoard> {
 public:
  void tell(Time now, std::span<const std::unique_ptr<Session>> sessions, const engine::Engine& engine);
  Time next_telling() const { return told_at_ + kTelemetryPeriod; }

  // "/tideway/sessions" and "/tideway/flows"; they keep the board alive.
  std::vector<packet_io::TelemetryCommand> commands();

 private:
  packet_io::TelemetryTable read(const packet_io::TelemetryTable& table);

  Time told_at_{};
  std::mutex guard_;
  packet_io::TelemetryTable sessions_, flows_;
};

}  // namespace tideway::session
