// SPDX-License-Identifier: Apache-2.0
#include "engine/gather_path.h"

#include "base/log.h"

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr uint32_t kGatherSyncToken = kCloseTokens - 1;
constexpr size_t kStandInsAtOnce = 1024;

bool has_bytes(const ManifestEntry& entry) { return entry.type == EntryType::kFile && entry.size > 0_B; }

Error not_gathered(const std::string& why) { return {Fault::kUnsupported, "it is not gathered from several sources: " + why, "it comes from one"}; }

std::span<const transfer::LeafRun> runs_of(const std::vector<transfer::LeafRun>& share, ObjectId object) {
  const auto first = std::ranges::lower_bound(share, object, {}, &transfer::LeafRun::object);
  const auto end = std::ranges::upper_bound(share, object, {}, &transfer::LeafRun::object);
  return {first, end};
}

}  // namespace

GatherPath::~GatherPath() {
  end({});
  while (auto writing = writes_.take_any()) give_back(*writing);
}

GatherPath::Talk* GatherPath::find(TransferHandle transfer) {
  const auto found = std::ranges::find(talks_, transfer, &Talk::transfer);
  return found == talks_.end() ? nullptr : &*found;
}

const GatherPath::Talk* GatherPath::find(TransferHandle transfer) const { return const_cast<GatherPath*>(this)->find(transfer); }

// All transfers share the block buffers.
Bytes GatherPath::credit_max() const { return (log_ ? log_->pace().credit_max() : SyncPace().credit_max()) / std::max<size_t>(talks_.size(), 1); }

void GatherPath::give_back(Writing& writing) {
  writing.block.bytes.reset();
  tell_freed(around_.rings, {writing.lane, writing.block.key.slot, credit_max()});
}

void GatherPath::join(StartSink&& start, EventOutlet& events) {
  Talk& talk = talks_.emplace_back();
  talk.transfer = start.transfer;
  talk.source = start.gather->source;
  talk.board = start.board;
  talk.receiver = std::make_unique<transfer::Receiver>(transfer::Receiver::Options{start.id, transfer::Answers::kPerPage, start.limits});
  sources_ = start.gather->sources;
  if (!board_) {
    board_ = start.gather->board;
    start_ = std::move(start);
  }
  if (is_over_) talk.outcome = TransferDone::Outcome{};
  else events.emit(SinkReady{talk.transfer, SourceAccepted::Needed::kPerPage, messages::PublishForm::kRename});
}

// What it was asked for and has not brought goes back once nothing of it is being written any more.
void GatherPath::leave(TransferHandle transfer) {
  Talk* talk = find(transfer);
  if (talk == nullptr) return;
  talk->is_leaving = true;
  if (!talk->outcome) talk->outcome = TransferDone::Outcome{};
  end_talks();
}

void GatherPath::on_message_taken(TransferHandle transfer) {
  if (Talk* talk = find(transfer)) talk->outlet.on_taken();
}

void GatherPath::end(Time now) {
  is_over_ = true;
  if (store_ == nullptr) return;
  if (log_ && log_->has_unrecorded() && store_->settle().ok()) {
    log_->begin_batch(now);
    if (const Status recorded = log_->end_batch(); !recorded.ok()) log::warning("batch_not_recorded", "why=\"" + recorded.error().what + '"');
    store_->staging().note_durable(bytes_held_ + log_->bytes_recorded());
  }
  if (!log_ || !log_->proves_anything()) static_cast<void>(store_->abandon().ok());
  log_.reset();
  store_.reset();  // nothing writes from the buffers any more
}

bool GatherPath::poll(Time now, EventOutlet& events) {
  bool worked = say(now, events);
  if (store_ == nullptr) {
    if (board_) tell_boards();
    return worked;
  }
  worked |= submit_writes();
  worked |= take_answers(now);
  worked |= submit_closes();
  worked |= sync_batch(now);
  worked |= end_talks();
  worked |= deal(now);
  look_whether_over(now);
  worked |= say(now, events);
  tell_boards();
  return worked;
}

