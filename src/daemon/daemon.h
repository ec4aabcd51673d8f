// SPDX-License-Identifier: Apache-2.0
//
// The service: a gateway that listens until it is told to stop. SIGTERM and SIGINT drain: no new session is let in,
// running transfers get kDrainTime, and a second signal ends at once.
// Thread: main.
#pragma once
#include "session/gateway.h"

#include <functional>
#include <string>

namespace tideway::daemon {

inline constexpr Duration kDrainTime = std::chrono::seconds(30);

class Daemon {
 public:
  // Errors: those of Gateway::start.
  static Result<std::unique_ptr<Daemon>> start(session::GatewayConfig config);
  ~Daemon();

  const Endpoint& data_address() const { return gateway_->data_address(); }  // that peers are told
  // Serves until a signal says otherwise. `on_ready` is called once, when peers can connect.
  void run(const std::function<void()>& on_ready);

 private:
  Daemon(std::unique_ptr<session::Gateway> gateway, int signals) : gateway_(std::move(gateway)), signals_(signals) {}
  bool take_signal();  // one that ends the service
  void drain();

  std::unique_ptr<session::Gateway> gateway_;
  int signals_;
};

}  // namespace tideway::daemon
