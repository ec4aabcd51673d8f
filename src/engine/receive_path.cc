// SPDX-License-Identifier: Apache-2.0
#include "engine/receive_path.h"

#include "base/log.h"

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr std::string_view kBlockingQueue = "threads";
constexpr size_t kWritingsBehind = 2;       // when another one comes: the disk does not keep up
constexpr uint32_t kReadTokens = kWriteTokens;
constexpr uint32_t kSyncToken = kCloseTokens - 1, kBatchToken = kCloseTokens - 2;

storage::PublishRules rules_from(const messages::TransferOptions& options) {
  using Form = storage::PublishRules::Form;
  const Form form = options.publish == messages::PublishForm::kRename   ? Form::kRename
                    : options.publish == messages::PublishForm::kMarker ? Form::kMarker
                    : options.publish == messages::PublishForm::kEach   ? Form::kEach
                                                                        : Form::kAuto;
  using Replace = storage::PublishRules::Replace;
  const Replace replace = options.overwrite == messages::Overwrite::kIfOlder  ? Replace::kIfOlder
                          : options.overwrite == messages::Overwrite::kAlways ? Replace::kAlways
                                                                              : Replace::kNever;
  return {form, options.last, replace};
}

}  // namespace

ReceivePath::ReceivePath(StartSink&& start, const Around& around)
    : start_(std::move(start)), queue_(around.queue), rings_(around.rings), leaf_buffers_(around.leaf_buffers), staging_book_(around.staging_book), io_board_(around.board), buffers_(around.buffers),
      rules_(rules_from(start_.options)), next_close_token_(kCloseTokens) {
  if (start_.repair) repair_.emplace(start_.repair);
}

ReceivePath::~ReceivePath() {
  leave({}, Leftovers::kKept);
  for (BlockUnpacked& block : waiting_) give_home(rings_, std::move(block));
  while (auto writing = writes_.take_any()) give_back(*writing);
}

void ReceivePath::give_back(Writing& writing) {
  if (writing.room) return rooms_.give_back(std::move(writing.room));
  writing.block.bytes.reset();
  tell_freed(rings_, {writing.lane, writing.block.key.slot, credit_max()});
}

// What cannot be removed now is removed by the next transfer with this id or by a sweep; nothing shows it as data.
void ReceivePath::leave(Time now, Leftovers leftovers) {
  staging_book_.drop(start_.transfer);
  if (store_ == nullptr) return;
  if (log_ && !store_->is_over() && leftovers == Leftovers::kKept && log_->has_unrecorded() && store_->settle().ok()) {
    log_->begin_batch(now);
    const Status recorded = log_->end_batch();
    store_->staging().note_durable(receiver_->bytes_held() + log_->bytes_recorded());
    if (!recorded.ok()) log::warning("batch_not_recorded", "why=\"" + recorded.error().what + '"');
  }
  rehash_.reset();
  const bool is_worth_keeping = log_ && leftovers == Leftovers::kKept && log_->proves_anything();
  if (!is_worth_keeping) static_cast<void>(store_->abandon().ok());
  log_.reset();
  store_.reset();  // nothing writes from the buffers any more
}

bool ReceivePath::poll(Time now, EventOutlet& events) {
  if (state_ == State::kOpening) announce(events);
  bool worked = say(now, events);
  if (state_ == State::kDone || store_ == nullptr) return worked;
  worked |= rehash();
  if (state_ == State::kDone) return true;
  worked |= copy_same();
  if (state_ == State::kDone) return true;
  worked |= submit_writes();
  worked |= take_answers(now);
  if (state_ == State::kDone) return true;
  worked |= read_back();
  if (state_ == State::kDone) return true;
  worked |= submit_closes();
  worked |= sync_batch(now);
  worked |= complete();
  worked |= say(now, events);
  tell_board();
  return worked;
}

// ---- blocks --------------------------------------------------------------------------------------------------------

