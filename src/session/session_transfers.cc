// SPDX-License-Identifier: Apache-2.0
//
// The transfers of a session: how they are asked for, allowed, answered and ended. The greeting and the routing of
// messages are in session.cc.
#include "session/session.h"

#include "base/log.h"
#include "checkpoint/tracker.h"
#include "session/transfer_id.h"
#include "crypto/random_bytes.h"

#include <algorithm>
#include <limits>

namespace tideway::session {
namespace {

constexpr size_t kClosingMax = 1024;     // transfers that are over here and not at the peer
constexpr Duration kAuditPatience = std::chrono::seconds(2);  // with a disk that hangs; one that fails is not waited for
constexpr uint64_t kBlocksReserved = 2;  // what a lane gives a transfer in any case; start credit of a pull

messages::PeerError to_message(const Transfer& transfer, const Error& why) {
  std::string detail = why.what;
  if (!why.next.empty()) detail += "; " + why.next;
  return {std::string(why.name()), messages::Reaction::kTransferEnds, detail, transfer.id, {}, 0};
}

// Whether another run may go on from what a sink has. After damage or nonsense all is sent anew, or it would end like this again;
// but of a source that is damaged nothing wrong was kept.
bool is_staging_worth(const Error& why) {
  if (why.fault == Fault::kSourceCorrupt) return true;
  return why.exit_code() != row_of(Fault::kHashMismatch).exit_code && why.fault != Fault::kProtocolError;
}

// Before it is asked for, a transfer is nothing to the peer, and the first thing that a peer hears is Hello.
bool is_known_there(Side side, const Transfer& transfer) { return side == Side::kAccepting || transfer.stage != Stage::kPreparing; }

// The peer's word on why a transfer ended. A code of a later version is handled by its reaction.
Error from_message(const messages::PeerError& error) {
  const auto fault = fault_named(error.code);
  if (fault) return {*fault, error.detail, ""};
  return {Fault::kCancelled, "the peer ended it with " + error.code + ": " + error.detail, ""};
}

}  // namespace

// ---- asking --------------------------------------------------------------------------------------------------------

std::shared_ptr<Transfer> Session::add_transfer(Role role, messages::OpenTransfer request) {
  auto transfer = std::make_shared<Transfer>();
  transfer->handle = around_.engine.new_transfer();
  transfer->role = role;
  transfer->id = request.transfer;
  transfer->request = std::move(request);
  by_id_[transfer->id] = transfer;
  by_handle_[transfer->handle] = transfer->id;
  return transfer;
}

std::shared_ptr<Transfer> Session::push(engine::StartSource start, messages::OpenTransfer request) {
  auto transfer = add_transfer(Role::kSource, std::move(request));
  start.transfer = transfer->handle;
  start.id = transfer->id;
  start.board = transfer->board;
  start.held = held_of_peers();
  around_.engine.post(std::move(start));
  if (greeted_) ask(*transfer);
  return transfer;
}

// A pull is asked for when our side is ready to receive, so that the answer may be followed by blocks at once.
std::shared_ptr<Transfer> Session::pull(engine::StartSink start, messages::OpenTransfer request) {
  auto transfer = add_transfer(Role::kSink, std::move(request));
  start.transfer = transfer->handle;
  start.id = transfer->id;
  if (!start.gather) start.staging = transfer->id;
  start.peer = to_string(channel_->remote_endpoint());  // its name may not be known yet
  transfer->is_gathered = start.gather.has_value();
  start.boot = around_.boot;
  start.board = transfer->board;
  around_.engine.post(std::move(start));
  return transfer;
}

std::shared_ptr<Transfer> Session::remove(messages::RemoveTree order) {
  messages::OpenTransfer request;
  request.transfer = order.transfer;
  request.direction = messages::Direction::kRemove;
  request.root = order.root;
  request.name = order.name;
  auto transfer = add_transfer(Role::kSource, std::move(request));
  transfer->removal = std::move(order);
  if (greeted_) ask(*transfer);
  return transfer;
}

void Session::ask(Transfer& transfer) {
  transfer.stage = Stage::kAsked;
  if (transfer.removal) send(*transfer.removal);
  else if (lists_roots(transfer.request)) send(messages::ListRoots{transfer.id});
  else send(transfer.request);
}

void Session::on_sink_ready(const engine::SinkReady& ready) {
  Transfer* transfer = find(ready.transfer);
  if (transfer == nullptr || transfer->outcome) return;
  transfer->is_ready = true;
  const bool is_fresh = ready.needed == engine::SourceAccepted::Needed::kEverything;
  const uint64_t credit = kBlocksReserved * kCreditUnit;
  if (transfer->request.direction != messages::Direction::kPush && only_lists(transfer->request)) {
    if (greeted_) ask(*transfer);
    return;
  }
  transfer->slot = our_slots_.take(now_);
  if (!transfer->slot) return give_up(ready.transfer, {Fault::kOverloaded, "all transfer slots of this session rest", "try again in a minute"});
  if (transfer->request.direction == messages::Direction::kPull) {
    transfer->request.everything_needed = is_fresh;
    transfer->request.sink = messages::SinkStart{*transfer->slot, credit};
    if (lanes_.are_open()) open_slot(*transfer, engine::OpenSlot::Role::kReceiving, credit);
    if (greeted_) ask(*transfer);
    return;
  }
  messages::TransferAccepted& accepted = transfer->acceptance.emplace();
  accepted.transfer = transfer->id;
  accepted.slot = *transfer->slot;
  accepted.credit = UINT64_MAX;
  accepted.everything_needed = is_fresh;
  accepted.destination = transfer->request.name;
  accepted.publish = ready.publish;
  accepted.rate_max = transfer->rate_max;
  transfer->lanes_opening = lanes_.handles().size();
  open_slot(*transfer, engine::OpenSlot::Role::kReceiving, credit);
}

// The peer starts with the credit that the scarcest lane gives. With less it would stand still for a round trip once that is
// used up; lanes that give more say so in CREDIT frames.
void Session::on_slot_opened(const engine::SlotOpened& opened) {
  Transfer* transfer = find(opened.transfer);
  if (transfer == nullptr || !transfer->acceptance) return;  // a pull
  transfer->acceptance->credit = std::min(transfer->acceptance->credit, opened.credit.count());
  if (--transfer->lanes_opening > 0) return;
  const auto accepted = std::exchange(transfer->acceptance, {});
  if (transfer->outcome) return;
  transfer->stage = Stage::kRunning;
  send(*accepted);
}

// What the lanes may send is what their transfers may, together; where that is nothing, nothing.
void Session::set_ceiling() {
  std::optional<Rate> sum;
  Rate in_bursts;
  for (const auto& [id, transfer] : by_id_) {
    if (transfer->role != Role::kSource || !transfer->slot) continue;
    sum = sum.value_or(Rate()) + std::min(transfer->rate_max, transfer->rate_own);
    in_bursts = in_bursts + transfer->in_bursts;
  }
  if (sum) lanes_.set_ceiling(*sum, in_bursts);
}

void Session::limit_rate(Transfer& transfer, Rate rate, Rate in_bursts) {
  transfer.rate_own = rate;
  transfer.in_bursts = in_bursts;
  if (lanes_.are_open()) set_ceiling();
}

void Session::grow(const Transfer& transfer, std::vector<engine::GrownPart> parts) {
  if (!transfer.outcome) around_.engine.post(engine::Grown{transfer.handle, std::move(parts)});
}

void Session::open_slot(Transfer& transfer, engine::OpenSlot::Role role, uint64_t credit) {
  engine::OpenSlot slot{role, {}, *transfer.slot, transfer.handle, credit};
  const bool takes_its_word = transfer.request.options.verify == messages::VerifyLevel::kWire && !transfer.is_gathered;
  if (takes_its_word) slot.hashes = block::LeafHashes::kTrusted;
  slot.account = account_of(transfer.request.transfer_class);
  lanes_.open_slot(slot);
}

void Session::start_source(Transfer& transfer, engine::SourceAccepted::Needed needed) {
  const auto lanes = lanes_.handles();
  around_.engine.post(engine::SourceAccepted{transfer.handle, *transfer.slot, {lanes.begin(), lanes.end()}, needed});
}

void Session::on_accepted(const messages::TransferAccepted& accepted) {
  Transfer* transfer = find(accepted.transfer);
  if (transfer == nullptr || transfer->outcome) return;
  if (transfer->stage != Stage::kAsked || !lanes_.are_open())
    return fail({Fault::kProtocolError, "the peer accepted a transfer out of turn", ""});
  transfer->stage = Stage::kRunning;
  if (transfer->role == Role::kSink) return;  // a pull: pages and blocks follow
  if (transfer->request.options.dry_run) {
    if (transfer->counted) end(*transfer, *transfer->counted);
    return;
  }
  const auto& levels = their_hello_->verify_levels;
  if (std::ranges::find(levels, transfer->request.options.verify) == levels.end())
    return give_up(transfer->handle, {Fault::kVerifyUnavailable, "the peer's version cannot verify a copy as it is asked to",
                                      "upgrade the peer, or use --verify memory"});
  if (!their_slots_.claim(now_, accepted.slot)) return fail({Fault::kProtocolError, "the peer gave a slot out twice", ""});
  transfer->slot = accepted.slot;
  transfer->rate_max = accepted.rate_max;
  set_ceiling();
  open_slot(*transfer, engine::OpenSlot::Role::kSending, accepted.credit);
  using Needed = engine::SourceAccepted::Needed;
  start_source(*transfer, accepted.everything_needed ? Needed::kEverything : Needed::kPerPage);
}

// ---- serving -------------------------------------------------------------------------------------------------------

void Session::on_open_transfer(messages::OpenTransfer request) {
  if (side_ != Side::kAccepting || !their_lanes_)
    return fail({Fault::kProtocolError, "the peer opened a transfer out of turn", ""});
  if (const auto why = cannot_begin(request.transfer)) return refuse(request.transfer, *why);
  // Blocks need the lanes; they open when the ports are bound, which is a matter of microseconds.
  if (!lanes_.are_open()) return waiting_.push_back(std::move(request));
  if (lists_roots(request)) return serve_roots(request.transfer);
  if (request.direction == messages::Direction::kPush) return serve_push(std::move(request));
  serve_pull(std::move(request));
}

std::optional<Error> Session::cannot_begin(const TransferId& id) const {
  if (by_id_.contains(id)) return Error{Fault::kDestBusy, "this transfer is already running", "wait for it to end"};
  if (is_draining_) return Error{Fault::kOverloaded, "this gateway is stopping", "try again when it is back"};
  if (by_id_.size() + around_.others_of(*this).transfers >= kTransfersMax)
    return Error{Fault::kOverloaded, "64 transfers of this peer are active", "try again when one has ended"};
  return std::nullopt;
}

void Session::on_remove_tree(const messages::RemoveTree& order) {
  if (side_ != Side::kAccepting || !their_lanes_) return fail({Fault::kProtocolError, "the peer removes out of turn", ""});
  if (const auto why = cannot_begin(order.transfer)) return refuse(order.transfer, *why);
  messages::OpenTransfer request;
  request.transfer = order.transfer;
  request.direction = messages::Direction::kRemove;
  request.root = order.root;
  request.name = order.name;
  const RootPtr root = around_.roots.find(order.root, storage::Side::kDestination);
  if (!authorise(request).ok() || root == nullptr) return refuse(order.transfer, refusal(order.root, order.name));
  const auto transfer = add_transfer(Role::kSink, std::move(request));
  transfer->stage = Stage::kRunning;
  around_.engine.post(engine::RemoveTree{transfer->handle, transfer->id, root, order.name, order.tree_root});
}

Result<GrantLimits> Session::authorise(const messages::OpenTransfer& request) const {
  const GrantOp op = op_of(request);
  std::vector<ObjectName> names{request.name};  // the sources of a pull lie below it or beside it: each is decided
  if (request.direction != messages::Direction::kPush && !request.sources.empty()) names = request.sources;
  std::optional<GrantLimits> limits;
  if (may_replace(request) && !decide(request, request.name, GrantOp::kOverwrite).is_allowed()) return refusal(request.root, request.name);
  for (const ObjectName& name : names) {
    const Decision decision = decide(request, name, op);
    if (!decision.is_allowed()) return refusal(request.root, request.name);
    limits = limits ? narrowest(*limits, decision.grant->limits) : decision.grant->limits;
  }
  return *limits;
}

// And writes down what was decided, and by which rule.
Decision Session::decide(const messages::OpenTransfer& request, const ObjectName& name, GrantOp op) const {
  const Decision decision = around_.grants.decide(channel_->peer().identity, request.root, name, op);
  log::info(decision.is_allowed() ? "grant_allowed" : "grant_denied",
            "peer=" + to_string(channel_->peer().identity) + " op=" + std::string(to_string(op)) + " root=" + to_display(request.root) + " name=\"" +
                to_display(name) + "\" rule=" + std::string(decision.rule()));
  audit_decision(decision, request, name, op);
  if (!decision.is_allowed()) ++around_.counts.denied[std::string(to_string(op))];
  return decision;
}

// Of what has the number of a step in its name, like those beside it, whose hashes go only to a peer that may read them there.
bool Session::may_have_base(const messages::OpenTransfer& request) const {
  return !request.name.is_root() && checkpoint::step_in(request.name.last()) && around_.grants.decide(channel_->peer().identity, request.root, request.name.parent(), GrantOp::kRead).is_allowed();
}

void Session::serve_push(messages::OpenTransfer request) {
  const auto limits = authorise(request);
  const RootPtr root = around_.roots.find(request.root, storage::Side::kDestination);
  if (!limits.ok() || root == nullptr) return refuse(request.transfer, refusal(request.root, request.name));
  auto transfer = add_transfer(Role::kSink, std::move(request));
  transfer->meter.emplace(limits.value());
  if (transfer->request.options.dry_run) {
    messages::TransferAccepted accepted;
    accepted.transfer = transfer->id;
    accepted.destination = transfer->request.name;
    send(accepted);
    return end(*transfer, engine::TransferDone::Outcome{});
  }
  engine::StartSink start;
  start.transfer = transfer->handle;
  start.id = transfer->id;
  start.board = transfer->board;
  start.root = root;
  start.destination = transfer->request.name;
  start.form = transfer->request.destination;
  start.source_name = transfer->request.sources.empty() ? "" : transfer->request.sources.front().last();
  start.options = transfer->request.options;
  start.limits.bytes_max = limits.value().bytes_max;
  if (limits.value().files_max < std::numeric_limits<uint64_t>::max()) start.limits.entries_max = limits.value().files_max;
  start.modes = transfer->modes = limits.value().modes;
  start.owner = start.peer = to_string(channel_->peer().identity);
  start.staging = staging_id(start.id, channel_->peer().identity, start.modes);
  start.ahead = staging_id(ahead_id(start.id), channel_->peer().identity, start.modes);
  start.lease_epoch = transfer->request.lease_epoch;
  if (may_have_base(transfer->request)) start.base = engine::StartSink::Base::kSibling;
  start.boot = around_.boot;
  transfer->rate_max = limits.value().rate_max;
  around_.engine.post(std::move(start));
}

void Session::serve_pull(messages::OpenTransfer request) {
  const auto limits = authorise(request);
  const RootPtr root = around_.roots.find(request.root, storage::Side::kSource);
  if (!limits.ok() || root == nullptr) return refuse(request.transfer, refusal(request.root, request.name));
  const bool lists = only_lists(request);
  if (!lists && !request.sink) return fail({Fault::kProtocolError, "a pull named no slot", ""});
  engine::StartSource start;
  for (const messages::Filter& filter : request.filters) {
    const auto verdict = filter.kind == messages::FilterKind::kInclude ? storage::Verdict::kInclude : storage::Verdict::kExclude;
    if (Status status = start.scan.filter.add(verdict, filter.pattern); !status.ok()) return refuse(request.transfer, status.error());
  }
  if (!request.only.empty()) {
    start.scan.only.emplace();
    for (ObjectName& name : request.only) start.scan.only->add(std::move(name));
  }
  if (request.sources.empty()) start.scan.sources.push_back({root, request.name, ""});
  for (const ObjectName& source : request.sources) start.scan.sources.push_back({root, source, ""});
  if (request.sources.size() > 1) start.scan.form = storage::ScanForm::kTogether;
  start.options = request.options;
  start.scan.depth = request.depth;
  if (lists) start.content = engine::StartSource::Content::kManifestOnly;
  if (!lists && !their_slots_.claim(now_, request.sink->slot))
    return fail({Fault::kProtocolError, "a pull names a slot that is in use, or was within a minute", ""});
  auto transfer = add_transfer(Role::kSource, std::move(request));
  if (!lists) transfer->meter.emplace(limits.value());
  start.transfer = transfer->handle;
  start.id = transfer->id;
  start.board = transfer->board;
  start.held = held_of_peers();
  around_.engine.post(std::move(start));
  transfer->stage = Stage::kRunning;
  messages::TransferAccepted accepted;
  accepted.transfer = transfer->id;
  accepted.destination = transfer->request.name;
  send(accepted);
  if (lists) return;
  transfer->slot = transfer->request.sink->slot;
  transfer->rate_max = std::min(transfer->request.options.rate_max, limits.value().rate_max);
  set_ceiling();
  open_slot(*transfer, engine::OpenSlot::Role::kSending, transfer->request.sink->credit);
  using Needed = engine::SourceAccepted::Needed;
  start_source(*transfer, transfer->request.everything_needed ? Needed::kEverything : Needed::kPerPage);
}

// By the grants alone, with no look at a disk: all of the answer is here, and nothing of it stays.
void Session::serve_roots(const TransferId& id) {
  std::vector<std::string> roots = around_.grants.roots_shown_to(channel_->peer().identity);
  std::erase_if(roots, [&](const std::string& root) { return around_.roots.find(root, storage::Side::kSource) == nullptr; });  // of a reload: it comes with the next start
  log::info("roots_told", "peer=" + peer_name() + " roots=" + std::to_string(roots.size()));
  audit_roots(id, roots.size());
  if (roots.empty()) return refuse(id, {Fault::kDenied, "no grant lets this peer list or read anything here", "ask the owner of a root there for a [[grant]] with list or read"});
  messages::ManifestPage page{id, 0, {}};
  page.entries.reserve(roots.size() + 1);
  for (size_t i = 0; i <= roots.size() && i < messages::kEntriesPerPageMax; ++i) {
    ManifestEntry& entry = page.entries.emplace_back();
    entry.number = ObjectId(static_cast<uint32_t>(i));
    entry.type = EntryType::kDirectory;
    if (i > 0) entry.name = roots[i - 1];
  }
  messages::TransferAccepted accepted;
  accepted.transfer = id;
  send(accepted);
  send(page);
  send(messages::ManifestEnd{id, page.entries.size(), 0_B});
  send(messages::TransferClosed{id, "", false});
}

void Session::refuse(const TransferId& id, const Error& why) {
  send(messages::PeerError{std::string(why.name()), messages::Reaction::kTransferEnds, why.what + (why.next.empty() ? "" : "; " + why.next),
                           id, {}, 0});
  send(messages::TransferClosed{id, std::string(why.name()), false});
}

// ---- ending --------------------------------------------------------------------------------------------------------
//
//   sink    done ─▶ Published ─▶ waits for PublishedAck ─▶ TransferClosed
//   source  Published ─▶ PublishedAck, TransferClosed
//   either  trouble ─▶ Error, TransferClosed; the other side forgets it when it reads that

void Session::on_done(engine::TransferDone& done) {
  Transfer* transfer = find(done.transfer);
  if (transfer == nullptr || transfer->outcome) return;
  if (!done.outcome.ok()) return give_up(done.transfer, done.outcome.error());
  if (only_lists(transfer->request)) {
    if (transfer->role == Role::kSink) return end(*transfer, std::move(done.outcome));
    transfer->counted = done.outcome.value();
    const bool is_dry_push = transfer->request.direction == messages::Direction::kPush && transfer->stage == Stage::kRunning;
    if (is_dry_push) end(*transfer, std::move(done.outcome));
    return;
  }
  if (transfer->role == Role::kSource) return;  // all is said; the sink's word counts
  if (!is_known_there(side_, *transfer)) return end(*transfer, std::move(done.outcome));  // nothing was asked of the peer
  const engine::TransferDone::Outcome& outcome = done.outcome.value();
  transfer->stage = Stage::kClosing;
  transfer->outcome = outcome;
  const bool removes = transfer->request.direction == messages::Direction::kRemove;
  transfer->untold = Transfer::Untold{audit_change(removes ? "removed" : "published", *transfer), now_ + kAuditPatience};
  tell_outcomes();
}

// What cannot be undone is in the audit log before anybody hears of it.
void Session::tell_outcomes() {
  for (auto next = by_id_.begin(); next != by_id_.end() && !is_over();) {
    const std::shared_ptr<Transfer> transfer = (next++)->second;
    if (!transfer->untold || (!transfer->untold->unaudited.expired() && now_ < transfer->untold->ends_at)) continue;
    if (!transfer->untold->unaudited.expired()) log::warning("audit_late", describe(*transfer) + " why=\"the disk of the audit log does not answer; the peer is told all the same\"");
    transfer->untold.reset();
    const engine::TransferDone::Outcome outcome = transfer->outcome->value();
    if (transfer->request.direction == messages::Direction::kRemove) end(*transfer, outcome);
    else send(messages::Published{transfer->id, outcome.root, outcome.entries, outcome.bytes});
  }
}

void Session::give_up(engine::TransferHandle handle, const Error& why) {
  Transfer* transfer = find(handle);
  if (transfer == nullptr || transfer->outcome) return;
  if (is_known_there(side_, *transfer)) send(to_message(*transfer, why));
  end(*transfer, why);
}

void Session::on_published(const messages::Published& published) {
  Transfer* transfer = find(published.transfer);
  if (transfer == nullptr || transfer->role != Role::kSource || transfer->outcome) return;
  send(messages::PublishedAck{transfer->id});
  end(*transfer, engine::TransferDone::Outcome{published.root, published.entries, published.bytes});
}

void Session::on_peer_error(const messages::PeerError& error) {
  if (error.reaction == messages::Reaction::kSessionEnds) return fail(from_message(error));
  Transfer* transfer = error.transfer ? find(*error.transfer) : nullptr;
  if (transfer == nullptr || transfer->outcome) return;
  if (error.reaction == messages::Reaction::kEntryFailed) return on_transfer_message(error);
  end(*transfer, from_message(error));
}

// The peer has closed it, or acknowledged that it is published.
void Session::on_closed(const TransferId& id, std::string_view code) {
  Transfer* transfer = find(id);
  if (transfer == nullptr) return;
  if (transfer->outcome) return end(*transfer, Result<engine::TransferDone::Outcome>(*transfer->outcome));
  if (only_lists(transfer->request) && code.empty()) {
    if (transfer->role == Role::kSource && side_ == Side::kAccepting) end(*transfer, transfer->counted.value_or(engine::TransferDone::Outcome{}));
    return;  // the peer of a dry push is through at once; we still count
  }
  if (transfer->removal && code.empty()) return end(*transfer, engine::TransferDone::Outcome{});
  if (code.empty()) return fail({Fault::kProtocolError, "the peer closed a transfer that is not over", ""});
  end(*transfer, Error{fault_named(code).value_or(Fault::kCancelled), "the peer ended the transfer", ""});
}

// Each side closes a transfer once. The word that comes for one that ended here before is not about the one of the same number that
// was opened meanwhile.
void Session::on_closed_by_peer(const messages::TransferClosed& closed) {
  if (const auto late = closing_.find(closed.transfer); late != closing_.end()) {
    if (--late->second == 0) closing_.erase(late);
    return;
  }
  if (Transfer* transfer = find(closed.transfer); transfer != nullptr) transfer->is_closed_by_peer = true;
  on_closed(closed.transfer, closed.code);
}

void Session::expect_close(const Transfer& transfer) {
  if (is_over() || !is_known_there(side_, transfer) || transfer.is_closed_by_peer) return;
  if (closing_.size() >= kClosingMax) closing_.erase(closing_.begin());  // of a peer that closes nothing
  ++closing_[TransferId(transfer.id)];
}

void Session::on_cancelled(const messages::CancelTransfer& cancel) {
  if (Transfer* transfer = find(cancel.transfer); transfer != nullptr && !cancel.keeps_staging)
    transfer->leftovers = engine::Leftovers::kRemoved;
  on_closed(cancel.transfer, row_of(Fault::kCancelled).name);
}

void Session::cancel(Transfer& transfer, const Error& why) {
  if (transfer.outcome || is_over()) return;
  if (is_known_there(side_, transfer)) send(messages::CancelTransfer{transfer.id, std::string(why.name()), true});
  end(transfer, why);
}

void Session::end(Transfer& transfer, Result<engine::TransferDone::Outcome> outcome) {
  const std::string code(outcome.ok() ? "" : outcome.error().name());
  if (!outcome.ok() && side_ == Side::kAccepting)
    log::info("transfer_failed", describe(transfer) + " code=" + code + " why=\"" + outcome.error().what + '"');
  if (side_ == Side::kAccepting && !outcome.ok()) ++around_.counts.transfers_ended[outcome.error().fault];
  if (side_ == Side::kAccepting && outcome.ok()) ++around_.counts.transfers_done;
  around_.counts.payload += Bytes(transfer.board->bytes_verified.get());
  around_.counts.packing[account_of(transfer.request.transfer_class)].add({Bytes(transfer.board->bytes_raw.get()), Bytes(transfer.board->bytes_packed.get())});
  expect_close(transfer);
  const bool is_to_close = !is_over() && is_known_there(side_, transfer);
  transfer.outcome = std::move(outcome);
  transfer.stage = Stage::kOver;
  const bool was_published = transfer.role == Role::kSink && code.empty() && !only_lists(transfer.request);  // and said before
  if (!was_published) audit_transfer(code.empty() ? "transfer_done" : "transfer_failed", transfer);
  if (transfer.slot) (transfer.role == Role::kSource ? their_slots_ : our_slots_).give_back(now_, *transfer.slot);
  if (transfer.slot)
    lanes_.close_slot({transfer.role == Role::kSource ? engine::OpenSlot::Role::kSending : engine::OpenSlot::Role::kReceiving, {}, *transfer.slot});
  if (transfer.outcome->ok() || !is_staging_worth(transfer.outcome->error())) transfer.leftovers = engine::Leftovers::kRemoved;
  around_.engine.post(engine::EndTransfer{transfer.handle, transfer.leftovers});
  const bool was_sending = transfer.role == Role::kSource && transfer.slot && lanes_.are_open();
  const bool keeps_staging = transfer.role == Role::kSink && transfer.leftovers == engine::Leftovers::kKept;
  if (is_to_close) send(messages::TransferClosed{transfer.id, code, keeps_staging});
  by_handle_.erase(transfer.handle);
  by_id_.erase(TransferId(transfer.id));  // a copy: the map may hold the last owner
  if (was_sending) set_ceiling();
}

Transfer* Session::find(const TransferId& id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second.get();
}

Transfer* Session::find(engine::TransferHandle handle) {
  const auto found = by_handle_.find(handle);
  return found == by_handle_.end() ? nullptr : find(found->second);
}

// ---- what the workers tell -----------------------------------------------------------------------------------------

void Session::on_event(engine::NetEvent& event) {
  if (auto* bound = std::get_if<engine::PortsBound>(&event)) return on_ports(*bound);
  if (auto* died = std::get_if<engine::LaneDied>(&event)) return on_lane_died(*died);
  if (auto* opened = std::get_if<engine::SlotOpened>(&event)) return on_slot_opened(*opened);
  if (auto* refused = std::get_if<engine::SlotRefused>(&event)) return give_up(refused->transfer, refused->why);
  auto& wanted = std::get<engine::KeyWanted>(event);
  const auto use = wanted.direction == engine::KeyDirection::kSend ? FlowKeys::Use::kSend : FlowKeys::Use::kReceive;
  if (keys_->next_epoch(wanted.flow, use) != wanted.epoch) return;  // asked twice
  around_.counts.rekeys += 1;
  around_.engine.post(engine::InstallKey{wanted.lane, wanted.flow, wanted.direction, wanted.epoch, keys_->next_key(wanted.flow, use)});
}

void Session::on_event(engine::IoEvent& event) {
  if (auto* done = std::get_if<engine::TransferDone>(&event)) return on_done(*done);
  if (auto* ready = std::get_if<engine::SinkReady>(&event)) return on_sink_ready(*ready);
  const auto transfer = std::visit([&](const auto& e) { return find(e.transfer); }, event);
  if (transfer == nullptr) return;
  if (auto* message = std::get_if<engine::ToPeer>(&event)) {
    if (!is_within_grant(*transfer, message->message)) return;
    if (transfer->role == Role::kSource) sign_root(*transfer, *message);
    transfer->unsent.push_back(std::move(message->message));
  }
  if (std::holds_alternative<engine::PeerMessageTaken>(event)) transfer->undigested -= 1;
  if (auto* report = std::get_if<engine::EntryReported>(&event); report != nullptr && transfer->on_report) transfer->on_report(*report);
  if (auto* listed = std::get_if<engine::EntryListed>(&event); listed != nullptr && transfer->on_entry) transfer->on_entry(listed->entry);
}

}  // namespace tideway::session