// ---- the list ------------------------------------------------------------------------------------------------------------

void GatherPath::on_peer_message(TransferHandle transfer, TransferMessage&& message) {
  Talk* talk = find(transfer);
  if (talk == nullptr || talk->outcome) return;
  if (Status status = take_message(*talk, std::move(message)); !status.ok() && !talk->outcome) talk->outcome = std::move(status).error();
}

Status GatherPath::take_message(Talk& talk, TransferMessage&& message) {
  if (auto* page = std::get_if<messages::ManifestPage>(&message)) {
    talk.entries += page->entries.size();
    if (talk.list_end || talk.pages.size() == kGatherPagesMax || talk.entries > kGatherEntriesMax) return not_gathered("its list is long");
    if (!page->skipped.empty()) return not_gathered("a source leaves out what it should have");
    talk.pages.push_back(std::move(*page));
    return success();
  }
  if (const auto* end = std::get_if<messages::ManifestEnd>(&message)) {
    talk.list_end = *end;
    return check_list(talk);
  }
  if (const auto* error = std::get_if<messages::PeerError>(&message)) {
    const Error why{fault_named(error->code).value_or(Fault::kEntriesFailed), error->detail, ""};
    if (talk.share.empty() || !error->object) return why;
    disown(talk, *error->object);
    return talk.receiver->on_entry_failed(error->object, why);
  }
  if (talk.share.empty()) return not_gathered("a source goes on without being asked");
  if (const auto* ends = std::get_if<messages::ObjectEnds>(&message)) return talk.receiver->on_object_end(*ends);
  if (const auto* root = std::get_if<messages::TransferRoot>(&message)) return talk.receiver->on_root(*root);
  return not_gathered("a source knows leaves that were not offered");
}

// What its source calls damaged was on its way already, and may be written by now.
void GatherPath::disown(Talk& talk, ObjectId object) {
  deal_.bar(talk.source, object);
  board_->is_shunned[talk.source].set(1);
  talk.disowned.insert(object);
  for (const transfer::LeafRun& run : runs_of(talk.share, object)) {
    File& file = files_.at(object);
    const bool was_complete = file.stored.count() == file.leaves;
    for (uint32_t leaf = run.first; leaf < run.end; ++leaf) {
      if (file.stored.subtract({leaf, uint64_t{leaf} + 1}) == 0) continue;
      leaves_missing_ += 1;
      by_source_[talk.source].stored -= deal_.size_of({object, leaf, leaf + 1});
    }
    log_->give_up({file.first_leaf + run.first, file.first_leaf + run.end});
    if (was_complete) leave_open(object);
  }
}

// A file that was complete is not any more. When the store has closed it, nobody can write to it before the transfer behind this.
void GatherPath::leave_open(ObjectId object) {
  const auto closing = std::ranges::find(closes_, object, &Closing::object);
  if (closing == closes_.end()) return stop();
  note_completing(*closing);
  closes_.erase(closing);
}

Status GatherPath::check_list(Talk& talk) {
  if (is_over_) return success();
  if (list_.empty()) {
    const Status status = take_list(talk.pages);
    if (!status.ok()) fail_all(status.error());
    return success();
  }
  if (is_as_listed(talk.pages)) return success();
  return Error{Fault::kManifestMismatch, "it has another tree there than the others", "tideway verify says whether it is what was published"};
}

bool GatherPath::is_as_listed(const std::vector<messages::ManifestPage>& pages) const {
  auto listed = list_.begin();
  for (const messages::ManifestPage& page : pages) {
    if (list_.end() - listed < static_cast<std::ptrdiff_t>(page.entries.size())) return false;
    if (!std::equal(page.entries.begin(), page.entries.end(), listed)) return false;
    listed += static_cast<std::ptrdiff_t>(page.entries.size());
  }
  return listed == list_.end();
}