void ReceivePath::on_block(BlockUnpacked&& block, EventOutlet&) {
  if (state_ == State::kDone || receiver_ == nullptr) return give_home(rings_, std::move(block));
  const bool trusts_hashes = start_.options.verify == messages::VerifyLevel::kWire;
  TIDEWAY_CHECK(!block.block.ok() || trusts_hashes || block.block.value().hashes == block::LeafHashes::kCompared);
  if (!block.block.ok()) {
    if (Status status = receiver_->on_unreadable(block.key, block.block.error()); !status.ok()) fail(status.error());
    return give_home(rings_, std::move(block), credit_max());
  }
  board().bytes_raw.add(block.block.value().raw.size());
  board().bytes_packed.add(block.packed_size);
  board().blocks.add(1);
  // Where writing blocks its thread, and that thread also unpacks, blocks pile up before they are unpacked.
  const bool is_behind = block.behind == BlockUnpacked::Behind::kMore, blocks_its_thread = queue_.name() == kBlockingQueue;
  if (writes_.size() >= kWritingsBehind || (is_behind && blocks_its_thread)) board().blocks_unwritten.add(1);
  else if (is_behind) board().blocks_queued.add(1);
  waiting_.push_back(std::move(block));
  if (Status status = place_waiting(); !status.ok()) fail(status.error());
}

Status ReceivePath::place_waiting() {
  for (size_t i = 0; i < waiting_.size();) {
    const auto verdict = receiver_->judge(waiting_[i].block.value().segments);
    if (!verdict.ok()) return verdict.error();
    if (verdict.value() == transfer::Receiver::Verdict::kWaits || store_ == nullptr) {
      ++i;
      continue;
    }
    BlockUnpacked block = std::move(waiting_[i]);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    if (Status status = take_block(std::move(block)); !status.ok()) return status;
  }
  return success();
}

Status ReceivePath::take_block(BlockUnpacked&& received) {
  auto writing = std::make_unique<Writing>();
  const Status status = claim_segments(std::move(received), *receiver_, *writing);
  writes_.add(std::move(writing));  // also after an error: the buffer goes home with the others
  return status;
}

// A block that has begun to be written counts already.
bool ReceivePath::may_write(const Writing& writing) {
  if (is_pausing_ || writing.has_begun) return !is_pausing_;
  if (read_back_ && is_syncing_ && log_->pace().writing() >= ReadBack::kWritesBeside) return false;
  const bool was_stalled = std::exchange(is_stalled_, !log_->pace().has_room_for(kLeafSize));
  if (is_stalled_ && !was_stalled) io_board_.stalls_sync.add(1);
  return !is_stalled_;
}

bool ReceivePath::submit_writes() {
  return writes_.submit(*store_, log_->pace(), [this](const Writing& writing) { return may_write(writing); });
}

bool ReceivePath::take_answers(Time now) {
  const AnswersTaken taken = take_store_answers(*store_, writes_, [&](const StoreDone& done) { return on_answer(now, done); }, [&](Writing& writing) { return finish(now, writing); });
  if (!taken.status.ok()) fail(taken.status.error());
  return taken.worked;
}

Status ReceivePath::on_answer(Time now, const StoreDone& done) {
  if (!done.status.ok()) return done.status.error();
  if (done.token == kSyncToken) {
    is_syncing_ = false;
    publish();
  } else if (done.token == kBatchToken) {
    log_->on_synced(now);
    io_board_.syncs.add(1);
    io_board_.sync_ns.add(static_cast<uint64_t>((now - sync_began_).count()));
    if (read_back_) return read_back_->on_synced();
    is_syncing_ = false;
    return end_batch();
  } else if (const auto closed = closing_.extract(done.token)) {
    log_->on_counts(closed.mapped().leaf);
    if (closed.mapped().early) closed_.push_back(*std::move(closed.mapped().early));
    receiver_->on_closed();
  } else if (done.token >= kReadTokens) {
    return read_back_->on_answer(done.token - kReadTokens, done.status);
  } else {
    writes_.on_answer(done.token);
  }
  return success();
}

Status ReceivePath::finish(Time now, Writing& writing) {
  const BlockKey key = writing.block.key;
  Status status = success();
  if (read_back_) read_back_->on_written(key, std::move(writing.good));
  else status = on_stored(key, writing.good);
  note_written(now, writing, log_->pace());
  give_back(writing);
  return status;
}

