// SPDX-License-Identifier: Apache-2.0
#include "session/direct.h"

#include "base/clock.h"
#include "crypto/random_bytes.h"
#include "engine/repair.h"
#include "session/transfer_id.h"
#include "session/verify_tree.h"

#include <sys/stat.h>

#include <chrono>

namespace tideway::session {
namespace {

constexpr Duration kPartingTime = std::chrono::seconds(1);
constexpr Duration kDialPauseMin = std::chrono::milliseconds(250), kDialPauseMax = std::chrono::seconds(2);

struct SplitPath {
  std::string parent;
  std::string last;  // empty of "/", "." and ".."
};
SplitPath split(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string last = slash == path.npos ? path : path.substr(slash + 1);
  if (!is_component(last)) return {path, ""};
  if (slash == path.npos) return {".", last};
  return {slash == 0 ? "/" : path.substr(0, slash), last};
}

TransferId random_id() {
  TransferId id{};
  crypto::random_bytes(id);
  return id;
}

Result<storage::ScanSource> local_source(const LocalAddress& address) {
  auto place = open_local(address.path, storage::Side::kSource);
  if (!place.ok()) return std::move(place).error();
  if (const auto stat = place.value().dir->stat(place.value().name); !stat.ok()) return stat.error();
  return storage::ScanSource{std::move(place.value().dir), std::move(place.value().name), std::move(place.value().as)};
}

Status add_filters(const std::vector<messages::Filter>& filters, storage::Filter& filter) {
  for (const messages::Filter& one : filters) {
    const auto verdict = one.kind == messages::FilterKind::kInclude ? storage::Verdict::kInclude : storage::Verdict::kExclude;
    if (Status status = filter.add(verdict, one.pattern); !status.ok()) return status;
  }
  return success();
}

std::string spelled(const Address& address) {
  if (const auto* local = std::get_if<LocalAddress>(&address)) return absolute_path(local->path);
  return to_display(std::get<RemoteAddress>(address));
}

messages::DestinationForm form_of(Trailing trailing) {
  return trailing == Trailing::kSlash ? messages::DestinationForm::kIntoDirectory : messages::DestinationForm::kAsGiven;
}

// A dry run leaves nothing to go on from, and is not to be in the way of a copy.
TransferId id_of(const CopyRequest& request) {
  if (request.options.dry_run) return random_id();
  const auto trailing = std::visit([](const auto& to) { return to.trailing; }, request.destination);
  CopyIdentity copy{{}, spelled(request.destination), form_of(trailing), request.options, request.filters, request.only};
  for (const Address& source : request.sources) copy.sources.push_back(spelled(source));
  return direct_transfer_id(copy);
}

Error two_sides() {
  return {Fault::kUsage, "a copy has one side on this machine and one at a peer",
          "write peer:root/path for exactly one of the two sides"};
}

}  // namespace

Result<LocalPlace> open_local(std::string path, storage::Side side) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const SplitPath parts = split(path);
  struct stat status{};
  const bool is_directory = ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  auto dir = open_holding_dir(is_directory ? path : parts.parent, side);
  if (!dir.ok()) return std::move(dir).error();
  LocalPlace place{std::move(dir).value(), {}, {}};
  if (is_directory || parts.last.empty()) place.as = parts.last.empty() ? "root" : parts.last;
  else place.name = storage::single_name(parts.last);
  return place;
}

Result<std::unique_ptr<Direct>> Direct::copy(const GatewayConfig& gateway, const PeerConfig& peer, CopyRequest request) {
  const bool pushes = std::holds_alternative<RemoteAddress>(request.destination);
  for (const Address& source : request.sources)
    if (std::holds_alternative<RemoteAddress>(source) == pushes) return two_sides();
  std::unique_ptr<Direct> direct(new Direct(peer));
  direct->request_ = std::move(request);
  if (Status status = direct->begin(gateway); !status.ok()) return std::move(status).error();
  if (Status status = direct->ask(); !status.ok()) return std::move(status).error();
  return direct;
}

