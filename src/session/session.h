// SPDX-License-Identifier: Apache-2.0
//
// What two gateways share while they are connected: the control channel, the lanes with their keys, and the transfers.
// One object per connection, on either side. It decides what the peer may do (grants) and routes messages; bytes of
// files never pass here.
//
//   dialling                                     accepting
//   TCP, TLS  ─────────────────────────────────▶
//   Hello, Lanes (offer), OpenTransfer, pages ─▶ checks grants, binds ports, opens its lanes
//   opens its lanes ◀────────────────── Hello, Lanes (answer), TransferAccepted
//   blocks over UDP ◀──────────────────────────▶ blocks over UDP
// Thread: control.
#pragma once
#include "engine/engine.h"
#include "messages/type_of.h"
#include "session/audit_event.h"
#include "session/carrier_choice.h"
#include "session/control_channel.h"
#include "session/grants.h"
#include "session/hello.h"
#include "session/lane_set.h"
#include "session/path_memory.h"
#include "session/refusal_log.h"
#include "session/roots.h"
#include "session/session_counts.h"
#include "session/signing.h"
#include "session/slot_book.h"
#include "session/transfer.h"
#include "session/udp_policing.h"

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace tideway::session {

class Session;

// What other sessions of the same peer hold.
struct PeerUse {
  uint32_t sessions = 0, transfers = 0;
  size_t flows = 0;
};

// What a peer's gateway says of trainings at its site, and which site that is.
using NoticeSink = std::function<void(const std::string& site, const messages::PhaseNotice& notice)>;

// What all sessions of a gateway share.
struct Surroundings {
  engine::Engine& engine;
  const Roots& roots;
  const GrantTable& grants;         // these two change with a reload: see on_rules_changed()
  const crypto::TlsContext& tls;
  const AuditSink& audit;
  RefusalLog& refusals;
  SessionCounts& counts;
  DataPorts& data_ports;
  const PathMemory& paths;
  const Signing& signing;           // changes with a reload, too
  const std::vector<std::string>& link_sites;  // of the links that have gates
  uint32_t flows = 2;         // of sessions this gateway dials
  Fallback fallback = Fallback::kTls;  // kOff: no packets over TLS, for peers either
  std::function<PeerUse(const Session&)> others_of;  // accepted ones that are not over
  NoticeSink on_notice;       // empty: nobody wants to know
  transfer::BootId boot{};    // of this host
};

inline constexpr Duration kKeepAliveAfter = std::chrono::seconds(3);
inline constexpr Duration kJudgedEvery = std::chrono::hours(1);  // whether the peer's certificate would still pass
inline constexpr Duration kSessionAgeMax = std::chrono::hours(24);
inline constexpr Duration kSilenceMax = std::chrono::seconds(10);  // three keep-alives missed

// Whether what a session sends makes room for trainings. What somebody waits for with idle machines insists.
enum class Manners : uint8_t { kYields, kInsists };

struct SessionOptions {
  Delivery delivery = Delivery::kDatagram;  // what the dialling side asks for; the accepting one goes along
  Manners manners = Manners::kYields;
  // Of a session over UDP that we dial: whether it ends with udp_blocked, at either end, when UDP seems to be policed.
  enum class Policing : uint8_t { kBorne, kReported } policing = Policing::kBorne;
};

class Session {
 public:
  Session(const Surroundings& surroundings, Side side, std::unique_ptr<ControlChannel> channel, const SessionOptions& options = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Asks the peer for a transfer; it leaves when the channel is up. `start` is what the io worker begins with; its
  // handle and id are set here.
  std::shared_ptr<Transfer> push(engine::StartSource start, messages::OpenTransfer request);
  std::shared_ptr<Transfer> pull(engine::StartSink start, messages::OpenTransfer request);
  // Asks the peer to take away what was published there. A peer of an older version says nothing to it.
  std::shared_ptr<Transfer> remove(messages::RemoveTree order);
  void cancel(Transfer& transfer, const Error& why);
  // Of a transfer that sends from here. The transfers of a session share its lanes, so one that must keep to a rate of its own
  // needs a session of its own. `in_bursts` passes the gate of the link even while a training communicates.
  void limit_rate(Transfer& transfer, Rate rate, Rate in_bursts = {});
  // More of a growing source is final.
  void grow(const Transfer& transfer, std::vector<engine::GrownPart> parts);

  // Connections for data: what a session that we dialled wants, once; whether a session of that number is waiting for one of
  // that flow; and what became of it.
  std::vector<DataPreface> take_wanted_connections() { return std::exchange(wanted_connections_, {}); }
  bool expects(const DataPreface& connection) const;
  void attach(FlowId flow, std::unique_ptr<packet_io::ByteStream> stream);
  void on_connection_failed(const Error& why) { fail(why); }
  Delivery delivery() const { return lanes_.delivery(); }

  // Authorities, revocations, allowed peers or grants have changed: ends the session, or those of its transfers, that
  // they do not allow any more.
  void on_rules_changed(Time now);

  void poll(Time now, crypto::UnixTime wall);
  void on_event(engine::NetEvent& event);  // of this session's lane or port request
  void on_event(engine::IoEvent& event);   // of one of this session's transfers
  bool owns(engine::LaneHandle lane) const { return lanes_.owns(lane); }
  bool owns(engine::TransferHandle transfer) const { return by_handle_.contains(transfer); }
  bool owns_port_request(uint32_t request) const { return lanes_.owns_port_request(request); }

  ControlChannel& channel() { return *channel_; }
  const ControlChannel& channel() const { return *channel_; }
  Time next_deadline() const;
  bool is_up() const { return lanes_.are_open(); }
  bool is_path_open() const;  // packets have come through, there and back
  bool is_over() const { return error_.has_value(); }
  const Error& error() const { return *error_; }
  size_t transfers() const { return by_id_.size(); }
  size_t flows() const { return lanes_.flows(); }
  bool is_accepted() const { return side_ == Side::kAccepting && their_hello_.has_value(); }
  std::span<const engine::LaneHandle> lanes() const { return lanes_.handles(); }
  void say_goodbye(Duration drain);
  void tell(const messages::PhaseNotice& notice);  // nothing happens before the session is up
  Traffic traffic() const;
  // What it may send by itself and by the gateway's rate, of which others may have their parts.
  Rate rate_allowed() const;
  std::string peer_site() const;  // empty until it is known
  const UdpPolicing& policing() const { return policing_; }  // looks while there are transfers
  // What the path to the peer carried; nothing before a second of it.
  std::optional<KnownPath> known_path(KnownPath::UnixTime now) const;
  // What may be expected of it: what it has carried, or what an earlier session has.
  KnownPath expected_path(KnownPath::UnixTime now) const;
  std::string peer_name() const;  // its identity, or its address until it is known

 private:
  // Greeting.
  void greet(Time now);
  void on_hello(const messages::Hello& hello);
  void on_lanes(messages::Lanes&& lanes);
  void on_ports(const engine::PortsBound& bound);
  void open_lanes();
  void on_lane_died(const engine::LaneDied& died);
  std::optional<size_t> link() const;
  bool looks_at_path() const { return lanes_.are_open() && !by_id_.empty(); }
  void look_at_path(Time now);
  void tell_stalls();
  bool any_lane(bool (*is)(const engine::LaneBoard& board)) const;
  bool has_unsent() const;
  UdpPolicing::Work work() const;
  bool reports_policing() const;

  // Messages.
  bool is_listening() const;
  Time silent_at() const;
  Time keep_alive_at() const;
  void read_messages();
  void on_frame(const Frame& frame);
  template <typename Message>
  void send(const Message& message) {
    send_frame(messages::type_of(message), messages::serialize(message));
  }
  void send_frame(messages::MessageType type, const std::string& body);
  void send_waiting();
  void on_open_transfer(messages::OpenTransfer request);
  void on_accepted(const messages::TransferAccepted& accepted);
  void on_published(const messages::Published& published);
  void on_transfer_message(engine::TransferMessage message);
  void on_peer_error(const messages::PeerError& error);
  void on_closed(const TransferId& id, std::string_view code);
  void on_closed_by_peer(const messages::TransferClosed& closed);
  void expect_close(const Transfer& transfer);
  void on_cancelled(const messages::CancelTransfer& cancel);

  // Transfers.
  std::shared_ptr<Transfer> add_transfer(Role role, messages::OpenTransfer request);
  Transfer* find(const TransferId& id);
  Transfer* find(engine::TransferHandle handle);
  void ask(Transfer& transfer);
  void serve_push(messages::OpenTransfer request);
  void serve_pull(messages::OpenTransfer request);
  void serve_roots(const TransferId& id);
  void on_remove_tree(const messages::RemoveTree& order);
  bool may_have_base(const messages::OpenTransfer& request) const;
  std::optional<Error> cannot_begin(const TransferId& id) const;
  Result<GrantLimits> authorise(const messages::OpenTransfer& request) const;
  Decision decide(const messages::OpenTransfer& request, const ObjectName& name, GrantOp op) const;
  void guard_rate(Time now);
  void sign_root(Transfer& transfer, engine::ToPeer& said);
  engine::StartSource::Held held_of_peers() const;
  bool check_signature(Transfer& transfer, const engine::TransferMessage& message);  // false: it was ended
  bool is_within_grant(Transfer& transfer, const engine::TransferMessage& message);  // false: it was ended
  void refuse(const TransferId& id, const Error& why);
  void on_sink_ready(const engine::SinkReady& ready);
  void on_slot_opened(const engine::SlotOpened& opened);
  void on_done(engine::TransferDone& done);
  void tell_outcomes();
  void give_up(engine::TransferHandle handle, const Error& why);
  void set_ceiling();
  void open_slot(Transfer& transfer, engine::OpenSlot::Role role, uint64_t credit);
  void start_source(Transfer& transfer, engine::SourceAccepted::Needed needed);
  void end(Transfer& transfer, Result<engine::TransferDone::Outcome> outcome);
  void fail(const Error& why);
  void audit_session(std::string_view event, const Error* why) const;
  void audit_decision(const Decision& decision, const messages::OpenTransfer& request, const ObjectName& name, GrantOp op) const;
  void audit_roots(const TransferId& id, size_t roots) const;
  void audit_transfer(std::string_view event, const Transfer& transfer) const;
  std::weak_ptr<const void> audit_change(std::string_view event, const Transfer& transfer) const;
  AuditEvent about(std::string_view event, const Transfer& transfer, AuditEvent::Care care) const;
  bool has_outlived_certificate(crypto::UnixTime wall) const { return their_hello_ && wall > channel_->peer().not_after; }
  void withdraw(const Error& why);
  void end_with_certificate();
  bool is_to_be_judged(Time now);
  bool has_met_peer() const { return greeted_ && their_hello_; }  // its hello may be here before our ports are bound, and ours is said
  bool is_too_old(Time now) const { return has_met_peer() && now - greeted_at_ >= kSessionAgeMax; }
  void end_for_age();
  void end_as_refused(const Error& why);
  void send_back(const Error& why);
  void take_up(Transfer& transfer, const GrantLimits& limits);
  void let_go();

  Surroundings around_;
  Side side_;
  const Delivery delivery_;           // to ask for
  const Manners manners_;
  const SessionOptions::Policing reports_policing_;
  std::unique_ptr<ControlChannel> channel_;
  crypto::HelloRandom random_{};
  crypto::SessionId id_{};            // once the peer has said hello
  std::vector<DataPreface> wanted_connections_;
  std::vector<FlowId> unattached_;    // flows whose connection is still to come
  std::optional<messages::Hello> their_hello_;
  std::unique_ptr<FlowKeys> keys_;
  LaneSet lanes_;
  std::optional<messages::Lanes> their_lanes_;
  Duration rtt_opened_{};             // of the control channel when the lanes were opened
  BestSecond best_second_;
  Rate remembered_;                   // of the path; zero: unknown
  UdpPolicing policing_;
  bool greeted_ = false, said_goodbye_ = false;
  std::map<TransferId, std::shared_ptr<Transfer>> by_id_;
  std::map<engine::TransferHandle, TransferId> by_handle_;
  std::vector<messages::OpenTransfer> waiting_;  // read before our lanes were open
  std::map<TransferId, uint32_t> closing_;  // over here, and the peer's TransferClosed is on its way: how many
  SlotBook our_slots_, their_slots_;  // chosen by us as sink, by the peer as sink
  Time now_{};                        // of the last poll
  uint64_t keep_alives_ = 0;
  Time greeted_at_{}, listened_at_{};
  Time judged_at_{};                  // the peer's certificate, last
  RateGuard rate_guard_;              // of what the peer pushes
  bool is_held_up_ = false;           // the workers are behind: no message is read
  bool is_draining_ = false;
  bool is_judged_by_old_rules_ = false;  // its handshake began before they changed
  std::optional<Error> error_;
};

}  // namespace tideway::session