Status ReceivePath::on_stored(BlockKey key, std::span<const block::Segment> segments) {
  using Counts = transfer::Receiver::StoredLeaf::Counts;
  std::vector<transfer::Receiver::StoredLeaf> leaves;
  if (Status status = receiver_->on_stored(key, segments, leaves); !status.ok()) return status;
  for (const auto& leaf : leaves) {
    if (Status status = store_->staging().write_leaf_hash(leaf.leaf, leaf.hash); !status.ok()) return status;
    if (leaf.counts != Counts::kNow) continue;
    if (read_back_) log_->on_proven({leaf.leaf, leaf.length});
    else log_->on_counts({leaf.leaf, leaf.length});
  }
  return success();
}

// A batch has ended when all of it was read, too.
bool ReceivePath::read_back() {
  if (!read_back_ || !is_syncing_ || state_ != State::kReceiving) return false;
  bool worked = read_back_->submit(*store_, kReadTokens);
  Status status = success();
  while (status.ok()) {
    const auto block = read_back_->next_checked();
    if (!block) break;
    worked = true;
    if (!block->bad.empty()) receiver_->on_read_back_wrong(block->key, block->bad);
    status = on_stored(block->key, block->good);
  }
  if (status.ok() && read_back_->is_over()) {
    is_syncing_ = false;
    status = end_batch();
  }
  if (!status.ok()) fail(status.error());
  return worked;
}

// The source has nothing more to send before we say what of it is good.
bool ReceivePath::is_all_written() const {
  if (!read_back_ || !read_back_->has_written() || !receiver_->has_end()) return false;
  const Bytes there = receiver_->bytes_kept() + receiver_->bytes_held() + receiver_->bytes_stored() + read_back_->unchecked();
  return there >= receiver_->bytes_listed();
}

bool ReceivePath::submit_closes() {
  bool worked = false;
  for (;;) {
    if (!close_waiting_) close_waiting_ = receiver_->next_close();
    if (!close_waiting_ || is_pausing_) return worked;
    const StoreRequest request{StoreOp::kClose, next_close_token_, close_waiting_->object, {}, {}};
    auto early = store_->early(close_waiting_->object);  // the store forgets its name
    if (store_->submit({&request, 1}) == 0) return worked;
    closing_[next_close_token_] = {{close_waiting_->last_leaf, close_waiting_->last_length}, std::move(early)};
    next_close_token_ = (next_close_token_ + 1) | kCloseTokens;
    close_waiting_.reset();
    worked = true;
  }
}

// A sync covers what is written when it begins, so no write may be at work then. Those that follow need not wait for its end.
bool ReceivePath::sync_batch(Time now) {
  if (state_ != State::kReceiving || is_syncing_) return false;
  is_pausing_ = is_pausing_ || log_->pace().wants_sync(now) || is_all_written();
  if (!is_pausing_) return false;
  const StoreRequest request{StoreOp::kSync, kBatchToken, {}, {}, {}};
  if (store_->submit({&request, 1}) == 0) return false;
  log_->begin_batch(now);
  sync_began_ = now;
  syncing_closed_ = std::exchange(closed_, {});
  if (read_back_) read_back_->on_sync_begun();
  is_pausing_ = false;
  is_syncing_ = true;
  return true;
}

// What is whole, durable and recorded may appear by itself, where that is how it is published.
Status ReceivePath::end_batch() {
  Status status = log_->end_batch();
  store_->staging().note_durable(receiver_->bytes_held() + log_->bytes_recorded());
  for (const storage::EarlyFile& file : syncing_closed_)
    if (status.ok()) status = store_->publish_early(file);
  syncing_closed_.clear();
  return status;
}

// ---- end -----------------------------------------------------------------------------------------------------------

bool ReceivePath::complete() {
  if (state_ != State::kReceiving || !receiver_->is_complete() || has_writes() || !waiting_.empty() || !same_.empty()) return false;
  const auto root = receiver_->verdict();
  if (!root.ok()) {
    fail(root.error());
    return true;
  }
  const StoreRequest request{StoreOp::kSync, kSyncToken, {}, {}, {}};
  if (store_->submit({&request, 1}) == 0) return false;
  state_ = State::kSyncing;
  is_syncing_ = true;
  return true;
}