Result<std::unique_ptr<Direct>> Direct::list(const GatewayConfig& gateway, const PeerConfig& peer, const RemoteAddress& address) {
  std::unique_ptr<Direct> direct(new Direct(peer));
  if (Status status = direct->begin(gateway); !status.ok()) return std::move(status).error();
  messages::OpenTransfer open;
  open.transfer = random_id();
  open.direction = messages::Direction::kList;
  open.transfer_class = "best-effort";
  open.root = address.root;
  open.name = address.name;
  open.depth = 1;
  engine::StartSink start;
  start.content = engine::StartSource::Content::kManifestOnly;
  direct->watch(direct->session_->pull(std::move(start), std::move(open)));
  return direct;
}

// Staged beside the tree and not in it, where that is one file system.
static Result<LocalPlace> place_of(const StoredTree& tree) {
  const SplitPath parts = split(tree.host);
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
  std::unique_ptr<Direct> direct(new Direct(peer));
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
  auto session = gateway_->dial(peer_);
  if (!session.ok()) return std::move(session).error();
  session_ = session.value();
  return success();
}

Status Direct::ask() {
  const bool pushes = std::holds_alternative<RemoteAddress>(request_->destination);
  return pushes ? push(*request_) : pull(*request_);
}

void Direct::watch(std::shared_ptr<Transfer> transfer) {
  transfer_ = std::move(transfer);
  transfer_->on_report = [this](const engine::EntryReported& report) { reports_.push_back(report); };
  transfer_->on_entry = [this](const ManifestEntry& entry) { entries_.push_back(entry); };
}

Status Direct::push(CopyRequest request) {
  const auto& to = std::get<RemoteAddress>(request.destination);
  engine::StartSource start;
  messages::OpenTransfer open;
  open.transfer = id_of(request);
  for (const Address& source : request.sources) {
    auto opened = local_source(std::get<LocalAddress>(source));
    if (!opened.ok()) return std::move(opened).error();
    const ObjectName shown = opened.value().name.is_root() ? storage::single_name(opened.value().as) : storage::single_name(opened.value().name.last());
    if (request.sources.size() == 1) open.sources.push_back(shown);  // what a single file is called inside a directory
    start.scan.sources.push_back(std::move(opened).value());
  }
  if (start.scan.sources.size() > 1) start.scan.form = storage::ScanForm::kTogether;
  if (Status status = add_filters(request.filters, start.scan.filter); !status.ok()) return status;
  if (request.only) {
    start.scan.only.emplace();
    for (ObjectName& name : *request.only) start.scan.only->add(std::move(name));
  }
  start.options = request.options;
  if (request.options.dry_run) start.content = engine::StartSource::Content::kManifestOnly;
  open.direction = messages::Direction::kPush;
  open.root = to.root;
  open.name = to.name;
  open.destination = form_of(to.trailing);
  open.options = request.options;
  open.transfer_class = "best-effort";
  watch(session_->push(std::move(start), std::move(open)));
  return success();
}