Status GatherPath::open_store() {
  if (Status status = start_.root->check_in_place(); !status.ok()) return status;
  const auto there = start_.root->stat_if_exists(start_.destination);
  if (!there.ok()) return there.error();
  if (there.value()) return not_gathered("something is at the destination");
  storage::FileSinkConfig config;
  config.destination = start_.destination;
  config.leftovers = storage::FileSinkConfig::Leftovers::kKept;
  auto opened = open_sink_store(std::move(config), start_, around_.queue, around_.buffers);
  if (!opened.ok()) return std::move(opened).error();
  store_ = std::move(opened.value().store);
  log_.emplace(std::move(opened.value().log));
  if (!log_->publishing()) return log_->begin(start_.options);
  log_.reset();
  store_.reset();
  return not_gathered("an earlier process has begun to publish it");
}

// What an earlier run left is not asked for. What of that has to be hashed again first, the ordinary transfer looks at.
Status GatherPath::take_list(std::vector<messages::ManifestPage>& pages) {
  if (Status status = open_store(); !status.ok()) return status;
  for (messages::ManifestPage& page : pages)
    if (Status status = stage(page); !status.ok()) return status;
  if (!log_->doubtful().is_empty()) return not_gathered("what is there of it is to be hashed again");
  Bytes listed;
  for (const messages::ManifestPage& page : pages) {
    for (const ManifestEntry& entry : page.entries) {
      listed += entry.size;
      if (has_bytes(entry)) list_file(entry);
      if (entry.type == EntryType::kFile && !files_.contains(entry.number)) store_->release(entry.number);
    }
    list_.insert(list_.end(), page.entries.begin(), page.entries.end());
  }
  bytes_held_ = listed - deal_.left();
  board_->bytes_listed.set(listed.count());
  board_->bytes_held.set(bytes_held_.count());
  board_->bytes_missing.set(deal_.left().count());
  if (const auto free = store_->free_space(); free.ok() && free.value() < deal_.left()) return not_gathered("there is no room for it");
  return deal_.files() > 1 ? success() : Status(not_gathered("it is one file"));
}

Status GatherPath::stage(messages::ManifestPage& page) {
  const std::vector<transfer::Existing> absent(page.entries.size(), transfer::Existing::kAbsent);
  for (const ManifestEntry& entry : page.entries) {
    const auto taken = log_->take_entry(entry, transfer::Existing::kAbsent);
    if (!taken.ok()) return taken.error();
    store_->bind(entry.number, entry);
  }
  const std::string bytes = messages::serialize(page);
  if (Status status = log_->record_taken_back(); !status.ok()) return status;
  if (Status status = store_->staging().append_manifest(std::as_bytes(std::span(bytes))); !status.ok()) return status;
  return log_->end_page(page.entries, absent);
}

void GatherPath::list_file(const ManifestEntry& entry) {
  File file{entry.first_leaf, static_cast<uint32_t>(leaf_count(entry.size)), {}};
  log_->held(entry, [&file](uint32_t first, std::span<const Hash128> hashes) { file.stored.add({first, first + hashes.size()}); });
  std::vector<transfer::LeafRun> missing;
  for (uint64_t at = 0; at < file.leaves;) {
    const flow::Interval gap = file.stored.first_gap({at, file.leaves});
    if (gap.begin == gap.end) break;
    missing.push_back({entry.number, static_cast<uint32_t>(gap.begin), static_cast<uint32_t>(gap.end)});
    at = gap.end;
  }
  deal_.add(entry.number, entry.size, missing);
  leaves_missing_ += file.leaves - file.stored.count();
  if (!missing.empty()) files_.emplace(entry.number, std::move(file));
}

// ---- who brings what -----------------------------------------------------------------------------------------------------

bool GatherPath::deal(Time now) {
  bool worked = false;
  if (is_over_ || list_.empty()) return worked;
  for (Talk& talk : talks_) {
    if (!talk.is_waiting()) continue;
    talk.share = deal_.take(talk.source, sources_);
    if (talk.share.empty()) {
      if (talk.idle_since == Time{}) talk.idle_since = now;
      continue;
    }
    if (Status status = ask(talk); !status.ok()) talk.outcome = std::move(status).error();
    worked = true;
  }
  return worked;
}