void ReceivePath::publish() {
  const Hash256 root = receiver_->verdict().value();
  const Status status = repair_ ? mend(root) : make_visible(root);
  if (!status.ok()) return fail(status.error());
  end(TransferDone::Outcome{root, receiver_->entries(), receiver_->bytes_listed()});
}

Status ReceivePath::make_visible(const Hash256& root) {
  if (Status status = store_->staging().keep_signature(signature_); !status.ok()) return status;
  if (Status status = log_->begin_publish({root, receiver_->entries()}); !status.ok()) return status;
  Status status = store_->publish({.destination = destination_, .entries = receiver_->entries(), .root = root});
  if (status.ok() && ahead_) static_cast<void>(ahead_->remove().ok());  // else a sweep does
  return status;
}

Status ReceivePath::mend(const Hash256& root) {
  if (Status status = repair_->finish(root, store_->staging()); !status.ok()) return status;
  return store_->abandon();
}

bool ReceivePath::say(Time now, EventOutlet& events) {
  bool worked = false;
  if (receiver_ != nullptr) {
    worked |= tell_peer(now, events);
    worked |= tell_entries(events);
    const bool is_listed = start_.content == StartSource::Content::kManifestOnly && receiver_->has_end() && listed_.empty();
    if (is_listed) end(TransferDone::Outcome{{}, receiver_->entries(), receiver_->bytes_listed()});
  }
  if (!outcome_ || !events.has_room()) return worked;  // while there is room, nothing else is left to tell
  events.emit(TransferDone{start_.transfer, *std::exchange(outcome_, std::nullopt)});
  return true;
}

bool ReceivePath::tell_peer(Time now, EventOutlet& events) {
  bool worked = outlet_.say(now, start_.transfer, *receiver_, events);
  while (log_ && outlet_.has_room(events)) {
    messages::Durable news{start_.id, log_->take_news(), receiver_->bytes_held() + log_->bytes_recorded()};
    if (news.ranges.empty()) break;
    outlet_.emit(events, {start_.transfer, TransferMessage(std::move(news))});
    worked = true;
  }
  return worked;
}

bool ReceivePath::tell_entries(EventOutlet& events) {
  bool worked = false;
  for (; !listed_.empty() && events.has_room(); listed_.pop_front(), worked = true) {
    pages_told_ += listed_.front().ends_page ? 1 : 0;
    events.emit(EntryListed{start_.transfer, std::move(listed_.front().entry)});
  }
  for (; pages_told_ > 0 && events.has_room(); --pages_told_) events.emit(PeerMessageTaken{start_.transfer});
  while (events.has_room()) {
    auto report = receiver_->next_report();
    if (!report) break;
    events.emit(EntryReported{start_.transfer, "", std::move(report->why)});
    worked = true;
  }
  return worked;
}

void ReceivePath::tell_board() {
  board().entries.set(receiver_->entries());
  board().bytes_listed.set(receiver_->bytes_listed().count());
  board().bytes_needed.set(saturating_sub(receiver_->bytes_listed(), receiver_->bytes_kept() + receiver_->bytes_held()).count());
  board().bytes_held.set(receiver_->bytes_held().count());
  board().bytes_verified.set(receiver_->bytes_stored().count());
  board().leaves_rejected.set(receiver_->rejected());
  board().failed.set(receiver_->failed());
  board().skipped.set(receiver_->skipped());
  board().kept.set(receiver_->kept());
  board().is_scanning.set(receiver_->has_end() ? 0 : 1);
}

// Told by say(), behind what is left to tell of single entries: nobody listens to a transfer that is over.
void ReceivePath::end(Result<TransferDone::Outcome> outcome) {
  if (state_ == State::kDone) return;
  state_ = State::kDone;
  outcome_ = std::move(outcome);
  if (receiver_ != nullptr) tell_board();
}

}  // namespace tideway::engine
