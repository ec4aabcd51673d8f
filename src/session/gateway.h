// SPDX-License-Identifier: Apache-2.0
//
// One Tideway process as others see it: an engine, the opened roots, the grants, a certificate, and the sessions with
// its peers. The daemon listens with one; a direct copy dials with one.
//
// turn() is the control thread's loop body: it waits for sockets and workers, moves messages, and never blocks on a
// disk or a peer.
// Thread: control.
#pragma once
#include "crypto/tls_context.h"
#include "engine/engine.h"
#include "session/data_connections.h"
#include "session/grants.h"
#include "session/listener.h"
#include "session/roots.h"
#include "session/session.h"
#include "session/telemetry_board.h"

#include <memory>
#include <span>
#include <vector>

namespace tideway::session {

struct RootConfig {
  std::string name, path;
};

struct GatewayConfig {
  crypto::TlsConfig tls;
  engine::EngineConfig engine;
  std::vector<RootConfig> roots;
  GrantTable grants;
  std::optional<Endpoint> listen;  // a direct copy does not
  Duration staging_ttl = std::chrono::hours(7 * 24);  // what died in staging longer ago is removed at the start; a daemon does so later, too
  // First data port when listening; port 0: the kernel picks. Of each DPDK port, in their order.
  std::vector<Endpoint> data_addresses = std::vector<Endpoint>(1);
  std::string path_memory;         // file of what paths carried; empty: forgotten with the process
  uint32_t flows = 0;              // per session we dial; 0: two per net worker
  Fallback fallback = Fallback::kTls;  // what carries packets where UDP is blocked
  Duration ask_udp_after = CarrierChoice::kAskAfter;  // how long it does, the first time
  std::vector<std::string> link_sites;  // the far end of each link whose gate engine.gates holds, in its order
  // Where to go on over kernel UDP when the packet backend does not start, or a listening gateway loses its device; not set:
  // it does not go on.
  std::optional<Endpoint> udp_fallback{};
  AuditSink audit;  // none for a direct copy
  SigningConfig signing = {};
  NoticeSink on_notice = {};  // of peers' trainings; empty: nobody wants to know
  transfer::BootId boot{};  // of this host; zeros: what the kernel says
};

// What a running gateway may be told anew.
struct GatewayRules {
  crypto::TlsConfig tls;
  GrantTable grants;
  SigningConfig signing = {};
};

// Whom to dial, and who must answer there.
struct PeerConfig {
  std::string name;
  Endpoint control;
  crypto::IdentityPattern identity;
};

class Gateway {
 public:
  // Errors: config_invalid, auth_failed (our own certificate), no_memory.
  static Result<std::unique_ptr<Gateway>> start(GatewayConfig config);
  ~Gateway();

  // Reads certificate, key, authorities and revocations again, as one unit with the grants. Sessions of peers that are
  // allowed no more end at once, the others go on. Errors: those of the start; then the old rules stay in force.
  Status reload(GatewayRules rules);
  const crypto::Certificate& own_certificate() const { return tls_->own(); }

  // Errors: peer_unreachable, when not even a socket can be made.
  Result<Session*> dial(const PeerConfig& peer, const SessionOptions& options = {});
  CarrierChoice new_carrier() const { return CarrierChoice(config_.fallback, config_.ask_udp_after); }  // for a peer nobody has dialled yet
  // One turn; waits at most so long. `also_fd` (-1: none) ends the wait when it is readable.
  void turn(Duration at_most, int also_fd = -1);
  // No new sessions; tells peers how long transfers may go on.
  void drain(Duration at_most);

  size_t sessions() const { return sessions_.size(); }  // those in their handshake, too
  size_t transfers() const;
  std::optional<Endpoint> control_endpoint() const;  // where it listens, with the port that was picked
  const Endpoint& data_address() const { return data_ports_.first_of(0); }  // also of the fallback
  engine::Engine& engine() { return *engine_; }
  const Roots& roots() const { return roots_; }
  const GrantTable& grants() const { return config_.grants; }  // in force
  Duration staging_ttl() const { return config_.staging_ttl; }
  const crypto::TlsContext& tls() const { return *tls_; }
  std::span<const std::unique_ptr<Session>> all_sessions() const { return sessions_; }
  // To every session of that site.
  void tell(const std::string& site, const messages::PhaseNotice& notice);
  // Changes the ceiling that the configuration gave.
  void set_rate(Rate rate);
  // Who writes what is remembered of paths, because our thread must not wait for a disk; empty: we do.
  void write_paths_by(PathMemory::Hand hand) { paths_.write_by(std::move(hand)); }
  // With the traffic of the sessions that there are.
  SessionCounts counts() const;
  // Drops a session that is over; a pointer from dial() ends here.
  void close(Session* session);

 private:
  explicit Gateway(GatewayConfig config);
  Status open_root(const RootConfig& root);
  Result<std::unique_ptr<engine::Engine>> start_over_kernel(const Error& why);
  void fall_back(Time now);
  Surroundings surroundings();
  PeerUse others_of(const Session& session) const;
  void wait(Duration at_most, int also_fd);
  void accept_peers(Time now);
  void move_data_connections(Time now);
  void dispatch_events();
  void remember(const Session& session);
  void end_dialled(Time now, const Error& why);
  void drop_ended(Time now);
  void publish_telemetry();

  GatewayConfig config_;
  std::optional<crypto::TlsContext> tls_;
  Signing signing_;
  Roots roots_;
  RefusalLog refusals_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<Session*> dialled_;  // whoever dialled closes them
  DataConnections data_connections_;
  DataPorts data_ports_;
  PathMemory paths_;
  SessionCounts counts_;
  Time fall_back_at_ = kNever;  // to the kernel, once the port's device has gone
  std::shared_ptr<TelemetryBoard> telemetry_;  // none where the packet backend has no tools
};

}  // namespace tideway::session