// Of all files but those of its share it is said that they are there.
Status GatherPath::ask(Talk& talk) {
  std::ranges::sort(talk.share, {}, [](const transfer::LeafRun& run) { return std::pair(run.object, run.first); });
  const auto is_asked = [&](const ManifestEntry& entry) { return std::ranges::binary_search(talk.share, entry.number, {}, &transfer::LeafRun::object); };
  const transfer::HeldLeaves held = [&](const ManifestEntry& entry, const transfer::TakeLeaves& take) { take_standing_in(talk, entry, take); };
  for (const messages::ManifestPage& page : std::exchange(talk.pages, {})) {
    std::vector<transfer::Existing> existing;
    for (const ManifestEntry& entry : page.entries)
      existing.push_back(has_bytes(entry) && !is_asked(entry) ? transfer::Existing::kSame : transfer::Existing::kAbsent);
    if (Status status = talk.receiver->on_page(page, existing, held); !status.ok()) return status;
  }
  return talk.receiver->on_manifest_end(*talk.list_end);
}

void GatherPath::take_standing_in(const Talk& talk, const ManifestEntry& entry, const transfer::TakeLeaves& take) const {
  static const std::array<Hash128, kStandInsAtOnce> kStandIns{};
  const auto stand_in = [&](uint32_t first, uint64_t end) {
    while (first < end) {
      const auto some = std::span(kStandIns).first(std::min<uint64_t>(kStandInsAtOnce, end - first));
      take(first, some);
      first += static_cast<uint32_t>(some.size());
    }
  };
  uint32_t next = 0;
  for (const transfer::LeafRun& run : runs_of(talk.share, entry.number)) {
    stand_in(next, run.first);
    next = run.end;
  }
  stand_in(next, leaf_count(entry.size));
}

void GatherPath::give_back_unstored(Talk& talk) {
  for (const transfer::LeafRun& run : std::exchange(talk.share, {})) {
    const flow::IntervalSet& stored = files_.at(run.object).stored;
    for (uint64_t at = run.first; at < run.end;) {
      const flow::Interval gap = stored.first_gap({at, run.end});
      if (gap.begin == gap.end) break;
      deal_.give_back({run.object, static_cast<uint32_t>(gap.begin), static_cast<uint32_t>(gap.end)});
      at = gap.end;
    }
  }
}

bool GatherPath::end_talks() {
  bool worked = false;
  for (auto talk = talks_.begin(); talk != talks_.end();) {
    const bool is_written = !writes_.has_any_of(talk->transfer);
    while (talk->receiver->next_close()) talk->receiver->on_closed();
    if (!talk->outcome && !talk->share.empty() && talk->receiver->is_complete() && is_written) {
      talk->outcome = TransferDone::Outcome{{}, talk->receiver->entries(), talk->receiver->bytes_stored()};
      worked = true;
    }
    if (talk->outcome && is_written) give_back_unstored(*talk);
    talk = talk->is_leaving && is_written ? talks_.erase(talk) : std::next(talk);
  }
  return worked;
}

// ---- blocks --------------------------------------------------------------------------------------------------------------

void GatherPath::on_block(BlockUnpacked&& block) {
  Talk* talk = find(block.transfer);
  if (talk == nullptr || talk->outcome || talk->share.empty()) return give_home(around_.rings, std::move(block));
  if (!block.block.ok()) {
    if (Status status = talk->receiver->on_unreadable(block.key, block.block.error()); !status.ok()) talk->outcome = status.error();
    return give_home(around_.rings, std::move(block), credit_max());
  }
  talk->board->bytes_raw.add(block.block.value().raw.size());
  talk->board->bytes_packed.add(block.packed_size);
  talk->board->blocks.add(1);
  const auto verdict = talk->receiver->judge(block.block.value().segments);
  if (!verdict.ok()) {
    talk->outcome = verdict.error();
    return give_home(around_.rings, std::move(block));
  }
  auto writing = std::make_unique<Writing>();
  const Status status = claim_segments(std::move(block), *talk->receiver, *writing);
  writes_.add(std::move(writing));
  if (!status.ok()) talk->outcome = status.error();
  else if (talk->receiver->rejected() > kGatherRejectedMax)
    talk->outcome = Error{Fault::kHashMismatch, "more than " + std::to_string(kGatherRejectedMax) + " blocks of it came damaged", "check the memory of both gateways"};
}

