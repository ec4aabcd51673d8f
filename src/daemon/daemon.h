// SPDX-License-Identifier: Apache-2.0
//
// The service: a gateway that listens until it is told to stop. SIGTERM and SIGINT drain: no new session is let in,
// running transfers get kDrainTime, and a second signal ends at once. SIGHUP reads certificates, revocations, allowed
// peers and grants again; when they cannot be used, all of the old ones stay in force.
// Thread: main.
#pragma once
#include "session/gateway.h"

#include <functional>
#include <string>

namespace tideway::daemon {

inline constexpr Duration kDrainTime = std::chrono::seconds(30);

// Reads the configuration again. Errors: config_invalid.
using ReadRules = std::function<Result<session::GatewayRules>()>;

class Daemon {
 public:
  // Errors: those of Gateway::start.
  static Result<std::unique_ptr<Daemon>> start(session::GatewayConfig config, ReadRules read_rules);
  ~Daemon();

  const Endpoint& data_address() const { return gateway_->data_address(); }  // that peers are told
  // Serves until a signal says otherwise. `on_ready` is called once, when peers can connect.
  void run(const std::function<void()>& on_ready);

 private:
  Daemon(std::unique_ptr<session::Gateway> gateway, ReadRules read_rules, int signals)
      : gateway_(std::move(gateway)), read_rules_(std::move(read_rules)), signals_(signals) {}
  enum class Signal : uint8_t { kNone, kReload, kEnd };
  Signal take_signals();  // all that came, as the strongest of them
  void reload();
  void drain();

  std::unique_ptr<session::Gateway> gateway_;
  ReadRules read_rules_;
  int signals_;
};

}  // namespace tideway::daemon
