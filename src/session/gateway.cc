// SPDX-License-Identifier: Apache-2.0
#include "session/gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/boot_id.h"

#include <poll.h>

#include <algorithm>

namespace tideway::session {
namespace {

constexpr Duration kFallBackRetry = std::chrono::seconds(10);
constexpr Duration kFarewell = std::chrono::milliseconds(100);  // in which whoever dialled a session closes it

// Body limits of every message type, for the framing.
std::span<const BodyCap> body_caps() {
  static const auto caps = [] {
    std::array<BodyCap, std::size(messages::kMessageTypes)> table{};
    for (size_t i = 0; i < table.size(); ++i)
      table[i] = {static_cast<uint16_t>(messages::kMessageTypes[i].type), static_cast<uint32_t>(messages::kMessageTypes[i].body_max)};
    return table;
  }();
  return caps;
}

int milliseconds(Duration time) {
  const auto count = std::chrono::ceil<std::chrono::milliseconds>(time).count();
  return static_cast<int>(std::clamp<int64_t>(count, 0, 60'000));
}

}  // namespace

Gateway::Gateway(GatewayConfig config)
    : config_(std::move(config)), refusals_(config_.audit), data_connections_(body_caps()), data_ports_{.first = config_.data_addresses},
      paths_(config_.path_memory) {
  if (config_.boot == transfer::BootId{}) config_.boot = engine::read_boot_id();
}

Result<std::unique_ptr<Gateway>> Gateway::start(GatewayConfig config) {
  std::unique_ptr<Gateway> gateway(new Gateway(std::move(config)));
  const GatewayConfig& settings = gateway->config_;
  auto tls = crypto::TlsContext::create(settings.tls, read_calendar());
  if (!tls.ok()) return std::move(tls).error();
  gateway->tls_ = std::move(tls).value();
  auto signing = Signing::open(settings.signing);
  if (!signing.ok()) return std::move(signing).error();
  gateway->signing_ = std::move(signing).value();
  for (const RootConfig& root : settings.roots)
    if (Status status = gateway->open_root(root); !status.ok()) return std::move(status).error();
  auto engine = engine::Engine::start(settings.engine);
  if (!engine.ok() && settings.udp_fallback) engine = gateway->start_over_kernel(engine.error());
  if (!engine.ok()) return std::move(engine).error();
  gateway->engine_ = std::move(engine).value();
  gateway->publish_telemetry();
  if (!settings.listen) return gateway;
  auto listener = Listener::open(*settings.listen);
  if (!listener.ok()) return std::move(listener).error();
  gateway->listener_ = std::make_unique<Listener>(std::move(listener).value());
  return gateway;
}

void Gateway::publish_telemetry() {
  const auto backend = packet_io::find_backend(config_.engine.packet_backend);
  if (!backend.ok() || backend.value()->publish == nullptr) return;
  telemetry_ = std::make_shared<TelemetryBoard>();
  for (auto& command : telemetry_->commands()) backend.value()->publish(std::move(command));
}

Result<std::unique_ptr<engine::Engine>> Gateway::start_over_kernel(const Error& why) {
  log::warning("dpdk_unavailable", why.what + "; next: " + why.next + "; serving over kernel UDP at " + to_string(*config_.udp_fallback));
  engine::EngineConfig over_kernel = config_.engine;
  over_kernel.packet_backend = "udp";
  auto engine = engine::Engine::start(over_kernel);
  if (!engine.ok()) return engine;
  config_.engine = std::move(over_kernel);
  data_ports_.first = {*config_.udp_fallback};
  return engine;
}

void Gateway::end_dialled(Time now, const Error& why) {
  for (Session* session : dialled_) {
    engine::NetEvent death = engine::LaneDied{{}, why};
    session->on_event(death);
    session->channel().on_ready(now, 0);
  }
}

// The sessions end, because their lanes have; those that we dialled first, because their caller closes them. For a moment both
// engines hold their memory, so that there is always one.
void Gateway::fall_back(Time now) {
  fall_back_at_ = now + kFallBackRetry;
  if (listener_ == nullptr) return;
  if (!dialled_.empty()) {
    end_dialled(now, {Fault::kPeerLost, "the device of this gateway's port has gone", "bring it back, or let it fall back"});
    fall_back_at_ = now + kFarewell;
    return;
  }
  // Peers are told the sentence alone.
  const Error why{Fault::kUdpBlocked, "the device of the gateway's port has gone; run the same command again", "bring it back and start the gateway again"};
  if (!std::exchange(config_.engine.capture, {}).empty())  // the file is still the old engine's
    log::warning("capture_ends", "with the device whose packets it has");
  auto engine = start_over_kernel(why);
  if (!engine.ok()) return log::warning("dpdk_unavailable", engine.error().what + "; next: " + engine.error().next);
  fall_back_at_ = kNever;
  for (const auto& session : sessions_) {
    engine::NetEvent death = engine::LaneDied{{}, why};
    session->on_event(death);
    session->channel().on_ready(now, 0);  // its last word; a peer that misses it sees the connection end
  }
  sessions_.clear();
  engine_ = std::move(engine).value();
}

Status Gateway::open_root(const RootConfig& root) {
  if (Status status = roots_.open(root.name, root.path); !status.ok()) return status;
  sweep_root(root.name, *roots_.find(root.name, storage::Side::kDestination), config_.staging_ttl);
  return success();
}

Status Gateway::reload(GatewayRules rules) {
  auto tls = crypto::TlsContext::create(rules.tls, read_calendar());
  if (!tls.ok()) return std::move(tls).error();
  if (tls.value().own().identity != tls_->own().identity)
    return Error{Fault::kConfigInvalid, "the new certificate is of " + to_string(tls.value().own().identity) + ", and this gateway is " +
                     to_string(tls_->own().identity), "issue one with the name of this gateway; another name needs a restart"};
  auto signing = Signing::open(rules.signing);
  if (!signing.ok()) return std::move(signing).error();
  signing_ = std::move(signing).value();
  *tls_ = std::move(tls).value();
  config_.tls = std::move(rules.tls);
  config_.grants = std::move(rules.grants);
  const Time now = read_clock();
  for (const auto& session : sessions_) session->on_rules_changed(now);
  return success();
}

Gateway::~Gateway() {
  for (const auto& session : sessions_) remember(*session);
  sessions_.clear();  // while the engine still takes their commands
}

void Gateway::remember(const Session& session) {
  if (const auto path = session.known_path(read_calendar())) paths_.note(session.peer_name(), *path);
  if (const std::string site = session.peer_site(); !site.empty()) counts_.traffic[site].add(session.traffic());
}

void Gateway::set_rate(Rate rate) {
  config_.engine.rate = rate;
  engine_->set_rate(rate);
}

SessionCounts Gateway::counts() const {
  SessionCounts sum = counts_;
  for (const auto& session : sessions_)
    if (const std::string site = session->peer_site(); !site.empty()) sum.traffic[site].add(session->traffic());
  return sum;
}

Surroundings Gateway::surroundings() {
  const uint32_t flows = config_.flows != 0 ? config_.flows : 2 * engine_->layout().net_workers;
  return {*engine_, roots_, config_.grants, *tls_, config_.audit, refusals_, counts_, data_ports_, paths_, signing_, config_.link_sites, flows, config_.fallback,
          [this](const Session& session) { return others_of(session); }, config_.on_notice, config_.boot};
}

void Gateway::tell(const std::string& site, const messages::PhaseNotice& notice) {
  for (const auto& session : sessions_)
    if (session->peer_site() == site) session->tell(notice);
}

PeerUse Gateway::others_of(const Session& session) const {
  PeerUse use;
  const crypto::Identity& identity = session.channel().peer().identity;
  for (const auto& other : sessions_) {
    if (other.get() == &session || !other->is_accepted() || other->is_over() || other->channel().peer().identity != identity) continue;
    ++use.sessions;
    use.flows += other->flows();
    use.transfers += static_cast<uint32_t>(other->transfers());
  }
  return use;
}

Result<Session*> Gateway::dial(const PeerConfig& peer, const SessionOptions& options) {
  const Time now = read_clock();
  DialOrder order{.remote = peer.control, .local = {}, .expected = peer.identity, .connect_deadline = now + kConnectTime, .data = {}};
  auto channel = ControlChannel::dial(now, order, *tls_, body_caps());
  if (!channel.ok()) return std::move(channel).error();
  sessions_.push_back(std::make_unique<Session>(surroundings(), Side::kDialling, std::move(channel).value(), options));
  dialled_.push_back(sessions_.back().get());
  return sessions_.back().get();
}

void Gateway::close(Session* session) {
  std::erase(dialled_, session);
  data_connections_.drop(*session);
  remember(*session);
  std::erase_if(sessions_, [&](const auto& one) { return one.get() == session; });
}

std::optional<Endpoint> Gateway::control_endpoint() const {
  return listener_ == nullptr ? std::nullopt : std::optional(listener_->local_endpoint());
}

size_t Gateway::transfers() const {
  size_t count = 0;
  for (const auto& session : sessions_) count += session->transfers();
  return count;
}

void Gateway::drain(Duration at_most) {
  listener_.reset();
  for (const auto& session : sessions_) session->say_goodbye(at_most);
}

void Gateway::turn(Duration at_most, int also_fd) {
  wait(at_most, also_fd);
  const Time now = read_clock();
  if (listener_ != nullptr) accept_peers(now);
  dispatch_events();
  const auto wall = read_calendar();
  for (const auto& session : sessions_) {
    session->channel().on_ready(now, 0);
    session->poll(now, wall);
  }
  move_data_connections(now);
  drop_ended(now);
  refusals_.tell(now);
  if (now >= fall_back_at_) fall_back(now);
  if (telemetry_ != nullptr && now >= telemetry_->next_telling()) telemetry_->tell(now, sessions_, *engine_);
}

void Gateway::wait(Duration at_most, int also_fd) {
  const Time now = read_clock();
  std::vector<pollfd> fds{{engine_->wait_fd(), POLLIN, 0}, {also_fd, POLLIN, 0}};
  Time until = now + at_most;
  if (listener_ != nullptr) {
    fds.push_back({listener_->wants_events(now) ? listener_->fd() : -1, POLLIN, 0});
    until = std::min(until, listener_->next_deadline(now));
  }
  const size_t first = fds.size();
  for (const auto& session : sessions_) {
    fds.push_back({session->channel().fd(), session->channel().wanted_events(), 0});
    until = std::min(until, session->next_deadline());
  }
  const size_t first_data = fds.size();
  data_connections_.add_to(fds, until);
  if (telemetry_ != nullptr && !sessions_.empty()) until = std::min(until, telemetry_->next_telling());
  until = std::min({until, fall_back_at_, refusals_.next_telling()});
  engine_->arm();
  if (engine_->has_events()) until = now;
  poll(fds.data(), fds.size(), milliseconds(until - now));
  engine_->disarm();
  const Time later = read_clock();
  for (size_t i = 0; i < sessions_.size(); ++i)
    if (fds[first + i].revents != 0) sessions_[i]->channel().on_ready(later, fds[first + i].revents);
  data_connections_.on_ready(later, std::span(fds).subspan(first_data));
}

// What a peer dialled for data began as a session, because only its handshake tells.
void Gateway::move_data_connections(Time now) {
  for (const auto& session : sessions_)
    if (!session->is_over()) data_connections_.dial(now, *session, *tls_);
  std::vector<const Session*> moved;
  for (const auto& session : sessions_) {
    ControlChannel& channel = session->channel();
    if (channel.state() != ChannelState::kData) continue;
    if (!DataConnections::deliver(channel, sessions_))
      refusals_.refused(now, to_string(channel.peer().identity), {Fault::kProtocolError, "a connection for data of no session that waits for it", ""});
    moved.push_back(session.get());
  }
  std::erase_if(sessions_, [&](const auto& session) { return std::ranges::find(moved, session.get()) != moved.end(); });
}

void Gateway::accept_peers(Time now) {
  while (auto accepted = listener_->accept(now))
    sessions_.push_back(std::make_unique<Session>(surroundings(), Side::kAccepting,
                                                  ControlChannel::accept(now, std::move(*accepted), *tls_, body_caps())));
  for (const auto& [who, why] : listener_->take_refusals()) refusals_.refused(now, to_string(who), why);
}

void Gateway::dispatch_events() {
  while (auto event = engine_->next_net_event()) {
    if (std::holds_alternative<engine::DeviceGone>(*event) && config_.udp_fallback) fall_back_at_ = Time{};
    const auto is_for = [&](const auto& session) {
      if (const auto* bound = std::get_if<engine::PortsBound>(&*event)) return session->owns_port_request(bound->request);
      if (const auto* died = std::get_if<engine::LaneDied>(&*event)) return session->owns(died->lane);
      if (const auto* opened = std::get_if<engine::SlotOpened>(&*event)) return session->owns(opened->transfer);
      if (const auto* refused = std::get_if<engine::SlotRefused>(&*event)) return session->owns(refused->transfer);
      const auto* wanted = std::get_if<engine::KeyWanted>(&*event);
      return wanted != nullptr && session->owns(wanted->lane);
    };
    const auto found = std::find_if(sessions_.begin(), sessions_.end(), is_for);
    if (found != sessions_.end()) (*found)->on_event(*event);
  }
  while (engine_->takes_commands()) {  // an event of a transfer draws commands for each of its lanes
    auto event = engine_->next_io_event();
    if (!event) break;
    const auto handle = std::visit([](const auto& e) { return e.transfer; }, *event);
    const auto found = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& session) { return session->owns(handle); });
    if (found != sessions_.end()) (*found)->on_event(*event);
  }
}

// A session that is over lingers while its last words go out; one that somebody dialled stays until he closes it.
void Gateway::drop_ended(Time now) {
  std::erase_if(sessions_, [&](const auto& session) {
    if (!session->is_over()) return false;
    session->channel().close(now);
    data_connections_.drop(*session);
    const bool is_held = std::find(dialled_.begin(), dialled_.end(), session.get()) != dialled_.end();
    if (is_held || session->channel().state() != ChannelState::kDone) return false;
    remember(*session);
    return true;
  });
}

}  // namespace tideway::session
