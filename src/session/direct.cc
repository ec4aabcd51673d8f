// SPDX-License-Identifier: Apache-2.0
#include "session/direct.h"

#include "base/clock.h"
#include "crypto/random_bytes.h"
#include "engine/repair.h"
#include "session/transfer_id.h"
#include "session/verify_tree.h"

#include <chrono>

namespace tideway::session {
namespace {

constexpr Duration kPartingTime = std::chrono::seconds(1);
constexpr Duration kDialPauseMin = std::chrono::milliseconds(250), kDialPauseMax = std::chrono::seconds(2);

TransferId random_id() {
  TransferId id{};
  crypto::random_bytes(id);
  return id;
}

}  // namespace

Result<std::unique_ptr<Direct>> Direct::copy(const GatewayConfig& gateway, const PeerConfig& peer, CopyRequest request) {
  if (const auto named = peer_of(request); !named.ok()) return named.error();
  std::unique_ptr<Direct> direct(new Direct(peer, gateway));
  direct->request_ = std::move(request);
  if (Status status = direct->begin(gateway); !status.ok()) return std::move(status).error();
  if (Status status = direct->ask(); !status.ok()) return std::move(status).error();
  return direct;
}

Result<std::unique_ptr<Direct>> Direct::list(const GatewayConfig& gateway, const PeerConfig& peer, const RemoteAddress& address, uint32_t depth) {
  std::unique_ptr<Direct> direct(new Direct(peer, gateway));
  if (Status status = direct->begin(gateway); !status.ok()) return std::move(status).error();
  messages::OpenTransfer open;
  open.transfer = random_id();
  open.direction = messages::Direction::kList;
  open.transfer_class = "best-effort";
  open.root = address.root;
  open.name = address.name;
  open.depth = depth;
  engine::StartSink start;
  start.content = engine::StartSource::Content::kManifestOnly;
  direct->watch(direct->session_->pull(std::move(start), std::move(open)));
  return direct;
}

// Staged beside the tree and not in it, where that is one file system.
static Result<LocalPlace> place_of(const StoredTree& tree) {
  const SplitPath parts = split_path(tree.host);
  if (tree.name.is_root() && !parts.last.empty()) {
    auto above = open_holding_dir(parts.parent, storage::Side::kDestination);
    const ObjectName name = storage::single_name(parts.last);
    if (above.ok() && above.value()->open_dir(name).ok()) return LocalPlace{std::move(above).value(), name, {}};
  }
  auto dir = open_holding_dir(tree.host, storage::Side::kDestination);
  if (!dir.ok()) return std::move(dir).error();
  return LocalPlace{std::move(dir).value(), tree.name, {}};
}

Result<std::unique_ptr<Direct>> Direct::repair(const GatewayConfig& gateway, const PeerConfig& peer, RepairRequest request) {
  auto tree = find_stored_tree(request.path);
  if (!tree.ok()) return std::move(tree).error();
  auto place = place_of(tree.value());
  if (!place.ok()) return std::move(place).error();
  std::unique_ptr<Direct> direct(new Direct(peer, gateway));
  if (Status status = direct->begin(gateway); !status.ok()) return std::move(status).error();
  messages::OpenTransfer open;
  open.transfer = repair_transfer_id(absolute_path(request.path));
  open.direction = messages::Direction::kPull;
  open.root = request.from.root;
  open.name = request.from.name;
  open.transfer_class = "best-effort";
  engine::StartSink start;
  start.root = std::move(place.value().dir);
  start.destination = place.value().name;
  start.modes = tree.value().manifest.header().modes;
  start.repair = std::make_shared<const engine::RepairOrder>(
      engine::RepairOrder{std::move(tree.value().manifest), std::move(place.value().name), std::move(request.damaged)});
  direct->watch(direct->session_->pull(std::move(start), std::move(open)));
  return direct;
}

Status Direct::begin(const GatewayConfig& gateway) {
  auto started = Gateway::start(gateway);
  if (!started.ok()) return std::move(started).error();
  gateway_ = std::move(started).value();
  return dial();
}

Status Direct::dial() {
  using Policing = SessionOptions::Policing;
  const bool may_change = request_ && !request_->options.dry_run && carrier_.wants_trial(read_clock());
  auto session = gateway_->dial(peer_, {.delivery = carrier_.delivery(), .policing = may_change ? Policing::kReported : Policing::kBorne});
  if (!session.ok()) return std::move(session).error();
  session_ = session.value();
  return success();
}

Status Direct::ask() {
  const auto open = [&](const std::string& path, storage::Side side) {
    auto place = open_local(path, side);
    // No daemon does it here. What cannot be swept is no reason not to copy.
    if (place.ok() && side == storage::Side::kDestination) static_cast<void>(sweep_old_staging(*place.value().dir, request_->staging_ttl).ok());
    return place;
  };
  auto transfer = start_copy(*session_, id_of(*request_), *request_, open);
  if (!transfer.ok()) return std::move(transfer).error();
  watch(std::move(transfer).value());
  return success();
}

void Direct::watch(std::shared_ptr<Transfer> transfer) {
  transfer_ = std::move(transfer);
  transfer_->on_report = [this](const engine::EntryReported& report) { reports_.push_back(report); };
  transfer_->on_entry = [this](const ManifestEntry& entry) { entries_.push_back(entry); };
}

bool Direct::turn(Duration at_most, int also_fd) {
  if (outcome_) return false;
  gateway_->turn(session_ == nullptr ? std::min(at_most, kDialPauseMin) : at_most, also_fd);
  if (session_ == nullptr) {
    reconnect();
    return !outcome_;
  }
  const bool goes_on = transfer_->board->bytes_verified.get() + transfer_->board->bytes_held.get() > 0;
  if (goes_on || (lost_at_ == kNever && session_->is_up())) lost_at_ = Time{};
  if (transfer_->outcome) outcome_ = *transfer_->outcome;
  else if (session_->is_over()) outcome_ = session_->error();
  else judge_carrier();
  if (!outcome_) return true;
  if (!outcome_->ok() && may_reconnect(outcome_->error())) {
    lose_session();
    return true;
  }
  if (!outcome_->ok() && outcome_->error().fault == Fault::kPeerUnreachable && lost_why_) outcome_ = *lost_why_;
  explain_refusal();
  part();
  return false;
}

// A peer whose greeting fitted, and whose version does not know the question.
void Direct::explain_refusal() {
  const bool is_unknown = lists_roots(transfer_->request) && !outcome_->ok() && outcome_->error().fault == Fault::kProtocolVersion && !session_->peer_site().empty();
  if (!is_unknown) return;
  outcome_ = Error{Fault::kProtocolVersion, "the gateway of " + peer_.name + " is of a version that does not tell its roots",
                   "upgrade it, or write " + peer_.name + ":ROOT/PATH; the operator of that site says which roots there are"};
}

// Not before the first session was up: who names a wrong peer is to know it at once. A peer that has not noticed yet that it was
// lost holds on to the staging of this very copy.
bool Direct::may_reconnect(const Error& why) {
  const bool is_gone = why.fault == Fault::kPeerLost || why.fault == Fault::kPeerUnreachable;
  const bool was_lost = lost_at_ != kNever && lost_at_ != Time{};
  if (!request_ || request_->options.dry_run || lost_at_ == kNever) return false;
  if (change_carrier(why)) return true;
  if (!is_gone && !(was_lost && why.fault == Fault::kDestBusy)) return false;
  return !was_lost || read_clock() < lost_at_ + kReconnectTime;
}

bool Direct::change_carrier(const Error& why) {
  if (!carrier_.on_ended(read_clock(), why.fault, session_->policing().rate_policed())) return false;
  const std::string over_tls = " over TLS connections to " + to_string(peer_.control);
  if (carrier_.delivery() == Delivery::kDatagram) notices_.push_back({Fault::kUdpBlocked, "the peer carries no packets over TLS; going on over UDP", why.next});
  else if (carrier_.is_trial()) notices_.push_back({Fault::kUdpBlocked, why.what + "; trying whether more passes" + over_tls, why.next});
  else notices_.push_back({Fault::kUdpBlocked, "UDP does not come through; going on" + over_tls, why.next});
  return true;
}

// While there is something to send: a connection without work shows nothing.
void Direct::judge_carrier() {
  if (read_clock() >= carrier_.asks_at()) {
    carrier_.ask_again();
    return leave_carrier("the session ends to ask whether UDP comes through again");
  }
  const UdpPolicing& path = session_->policing();
  if (!carrier_.is_trial() || path.watched() < CarrierChoice::kTrial || numbers().stage != CopyNumbers::Stage::kSend) return;
  if (carrier_.judge(path.rate_best())) return;
  notices_.push_back({Fault::kUdpBlocked, "TLS connections carry no more than UDP does; going back to it", ""});
  leave_carrier("the session ends to go back to UDP");
}

// By a new session; the old one has no way to take other lanes.
void Direct::leave_carrier(std::string why) { outcome_ = Error{Fault::kPeerLost, std::move(why), ""}; }

void Direct::lose_session() {
  const Time now = read_clock();
  if (lost_at_ == Time{}) {
    lost_at_ = now;
    lost_why_ = outcome_->error();
    dial_pause_ = kDialPauseMin;
  }
  dials_at_ = now + dial_pause_;
  dial_pause_ = std::min(dial_pause_ * 2, kDialPauseMax);
  outcome_.reset();
  gateway_->close(std::exchange(session_, nullptr));
}

void Direct::reconnect() {
  if (read_clock() < dials_at_) return;
  Status status = dial();
  if (status.ok()) status = ask();
  if (!status.ok()) outcome_ = status.error();
}

// Our last words leave before the process does; the peer's answer to them need not be waited for.
void Direct::part() {
  if (session_ == nullptr) return;
  session_->say_goodbye({});
  const Time give_up = read_clock() + kPartingTime;
  while (!session_->is_over() && session_->channel().has_output() && read_clock() < give_up)
    gateway_->turn(std::chrono::milliseconds(10));
}

void Direct::cancel() {
  if (session_ == nullptr) {
    outcome_ = Error{Fault::kCancelled, "interrupted", "run the same command again"};
    return;
  }
  session_->cancel(*transfer_, {Fault::kCancelled, "interrupted", "run the same command again"});
}

CopyNumbers Direct::numbers() const {
  CopyNumbers numbers = numbers_of(*transfer_, session_, gateway_->engine());
  if (outcome_) numbers.stage = CopyNumbers::Stage::kOver;
  return numbers;
}

}  // namespace tideway::session