bool GatherPath::submit_writes() {
  return writes_.submit(*store_, log_->pace(), [this](const Writing& writing) { return !is_pausing_ && (writing.has_begun || log_->pace().has_room_for(kLeafSize)); });
}

bool GatherPath::take_answers(Time now) {
  const AnswersTaken taken = take_store_answers(*store_, writes_, [&](const StoreDone& done) { return on_answer(now, done); }, [&](Writing& writing) { return finish(now, writing); });
  if (!taken.status.ok()) fail_all(taken.status.error());
  return taken.worked;
}

Status GatherPath::on_answer(Time now, const StoreDone& done) {
  if (!done.status.ok()) return done.status.error();
  if (done.token == kGatherSyncToken) {
    log_->on_synced(now);
    around_.board.syncs.add(1);
    around_.board.sync_ns.add(static_cast<uint64_t>((now - sync_began_).count()));
    is_syncing_ = false;
    const Status status = log_->end_batch();
    store_->staging().note_durable(bytes_held_ + log_->bytes_recorded());
    return status;
  }
  if (const auto closed = closing_.extract(done.token)) note_completing(closed.mapped());
  else writes_.on_answer(done.token);
  return success();
}

// Not when its source has disowned it since.
void GatherPath::note_completing(const Closing& closing) {
  const File& file = files_.at(closing.object);
  if (file.stored.contains(closing.leaf.number - file.first_leaf)) log_->on_counts(closing.leaf);
}

// A leaf counts, whoever brought it and is gone by now: its hash was right. Not so what its source has disowned.
Status GatherPath::finish(Time now, Writing& writing) {
  Talk* talk = find(writing.transfer);
  TIDEWAY_CHECK(talk != nullptr);  // it stays until all of its blocks are written
  Status status = success();
  for (const block::Segment& segment : writing.good)
    if (status.ok() && !talk->disowned.contains(segment.object)) status = note_stored(now, talk->source, segment);
  std::vector<transfer::Receiver::StoredLeaf> leaves;
  if (status.ok() && !talk->outcome) {
    const Status taken = talk->receiver->on_stored(writing.block.key, writing.good, leaves);
    if (!taken.ok()) talk->outcome = taken.error();
  }
  note_written(now, writing, log_->pace());
  give_back(writing);
  return status;
}

// The leaf that completes a file is noted when the file is closed: one whose leaves are all recorded is finished, too.
Status GatherPath::note_stored(Time now, transfer::SourceNumber source, const block::Segment& segment) {
  File& file = files_.at(segment.object);
  TIDEWAY_CHECK(file.stored.add({segment.leaf, uint64_t{segment.leaf} + 1}) == 1);
  leaves_missing_ -= 1;
  Source& from = by_source_[source];
  if (!from.began) from.began = now;
  from.last = now;
  from.stored += Bytes(segment.length);
  const NotedLeaf leaf{file.first_leaf + segment.leaf, segment.length};
  if (Status status = store_->staging().write_leaf_hash(leaf.number, segment.hash); !status.ok()) return status;
  if (file.stored.count() < file.leaves) log_->on_counts(leaf);
  else closes_.push_back({segment.object, leaf});
  return success();
}

bool GatherPath::submit_closes() {
  bool worked = false;
  for (; !closes_.empty() && !is_pausing_; closes_.pop_front(), worked = true) {
    const StoreRequest request{StoreOp::kClose, next_close_token_, closes_.front().object, {}, {}};
    if (store_->submit({&request, 1}) == 0) break;
    closing_[next_close_token_] = closes_.front();
    next_close_token_ = (next_close_token_ + 1) | kCloseTokens;
  }
  return worked;
}

