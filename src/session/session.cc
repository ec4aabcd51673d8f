// SPDX-License-Identifier: Apache-2.0
#include "session/session.h"

#include "base/amounts.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/random_bytes.h"

#include <algorithm>

namespace tideway::session {
namespace {

constexpr uint32_t kUndigestedMax = 16;     // messages of one transfer on their way to the io worker
constexpr Duration kRttUnknown = std::chrono::milliseconds(100);
constexpr Duration kHeldUp = std::chrono::milliseconds(5);  // until we look again whether workers, or the audit log, have caught up
constexpr uint32_t kPeerSessionsMax = 8;    // of one identity at a time: a gateway has one per class of its jobs

uint16_t type_number(const engine::TransferMessage& message) {
  return std::visit([](const auto& m) { return static_cast<uint16_t>(messages::type_of(m)); }, message);
}

}  // namespace

Session::Session(const Surroundings& surroundings, Side side, std::unique_ptr<ControlChannel> channel, const SessionOptions& options)
    : around_(surroundings), side_(side), delivery_(options.delivery), manners_(options.manners), reports_policing_(options.policing), channel_(std::move(channel)), lanes_(around_.engine, around_.data_ports) {
  crypto::random_bytes(random_);
}

Session::~Session() {
  for (auto& [id, transfer] : by_id_) around_.engine.post(engine::EndTransfer{transfer->handle});
}

// ---- greeting ------------------------------------------------------------------------------------------------------

// The dialling side offers as soon as its ports are bound; the accepting side answers when it has read the offer.
void Session::on_ports(const engine::PortsBound& bound) {
  if (Status status = lanes_.on_ports(bound); !status.ok()) {
    // To the peer it is no matter of its configuration.
    const Error& why = status.error();
    return fail(side_ == Side::kAccepting ? Error{Fault::kOverloaded, "no data port for this session: " + why.what, why.next} : why);
  }
  if (side_ == Side::kDialling || !lanes_.are_bound()) return;
  send(lanes_.message());
  open_lanes();
  for (messages::OpenTransfer& request : std::exchange(waiting_, {})) on_open_transfer(std::move(request));
}

void Session::greet(Time now) {
  const bool is_ready = channel_->state() == ChannelState::kUp && (side_ == Side::kAccepting || lanes_.are_bound());
  if (side_ == Side::kDialling && !lanes_.is_planned()) lanes_.offer(channel_->local_endpoint(), {around_.flows, delivery_});  // TCP has chosen our address by now
  if (greeted_ || !is_ready) return;
  greeted_ = true;
  greeted_at_ = now;
  const engine::Layout& layout = around_.engine.layout();
  auto hello = make_hello(random_, {layout.buffers_receiving, layout.net_workers, around_.engine.packet_backend()});
  if (reports_policing_ == SessionOptions::Policing::kReported) hello.features.emplace_back(kReportsPolicing);
  send(hello);
  if (side_ == Side::kAccepting) return;
  send(lanes_.message());
  for (auto& [id, transfer] : by_id_)
    if (transfer->stage == Stage::kPreparing && (transfer->role == Role::kSource || transfer->is_ready)) ask(*transfer);
}

void Session::on_hello(const messages::Hello& hello) {
  if (their_hello_) return fail({Fault::kProtocolError, "the peer said hello twice", ""});
  const auto ours = make_hello(random_, {});
  if (Status status = check_compatible(ours, hello); !status.ok()) return fail(status.error());
  if (hello.credit_unit != kCreditUnit)
    return fail({Fault::kProtocolVersion, "the peer counts credit in " + std::to_string(hello.credit_unit) + " bytes, this gateway in " +
                     std::to_string(kCreditUnit), "upgrade the older side"});
  if (is_judged_by_old_rules_)
    if (Status status = channel_->judge_peer_again(around_.tls); !status.ok()) return withdraw(status.error());
  if (side_ == Side::kAccepting && !around_.grants.knows(channel_->peer().identity))
    return fail({Fault::kDenied, "this peer has no grant here", "ask the operator of that site for a [[grant]]"});
  if (side_ == Side::kAccepting && around_.others_of(*this).sessions >= kPeerSessionsMax)
    return fail({Fault::kOverloaded, "this peer has " + std::to_string(kPeerSessionsMax) + " sessions already", "try again when a copy has ended"});
  channel_->authorise();
  their_hello_ = hello;
  if (side_ == Side::kAccepting) ++around_.counts.accepted;
  audit_session("session_accepted", nullptr);
  crypto::HelloRandoms randoms{random_, hello.random};
  if (side_ == Side::kAccepting) std::swap(randoms.dialling, randoms.accepting);
  id_ = crypto::session_id(randoms);
  const auto context = crypto::exporter_context(id_, kProtocolVersion);
  crypto::Secret exporter{};
  channel_->export_key(crypto::kExporterLabel, context, exporter);
  keys_ = std::make_unique<FlowKeys>(side_, exporter);
  crypto::cleanse(exporter);
}

void Session::on_lanes(messages::Lanes&& lanes) {
  const bool is_early = side_ == Side::kDialling && !lanes_.are_bound();  // an answer before we offered
  if (!their_hello_ || their_lanes_ || is_early) return fail({Fault::kProtocolError, "the peer sent lanes out of turn", ""});
  their_lanes_ = std::move(lanes);
  if (side_ == Side::kDialling && their_lanes_->delivery != delivery_)
    return fail({Fault::kProtocolVersion, "the peer does not carry packets over TLS", "upgrade the peer's gateway"});
  if (side_ == Side::kAccepting && their_lanes_->delivery == Delivery::kStream && around_.fallback == Fallback::kOff)
    return fail({Fault::kUdpBlocked, "UDP is blocked, and this gateway carries no packets over TLS",
                 "open the data ports (UDP), or set fallback = \"tls\" in [data_plane] there"});
  if (side_ == Side::kDialling) return open_lanes();
  // A lane may serve several roots, so the most that any grant of this peer allows counts, for all its sessions.
  const size_t granted = std::min<size_t>(around_.grants.flows_max(channel_->peer().identity), kFlowsMax);
  const size_t used = around_.others_of(*this).flows;
  limit_lanes(*their_lanes_, {.lanes = around_.engine.layout().net_workers, .flows = granted > used ? granted - used : 1});
  lanes_.answer(channel_->local_endpoint(), *their_lanes_);
}

std::optional<size_t> Session::link() const {
  if (manners_ == Manners::kInsists) return std::nullopt;
  const auto found = std::ranges::find(around_.link_sites, channel_->peer().identity.site);
  if (found == around_.link_sites.end()) return std::nullopt;
  return static_cast<size_t>(found - around_.link_sites.begin());
}

void Session::open_lanes() {
  rtt_opened_ = channel_->tcp_rtt().value_or(kRttUnknown);
  remembered_ = around_.paths.recall(peer_name(), rtt_opened_, read_calendar()).value_or(Rate());
  const LaneSet::PeerPath path{channel_->remote_endpoint(), Bytes(their_hello_->mtu_max), rtt_opened_, remembered_, link(),
                               manners_ == Manners::kInsists ? Dscp::kDefault : Dscp::kLowerEffort};
  if (Status status = lanes_.open(*their_lanes_, path, *keys_); !status.ok()) return fail(status.error());
  if (lanes_.delivery() == Delivery::kStream)
    for (const messages::LaneOffer& lane : their_lanes_->lanes)  // an answer may have fewer flows than the offer
      for (const messages::FlowOffer& flow : lane.flows) unattached_.push_back(flow.id);
  if (side_ == Side::kDialling)
    for (const FlowId flow : unattached_) wanted_connections_.push_back({id_, flow});
  for (auto& [id, transfer] : by_id_)  // pulls that were asked for before we knew the peer's lanes
    if (transfer->slot && transfer->role == Role::kSink)
      open_slot(*transfer, engine::OpenSlot::Role::kReceiving, transfer->request.sink->credit);
}

bool Session::expects(const DataPreface& connection) const {
  const bool is_ours = their_hello_ && connection.session == id_ && !is_over();
  return is_ours && std::ranges::find(unattached_, connection.flow) != unattached_.end();
}

void Session::attach(FlowId flow, std::unique_ptr<packet_io::ByteStream> stream) {
  std::erase(unattached_, flow);
  lanes_.attach(flow, std::move(stream));
}

// A peer that leaves closes its connections for data first.
void Session::on_lane_died(const engine::LaneDied& died) {
  const bool is_leaving = lanes_.delivery() == Delivery::kStream && died.why.fault == Fault::kPeerLost && by_id_.empty();
  if (!is_leaving) fail(died.why);
}

// Resends count as little as what was lost; boards are a tenth of a second old at most.
void Session::look_at_path(Time now) {
  if (now < best_second_.next_look()) return;
  double delivered = 0;
  for (const engine::LaneHandle handle : lanes_.handles()) {
    const auto board = around_.engine.lane_board(handle);
    if (board == nullptr) continue;
    for (const engine::FlowBoard& flow : board->flows) {
      const auto sent = static_cast<double>(std::max<uint64_t>(flow.packets_sent.get(), 1));
      const double lost = std::min(sent, static_cast<double>(flow.packets_lost.get()));
      delivered += static_cast<double>(flow.bytes_sent.get()) * (1 - lost / sent);
    }
  }
  best_second_.on_total(now, Bytes(static_cast<uint64_t>(delivered)));
  policing_.on_traffic(now, traffic(), {remembered_, link() ? Rate() : rate_allowed(), work(), link() ? UdpPolicing::Path::kShared : UdpPolicing::Path::kOurs});
  if (lanes_.delivery() == Delivery::kStream || !policing_.is_likely() || !reports_policing()) return;
  fail({Fault::kUdpBlocked, "UDP passes at " + to_string(policing_.rate()) + " only, and the rest is dropped: somebody on the way may police it",
        "have the data ports (UDP) let through at full rate"});
}

bool Session::any_lane(bool (*is)(const engine::LaneBoard& board)) const {
  return std::ranges::any_of(lanes_.handles(), [&](engine::LaneHandle handle) {
    const auto board = around_.engine.lane_board(handle);
    return board != nullptr && is(*board);
  });
}

// Behind a network that does not carry them, blocks that have begun to leave wait; behind a disk or a peer that stands still, none has begun.
bool Session::has_unsent() const {
  return any_lane([](const engine::LaneBoard& board) { return board.unsent.get() > 0; });
}

// Whether blocks wait for the network: all that there is was read, or as much as lanes let us read ahead, and it is not the sink that has no room; or
// our reads have filled the buffers that they may have.
UdpPolicing::Work Session::work() const {
  if (!has_unsent()) return UdpPolicing::Work::kScarce;
  const auto waits_for_lanes = [](const auto& entry) {
    const engine::TransferBoard& board = *entry.second->board;
    if (entry.second->role != Role::kSource) return false;
    const bool is_all_read = board.is_scanning.get() == 0 && board.bytes_raw.get() >= board.bytes_needed.get();
    return is_all_read || (board.is_piled_up.get() == 1 && entry.second->stall.verdict() != Stall::kCredit);
  };
  const engine::Layout& layout = around_.engine.layout();
  const bool are_full = (1 - around_.engine.pool_free_share()) * layout.buffers >= layout.buffers_sending / 2;
  return are_full || std::ranges::any_of(by_id_, waits_for_lanes) ? UdpPolicing::Work::kPiledUp : UdpPolicing::Work::kScarce;
}

bool Session::is_path_open() const {
  return any_lane([](const engine::LaneBoard& board) {
    return std::ranges::any_of(board.flows, [](const engine::FlowBoard& flow) { return flow.is_open.get() == 1; });
  });
}

// Boards are a tenth of a second old at most; of lanes that were just opened nothing is said yet.
Rate Session::rate_allowed() const {
  Rate sum;
  for (const engine::LaneHandle handle : lanes_.handles())
    if (const auto board = around_.engine.lane_board(handle)) sum = sum + Rate::bytes_per_second(board->rate_allowed.get());
  return sum;
}

// The side that sends notices it; whether it matters is for the side that dialled.
bool Session::reports_policing() const {
  if (side_ == Side::kDialling) return reports_policing_ == SessionOptions::Policing::kReported;
  return std::ranges::find(their_hello_->features, kReportsPolicing) != their_hello_->features.end();
}

Traffic Session::traffic() const {
  Traffic sum;
  for (const engine::LaneHandle handle : lanes_.handles()) {
    const auto board = around_.engine.lane_board(handle);
    if (board == nullptr) continue;
    for (const engine::FlowBoard& flow : board->flows)
      sum.add({Bytes(flow.bytes_sent.get()), Bytes(flow.bytes_received.get()), flow.packets_sent.get(), flow.packets_lost.get()});
    sum.held_by_credit += board->held_by_credit.get();
    for (size_t account = 0; account < kAccounts; ++account) sum.sent_of[account] += Bytes(board->bytes_sent[account].get());
  }
  return sum;
}

std::optional<KnownPath> Session::known_path(KnownPath::UnixTime now) const {
  if (best_second_.rate() == Rate() || !greeted_) return std::nullopt;
  return KnownPath{best_second_.rate(), rtt_opened_, now};
}

KnownPath Session::expected_path(KnownPath::UnixTime now) const {
  if (const auto known = known_path(now)) return *known;
  return {around_.paths.recall(peer_name(), rtt_opened_, now).value_or(Rate()), rtt_opened_, now};
}

// ---- messages ------------------------------------------------------------------------------------------------------

// The queue holds many times what a correct session has to say; a peer that does not read is lost.
void Session::send_frame(messages::MessageType type, const std::string& body) {
  const uint16_t flags = messages::is_critical(type) ? kCriticalFlag : 0;
  if (!channel_->send(static_cast<uint16_t>(type), flags, std::as_bytes(std::span(body))) && !channel_->error() && !is_over())
    fail({Fault::kPeerLost, "the peer does not read the control channel", "check the peer's gateway and the network"});
}

void Session::poll(Time now, crypto::UnixTime wall) {
  now_ = now;
  if (is_over() || channel_->state() == ChannelState::kData) return;
  if (has_outlived_certificate(wall)) return end_with_certificate();
  if (is_to_be_judged(now))
    if (Status status = channel_->judge_peer_again(around_.tls, wall); !status.ok()) return end_as_refused(status.error());
  if (is_too_old(now)) return end_for_age();
  greet(now);
  read_messages();
  if (is_over()) return;
  send_waiting();
  guard_rate(now);
  if (channel_->error()) return fail(*channel_->error());
  if (!is_listening()) listened_at_ = now;
  if (channel_->state() == ChannelState::kDone || channel_->state() == ChannelState::kClosing)
    return fail({Fault::kPeerLost, "the peer closed the connection", "check the peer's gateway"});
  if (!greeted_) return;
  if (now >= silent_at())
    return fail({Fault::kPeerLost, "nothing heard from the peer for 10 s", "check the peer's gateway and the network"});
  if (now >= keep_alive_at()) send(messages::KeepAlive{++keep_alives_});
  tell_outcomes();
  if (looks_at_path()) look_at_path(now);
  if (!is_over()) tell_stalls();
}

// Only what we could have heard counts: while we do not read, the peer's words wait in the socket.
bool Session::is_listening() const { return (channel_->wanted_events() & POLLIN) != 0; }

Time Session::silent_at() const {
  return is_listening() ? std::max({greeted_at_, listened_at_, channel_->last_received()}) + kSilenceMax : kNever;
}

// While something waits for the socket the peer hears from us as soon as it reads.
Time Session::keep_alive_at() const {
  return channel_->has_output() ? kNever : std::max(greeted_at_, channel_->last_sent()) + kKeepAliveAfter;
}

Time Session::next_deadline() const {
  const bool has_untold = std::ranges::any_of(by_id_, [](const auto& entry) { return entry.second->untold.has_value(); });
  const Time reads_again = is_held_up_ || has_untold ? now_ + kHeldUp : kNever;
  if (!greeted_) return std::min(channel_->next_deadline(), reads_again);
  const Time looks_again = looks_at_path() ? best_second_.next_look() : kNever;
  return std::min({channel_->next_deadline(), keep_alive_at(), silent_at(), reads_again, looks_again});
}

void Session::read_messages() {
  is_held_up_ = false;
  while (!is_over()) {
    is_held_up_ = !around_.engine.takes_commands();  // and TCP then stops the peer
    if (is_held_up_) return;
    if (!waiting_.empty()) return;  // what follows may belong to a transfer that is not open yet
    // A transfer whose messages pile up stops the reading, and TCP then stops the peer.
    for (const auto& [id, transfer] : by_id_)
      if (transfer->undigested >= kUndigestedMax) return;
    const auto frame = channel_->receive();
    if (!frame) return;
    on_frame(*frame);
  }
}

void Session::on_frame(const Frame& frame) {
  const auto type = messages::message_type(frame.type);
  if (!type) {
    if ((frame.flags & kCriticalFlag) != 0) fail({Fault::kProtocolVersion, "the peer needs message " + std::to_string(frame.type), "upgrade this gateway"});
    return;
  }
  if (!their_hello_ && *type != messages::MessageType::kHello)
    return fail({Fault::kProtocolError, "the peer sent " + std::string(messages::name_of(*type)) + " before Hello", ""});
  const auto take = [&](auto parsed, auto then) {
    if (!parsed.ok()) return fail(parsed.error());
    then(std::move(parsed).value());
  };
  const auto to_transfer = [&](auto&& message) { on_transfer_message(std::move(message)); };
  const messages::Body body = frame.body;
  using enum messages::MessageType;
  switch (*type) {
    case kHello: return take(messages::parse_hello(body), [&](auto m) { on_hello(m); });
    case kLanes: return take(messages::parse_lanes(body), [&](auto m) { on_lanes(std::move(m)); });
    case kKeepAlive: return take(messages::parse_keep_alive(body), [&](auto m) { send(messages::KeepAliveReply{m.counter}); });
    case kKeepAliveReply: return;
    case kGoodbye:
      return take(messages::parse_goodbye(body), [&](auto m) {
        said_goodbye_ = true;  // transfers may go on until the peer closes the connection
        if (by_id_.empty() || !m.code.empty())
          fail({Fault::kPeerLost, "the peer ended the session" + (m.detail.empty() ? "" : ": " + m.detail), "run the same command again"});
      });
    case kError: return take(messages::parse_error(body), [&](auto m) { on_peer_error(m); });
    case kOpenTransfer: return take(messages::parse_open_transfer(body), [&](auto m) { on_open_transfer(std::move(m)); });
    case kTransferAccepted: return take(messages::parse_transfer_accepted(body), [&](auto m) { on_accepted(m); });
    case kManifestPage: return take(messages::parse_manifest_page(body), to_transfer);
    case kNeeds: return take(messages::parse_needs(body), to_transfer);
    case kManifestEnd: return take(messages::parse_manifest_end(body), to_transfer);
    case kObjectEnds: return take(messages::parse_object_ends(body), to_transfer);
    case kTransferRoot: return take(messages::parse_transfer_root(body), to_transfer);
    case kBlocksDelivered: return take(messages::parse_blocks_delivered(body), to_transfer);
    case kSegmentsRejected: return take(messages::parse_segments_rejected(body), to_transfer);
    case kDurable: return take(messages::parse_durable(body), to_transfer);
    case kPublished: return take(messages::parse_published(body), [&](auto m) { on_published(m); });
    case kPublishedAck: return take(messages::parse_published_ack(body), [&](auto m) { on_closed(m.transfer, ""); });
    case kCancelTransfer: return take(messages::parse_cancel_transfer(body), [&](auto m) { on_cancelled(m); });
    case kTransferClosed: return take(messages::parse_transfer_closed(body), [&](auto m) { on_closed_by_peer(m); });
    case kObjectsHeld: return take(messages::parse_objects_held(body), to_transfer);
    case kBaseLeaves: return take(messages::parse_base_leaves(body), to_transfer);
    case kSameLeaves: return take(messages::parse_same_leaves(body), to_transfer);
    case kRemoveTree: return take(messages::parse_remove_tree(body), [&](auto m) { on_remove_tree(m); });
    case kListRoots: return take(messages::parse_list_roots(body), [&](auto m) { on_open_transfer(request_of(m)); });
    case kPhaseNotice:
      return take(messages::parse_phase_notice(body), [&](auto m) {
        if (around_.on_notice) around_.on_notice(channel_->peer().identity.site, m);
      });
    case kProgress:
      return take(messages::parse_progress(body), [&](auto m) {
        if (Transfer* transfer = find(m.transfer)) transfer->peer_stall = stall_named(m.stall);
      });
  }
}

// A verdict stands for some blocks at least, so there are few.
void Session::tell_stalls() {
  for (auto& [id, transfer] : by_id_) {
    const Stall before = transfer->stall.verdict();
    if (transfer->stage != Stage::kRunning || transfer->stall.look(*transfer->board) == before) continue;
    const engine::TransferBoard& board = *transfer->board;
    send(messages::Progress{id, Bytes(board.bytes_raw.get()), Bytes(board.bytes_verified.get()), Bytes(board.bytes_durable.get()), std::string(name_of(transfer->stall.verdict()))});
  }
}

void Session::tell(const messages::PhaseNotice& notice) {
  if (is_up() && !is_over()) send(notice);
}

// Whether a message of this kind goes from source to sink, or back. Errors go both ways.
static bool is_for(Role role, const engine::TransferMessage& message) {
  const bool to_sink = std::holds_alternative<messages::ManifestPage>(message) || std::holds_alternative<messages::ManifestEnd>(message) ||
                       std::holds_alternative<messages::ObjectEnds>(message) || std::holds_alternative<messages::TransferRoot>(message) ||
                       std::holds_alternative<messages::SameLeaves>(message);
  return std::holds_alternative<messages::PeerError>(message) || to_sink == (role == Role::kSink);
}

static TransferId transfer_of(const engine::TransferMessage& message) {
  return std::visit(
      [](const auto& m) {
        if constexpr (std::is_same_v<std::decay_t<decltype(m)>, messages::PeerError>) return m.transfer.value_or(TransferId{});
        else return m.transfer;
      },
      message);
}

void Session::on_transfer_message(engine::TransferMessage message) {
  Transfer* transfer = find(transfer_of(message));
  if (transfer == nullptr || transfer->stage == Stage::kOver) return;  // it ended here while this was on its way
  if (!is_for(transfer->role, message)) return fail({Fault::kProtocolError, "the peer sent a message of the wrong direction", ""});
  if (!is_within_grant(*transfer, message)) return;
  if (transfer->role == Role::kSink && !check_signature(*transfer, message)) return;
  transfer->undigested += 1;
  around_.engine.post(engine::FromPeer{transfer->handle, std::move(message)});
}

void Session::send_waiting() {
  for (auto& [id, transfer] : by_id_) {
    if (transfer->stage < Stage::kAsked) continue;  // OpenTransfer goes first
    while (!transfer->unsent.empty() && around_.engine.takes_commands() && channel_->wants_more(type_number(transfer->unsent.front())) && !is_over()) {
      const bool is_wanted = transfer->request.direction != messages::Direction::kPush || !transfer->request.options.dry_run;
      if (is_wanted) std::visit([&](const auto& message) { send(message); }, transfer->unsent.front());
      transfer->unsent.pop_front();
      around_.engine.post(engine::MessageTaken{transfer->handle});
    }
  }
}

std::string Session::peer_name() const {
  if (channel_->state() == ChannelState::kUp || greeted_) return to_string(channel_->peer().identity);
  return to_string(channel_->remote_endpoint());
}

std::string Session::peer_site() const { return their_hello_ ? channel_->peer().identity.site : ""; }

void Session::say_goodbye(Duration drain) {
  is_draining_ = true;
  messages::Goodbye goodbye;
  goodbye.drain_ms = static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(drain).count());
  if (greeted_ && !is_over()) send(goodbye);
}

void Session::fail(const Error& why) {
  if (is_over()) return;
  error_ = why;
  // What is wrong with the connection itself, the peer sees for itself.
  const bool is_news = why.fault != Fault::kPeerLost && why.fault != Fault::kAuthFailed;
  if (is_news && greeted_ && !channel_->error())
    send(messages::PeerError{std::string(why.name()), messages::Reaction::kSessionEnds, why.what, {}, {}, 0});
  for (auto& [id, transfer] : by_id_) {
    if (transfer->outcome) continue;
    transfer->outcome = why;
    audit_transfer("transfer_failed", *transfer);
  }
  if (side_ == Side::kAccepting && !their_hello_) ++around_.counts.refused[why.fault];
  if (side_ == Side::kAccepting && !their_hello_) return around_.refusals.refused(now_, peer_name(), why);
  audit_session("session_over", &why);
  if (said_goodbye_ && by_id_.empty()) return log::info("session_ended", "peer=" + peer_name());
  log::info("session_over", "peer=" + peer_name() + " code=" + std::string(why.name()) + " why=\"" + why.what + '"');
}

}  // namespace tideway::session
