// SPDX-License-Identifier: Apache-2.0
//
// The service: a gateway that listens until it is told to stop. SIGTERM and SIGINT drain: no new session is let in,
// running transfers get kDrainTime, and a second signal ends at once. SIGHUP reads certificates, revocations, allowed
// peers and grants again; when they cannot be used, all of the old ones stay in force.
// Thread: main.
#pragma once
#include "base/descriptor.h"
#include "daemon/audit_log.h"
#include "daemon/job_service.h"
#include "daemon/phase_port.h"
#include "daemon/service_notify.h"
#include "daemon/state_lock.h"
#include "daemon/watchdog.h"
#include "daemon/worker_pulse.h"
#include "session/gateway.h"

#include <functional>
#include <limits>
#include <optional>
#include <string>

namespace tideway::daemon {

inline constexpr Duration kDrainTime = std::chrono::seconds(30);

// Reads the configuration again. Errors: config_invalid.
struct DaemonRules {
  session::GatewayRules gateway;
  JobRules jobs;
};
using ReadRules = std::function<Result<DaemonRules>()>;

struct DaemonConfig {
  session::GatewayConfig gateway;
  std::string state_dir;  // made when it is missing and its parent is there
  std::string file;       // the configuration; it is read again with what lies beside it
  ReadRules read_rules;
  ApiConfig api;
  JobRules jobs;
  std::optional<PhasePortConfig> phases;  // none: nobody announces phases
  std::vector<LinkAbout> links;           // those of gateway.engine.gates, in their order
  std::vector<WatchConfig> watches = {};
};

class Daemon {
 public:
  // Errors: those of Gateway::start; state_locked: another gateway has the state directory; config_invalid: that, or the audit log in it,
  // cannot be used.
  static Result<std::unique_ptr<Daemon>> start(DaemonConfig config);
  ~Daemon();

  const Endpoint& data_address() const { return gateway_->data_address(); }  // that peers are told
  // Serves until a signal says otherwise. `on_ready` is called once, when peers can connect.
  void run(const std::function<void()>& on_ready);

 private:
  explicit Daemon(ReadRules read_rules);
  enum class Signal : uint8_t { kNone, kReload, kEnd };
  Signal take_signals();  // all that came, as the strongest of them
  Status block_signals();
  Status reload();
  Status take_up(DaemonRules rules);
  session::AuditSink audit_sink() const;
  Status watch_descriptors();
  void turn();
  void tell_watchdog(Time now);
  void feel_pulse(Time now);
  void renew_plan(Time now);
  void tell_peers(Time now);
  void warn_of_expiry();
  void drain();

  ServiceNotify notify_;
  Watchdog watchdog_;
  WorkerPulse pulse_;
  std::optional<StateLock> lock_;    // outlives all that has a file in the state folder
  std::unique_ptr<AuditLog> audit_;  // outlives the gateway, which writes to it
  std::shared_ptr<engine::Gates> gates_;  // of the links; null: there are none
  std::unique_ptr<PhasePort> phases_;  // outlives the gateway, whose workers look at its board
  std::unique_ptr<session::Gateway> gateway_;
  std::unique_ptr<JobService> service_;  // its sessions are the gateway's
  ReadRules read_rules_;
  Descriptor signals_;
  Descriptor waits_;  // epoll: the signals, and what the service waits for
  int64_t warned_days_ = std::numeric_limits<int64_t>::max();  // of our certificate's end, the last warning
};

}  // namespace tideway::daemon