Status Direct::pull(CopyRequest request) {
  const auto& to = std::get<LocalAddress>(request.destination);
  const auto& first = std::get<RemoteAddress>(request.sources.front());
  messages::OpenTransfer open;
  open.transfer = id_of(request);
  for (const Address& source : request.sources) {
    const auto& remote = std::get<RemoteAddress>(source);
    if (remote.peer != first.peer || remote.root != first.root)
      return Error{Fault::kUsage, "the sources lie at two peers or under two roots", "copy them one after the other"};
    if (request.sources.size() > 1) open.sources.push_back(remote.name);
  }
  if (request.only) {
    size_t bytes = 0;
    for (const ObjectName& name : *request.only) bytes += to_display(name).size() + 1;
    if (request.only->size() > messages::kOnlyMax || bytes > messages::kOnlyBytesMax)
      return Error{Fault::kUsage, "--files-from names more than one request of a pull may carry: " + std::to_string(messages::kOnlyMax) + " names, " +
                       std::to_string(messages::kOnlyBytesMax >> 10) + " KiB", "split the list, or use --include patterns"};
    open.only = std::move(*request.only);
  }
  engine::StartSink start;
  auto place = open_local(to.path, storage::Side::kDestination);
  if (!place.ok()) return std::move(place).error();
  start.root = std::move(place.value().dir);
  start.destination = std::move(place.value().name);
  // No daemon does it here. What cannot be swept is no reason not to copy.
  static_cast<void>(sweep_old_staging(*start.root, request.staging_ttl).ok());
  start.form = form_of(to.trailing);
  start.source_name = first.name.is_root() ? first.root : first.name.last();
  start.options = request.options;
  if (request.options.dry_run) start.content = engine::StartSource::Content::kManifestOnly;
  open.direction = messages::Direction::kPull;
  open.root = first.root;
  open.name = request.sources.size() > 1 ? ObjectName() : first.name;
  open.options = request.options;
  open.transfer_class = "best-effort";
  open.filters = request.filters;
  watch(session_->pull(std::move(start), std::move(open)));
  return success();
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
  if (!outcome_) return true;
  if (!outcome_->ok() && may_reconnect(outcome_->error())) {
    lose_session();
    return true;
  }
  if (!outcome_->ok() && outcome_->error().fault == Fault::kPeerUnreachable && lost_why_) outcome_ = *lost_why_;
  part();
  return false;
}

// Not before the first session was up: who names a wrong peer is to know it at once. A peer that has not noticed yet that it was
// lost holds on to the staging of this very copy.
bool Direct::may_reconnect(const Error& why) const {
  const bool is_gone = why.fault == Fault::kPeerLost || why.fault == Fault::kPeerUnreachable;
  const bool was_lost = lost_at_ != kNever && lost_at_ != Time{};
  if (!is_gone && !(was_lost && why.fault == Fault::kDestBusy)) return false;
  if (!request_ || request_->options.dry_run || lost_at_ == kNever) return false;
  return !was_lost || read_clock() < lost_at_ + kReconnectTime;
}

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
  const engine::TransferBoard& board = *transfer_->board;
  CopyNumbers numbers;
  numbers.entries = board.entries.get();
  numbers.failed = board.failed.get();
  numbers.skipped = board.skipped.get();
  numbers.kept = board.kept.get();
  numbers.leaves_rejected = board.leaves_rejected.get();
  numbers.bytes_listed = Bytes(board.bytes_listed.get());
  numbers.bytes_needed = Bytes(board.bytes_needed.get());
  numbers.bytes_held = Bytes(board.bytes_held.get());
  numbers.bytes_verified = Bytes(board.bytes_verified.get());
  numbers.bytes_raw = Bytes(board.bytes_raw.get());
  numbers.bytes_packed = Bytes(board.bytes_packed.get());
  if (outcome_) numbers.stage = CopyNumbers::Stage::kOver;
  else if (session_ == nullptr || !session_->is_up()) numbers.stage = CopyNumbers::Stage::kConnect;
  else if (board.is_scanning.get() != 0) numbers.stage = CopyNumbers::Stage::kScan;
  else if (numbers.bytes_verified < numbers.bytes_needed) numbers.stage = CopyNumbers::Stage::kSend;
  else numbers.stage = CopyNumbers::Stage::kPublish;
  numbers.losses = gateway_->engine().losses();
  numbers.backend = gateway_->engine().packet_backend();
  if (session_ == nullptr) return numbers;
  for (const engine::LaneHandle handle : session_->lanes()) {
    const auto lane = gateway_->engine().lane_board(handle);
    if (lane == nullptr) continue;
    for (const engine::FlowBoard& flow : lane->flows) {
      numbers.packets_sent += flow.packets_sent.get();
      numbers.packets_lost += flow.packets_lost.get();
      numbers.flows += flow.is_open.get();
      numbers.path_mtu = std::max(numbers.path_mtu, flow.path_mtu.get());
      numbers.rtt = std::max(numbers.rtt, Duration(static_cast<int64_t>(flow.rtt_ns.get())));
    }
  }
  return numbers;
}

}  // namespace tideway::session