// A sync covers what is written when it begins, so no write may be at work then.
bool GatherPath::sync_batch(Time now) {
  if (is_syncing_ || is_over_) return false;
  is_pausing_ = is_pausing_ || log_->pace().wants_sync(now);
  if (!is_pausing_) return false;
  const StoreRequest request{StoreOp::kSync, kGatherSyncToken, {}, {}, {}};
  if (store_->submit({&request, 1}) == 0) return false;
  log_->begin_batch(now);
  sync_began_ = now;
  is_pausing_ = false;
  is_syncing_ = true;
  return true;
}

// ---- end -----------------------------------------------------------------------------------------------------------------

bool GatherPath::is_brought() const { return leaves_missing_ == 0 && closes_.empty() && closing_.empty(); }

// The last leaves are with a source that is so much slower than one that waits for it.
bool GatherPath::has_waited_enough(Time now) const {
  for (const Talk& talk : talks_) {
    const Source& source = by_source_[talk.source];
    if (!talk.is_waiting() || talk.idle_since == Time{}) continue;
    const auto is_at_work = [&](const Talk& other) { return other.source == talk.source && !other.share.empty(); };
    if (std::ranges::any_of(talks_, is_at_work)) continue;
    const bool has_rate = source.began && source.last > *source.began;
    const Duration itself = has_rate ? Rate::of(source.stored, source.last - *source.began).time_for(kLeafSize * leaves_missing_) : kGatherTailUnknown;
    if ((now - talk.idle_since - kGatherTailMin) / 2 > itself) return true;
  }
  return false;
}

void GatherPath::look_whether_over(Time now) {
  if (is_over_ || list_.empty()) return;
  const auto brings = [](const Talk& talk) { return !talk.share.empty(); };
  const bool is_anybody_at_work = std::ranges::any_of(talks_, brings);
  if (is_brought()) return stop();
  if (is_anybody_at_work && has_waited_enough(now)) {
    for (const Talk& talk : talks_)
      if (brings(talk)) board_->is_shunned[talk.source].set(1);
    return stop();
  }
  // Nobody who is asked may bring what is left.
  if (!is_anybody_at_work && !deal_.is_empty() && std::ranges::any_of(talks_, &Talk::is_waiting)) stop();
}

void GatherPath::stop() {
  is_over_ = true;
  is_pausing_ = false;
  for (Talk& talk : talks_)
    if (!talk.outcome) talk.outcome = TransferDone::Outcome{{}, talk.receiver->entries(), talk.receiver->bytes_stored()};
}

void GatherPath::fail_all(const Error& why) {
  is_over_ = true;
  for (Talk& talk : talks_)
    if (!talk.outcome) talk.outcome = why;
}

bool GatherPath::say(Time now, EventOutlet& events) {
  bool worked = false;
  for (Talk& talk : talks_) {
    worked |= tell_peer(now, talk, events);
    if (!talk.outcome || talk.is_told || talk.is_leaving || !events.has_room()) continue;
    talk.is_told = worked = true;
    events.emit(TransferDone{talk.transfer, *talk.outcome});
  }
  return worked;
}

bool GatherPath::tell_peer(Time now, Talk& talk, EventOutlet& events) {
  if (talk.outcome || talk.share.empty()) return false;
  const bool worked = talk.outlet.say(now, talk.transfer, *talk.receiver, events);
  while (events.has_room()) {
    auto report = talk.receiver->next_report();
    if (!report) break;
    events.emit(EntryReported{talk.transfer, "", std::move(report->why)});
  }
  return worked;
}

void GatherPath::tell_boards() {
  for (size_t i = 0; i < by_source_.size(); ++i) board_->bytes_of[i].set(by_source_[i].stored.count());
  if (log_) board_->bytes_durable.set((bytes_held_ + log_->bytes_recorded()).count());
  for (const Talk& talk : talks_) {
    talk.board->entries.set(talk.receiver->entries());
    talk.board->bytes_verified.set(talk.receiver->bytes_stored().count());
    talk.board->leaves_rejected.set(talk.receiver->rejected());
  }
  if (is_over_) board_->is_over.set(1);
}

}  // namespace tideway::engine
