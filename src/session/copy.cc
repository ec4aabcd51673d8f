// SPDX-License-Identifier: Apache-2.0
#include "session/copy.h"

#include "crypto/random_bytes.h"
#include "session/transfer_id.h"

#include <sys/stat.h>

namespace tideway::session {
namespace {

Result<storage::ScanSource> local_source(const LocalAddress& address, const OpenLocal& open_local) {
  auto place = open_local(address.path, storage::Side::kSource);
  if (!place.ok()) return std::move(place).error();
  return storage::ScanSource{std::move(place.value().dir), std::move(place.value().name), std::move(place.value().as), place.value().held};
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

Error two_sides() {
  return {Fault::kUsage, "a copy has one side on this machine and one at a peer",
          "write peer:root/path for exactly one of the two sides"};
}

Result<std::shared_ptr<Transfer>> push(Session& session, const TransferId& id, CopyRequest request, const OpenLocal& open_local) {
  const auto& to = std::get<RemoteAddress>(request.destination);
  engine::StartSource start;
  messages::OpenTransfer open;
  open.transfer = id;
  open.job = request.job;
  for (const Address& source : request.sources) {
    auto opened = local_source(std::get<LocalAddress>(source), open_local);
    if (!opened.ok()) return std::move(opened).error();
    const ObjectName shown = opened.value().name.is_root() ? storage::single_name(opened.value().as) : storage::single_name(opened.value().name.last());
    if (request.sources.size() == 1) open.sources.push_back(shown);  // what a single file is called inside a directory
    start.scan.sources.push_back(std::move(opened).value());
  }
  if (start.scan.sources.size() > 1) start.scan.form = storage::ScanForm::kTogether;
  if (Status status = add_filters(request.filters, start.scan.filter); !status.ok()) return std::move(status).error();
  if (request.only) {
    start.scan.only.emplace();
    for (ObjectName& name : *request.only) start.scan.only->add(std::move(name));
  }
  start.options = request.options;
  if (request.options.dry_run) start.content = engine::StartSource::Content::kManifestOnly;
  if (request.source == CopyRequest::Source::kGrowing) start.content = engine::StartSource::Content::kGrowing;
  open.direction = messages::Direction::kPush;
  open.root = to.root;
  open.name = to.name;
  open.destination = form_of(to.trailing);
  open.options = request.options;
  open.transfer_class = request.transfer_class;
  return session.push(std::move(start), std::move(open));
}

// The directory that another tree takes the place of, as what it is called where it lies; nothing when it is not to be replaced.
std::optional<SplitPath> replaced(const LocalAddress& to, const messages::TransferOptions& options) {
  const bool as_a_whole = options.overwrite == messages::Overwrite::kAlways && options.publish == messages::PublishForm::kRename;
  SplitPath parts = split_path(to.path);
  if (!as_a_whole || to.trailing == Trailing::kSlash || parts.last.empty()) return std::nullopt;
  return parts;
}

Result<std::shared_ptr<Transfer>> pull(Session& session, const TransferId& id, CopyRequest request, const OpenLocal& open_local) {
  const auto& to = std::get<LocalAddress>(request.destination);
  const auto& first = std::get<RemoteAddress>(request.sources.front());
  messages::OpenTransfer open;
  open.transfer = id;
  open.job = request.job;
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
  const auto former = replaced(to, request.options);
  auto place = open_local(former ? former->parent : to.path, storage::Side::kDestination);
  if (!place.ok()) return std::move(place).error();
  if (former && !place.value().name.is_root()) return Error{Fault::kTypeConflict, "\"" + former->parent + "\" is no directory", "make it first"};
  if (former) place.value().name = storage::single_name(former->last);
  start.root = std::move(place.value().dir);
  start.destination = std::move(place.value().name);
  start.form = form_of(to.trailing);
  start.source_name = first.name.is_root() ? first.root : first.name.last();
  start.options = request.options;
  if (request.options.dry_run) start.content = engine::StartSource::Content::kManifestOnly;
  if (request.gathers) {
    start.gather = std::move(request.gathers->part);
    start.staging = request.gathers->staging;
  }
  open.direction = messages::Direction::kPull;
  open.root = first.root;
  open.name = request.sources.size() > 1 ? ObjectName() : first.name;
  open.options = request.options;
  open.transfer_class = request.transfer_class;
  open.filters = request.filters;
  return session.pull(std::move(start), std::move(open));
}

}  // namespace

SplitPath split_path(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string last = slash == path.npos ? path : path.substr(slash + 1);
  if (!is_component(last)) return {path, ""};
  if (slash == path.npos) return {".", last};
  return {slash == 0 ? "/" : path.substr(0, slash), last};
}

// A dry run leaves nothing to go on from, and is not to be in the way of a copy.
TransferId id_of(const CopyRequest& request) {
  if (request.options.dry_run) {
    TransferId id{};
    crypto::random_bytes(id);
    return id;
  }
  const auto trailing = std::visit([](const auto& to) { return to.trailing; }, request.destination);
  CopyIdentity copy{{}, spelled(request.destination), form_of(trailing), request.options, request.filters, request.only};
  for (const Address& source : request.sources) copy.sources.push_back(spelled(source));
  return direct_transfer_id(copy);
}

Result<std::string> peer_of(const CopyRequest& request) {
  const bool pushes = std::holds_alternative<RemoteAddress>(request.destination);
  for (const Address& source : request.sources)
    if (std::holds_alternative<RemoteAddress>(source) == pushes) return two_sides();
  return std::get<RemoteAddress>(pushes ? request.destination : request.sources.front()).peer;
}

Result<std::shared_ptr<Transfer>> start_copy(Session& session, const TransferId& id, CopyRequest request, const OpenLocal& open_local) {
  if (const auto peer = peer_of(request); !peer.ok()) return peer.error();
  const bool pushes = std::holds_alternative<RemoteAddress>(request.destination);
  return pushes ? push(session, id, std::move(request), open_local) : pull(session, id, std::move(request), open_local);
}

Result<LocalPlace> open_local(std::string path, storage::Side side) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const SplitPath parts = split_path(path);
  struct stat status{};
  const bool is_directory = ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  auto dir = open_holding_dir(is_directory ? path : parts.parent, side);
  if (!dir.ok()) return std::move(dir).error();
  LocalPlace place{std::move(dir).value(), {}, {}};
  if (is_directory || parts.last.empty()) place.as = parts.last.empty() ? "root" : parts.last;
  else place.name = storage::single_name(parts.last);
  // Said before a peer is asked for anything. A gateway does not look here: its disk may hang, and the scan says the same.
  if (side != storage::Side::kSource) return place;
  const auto there = place.dir->stat(place.name);
  return there.ok() ? Result<LocalPlace>(std::move(place)) : there.error();
}

CopyNumbers numbers_of(const Transfer& transfer, const Session* session, const engine::Engine& engine) {
  const engine::TransferBoard& board = *transfer.board;
  CopyNumbers numbers;
  numbers.entries = board.entries.get();
  numbers.failed = board.failed.get();
  numbers.skipped = board.skipped.get();
  numbers.kept = board.kept.get();
  numbers.leaves_rejected = board.leaves_rejected.get();
  numbers.bytes_listed = Bytes(board.bytes_listed.get());
  numbers.bytes_needed = Bytes(board.bytes_needed.get());
  numbers.bytes_held = Bytes(board.bytes_held.get());
  numbers.bytes_durable = Bytes(board.bytes_durable.get());
  numbers.bytes_verified = Bytes(board.bytes_verified.get());
  numbers.bytes_raw = Bytes(board.bytes_raw.get());
  numbers.bytes_packed = Bytes(board.bytes_packed.get());
  if (transfer.outcome) numbers.stage = CopyNumbers::Stage::kOver;
  else if (session == nullptr || !session->is_up()) numbers.stage = CopyNumbers::Stage::kConnect;
  else if (board.is_scanning.get() != 0) numbers.stage = CopyNumbers::Stage::kScan;
  else if (numbers.bytes_verified < numbers.bytes_needed) numbers.stage = CopyNumbers::Stage::kSend;
  else numbers.stage = CopyNumbers::Stage::kPublish;
  numbers.bottleneck = bottleneck_of(transfer.role == Role::kSource ? Stalls{transfer.stall.verdict(), transfer.peer_stall} : Stalls{transfer.peer_stall, transfer.stall.verdict()});
  numbers.losses = engine.losses();
  numbers.backend = engine.packet_backend();
  if (session == nullptr) return numbers;
  if (session->delivery() == Delivery::kStream) numbers.backend = "tls";
  for (const engine::LaneHandle handle : session->lanes()) {
    const auto lane = engine.lane_board(handle);
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
