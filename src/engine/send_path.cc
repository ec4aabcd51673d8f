// SPDX-License-Identifier: Apache-2.0
#include "engine/send_path.h"

#include "transfer/ahead_name.h"

#include <algorithm>
#include <cstring>

namespace tideway::engine {
namespace {

constexpr size_t kScanBatch = 256;        // entries of one turn
constexpr size_t kReadingsMax = 64;       // blocks being read at once
// Read and packed before a lane takes them: enough to hide the disk, and no more, because every buffer that is used is
// memory touched for the first time at some point. Several lanes share the disk, so each needs fewer.
constexpr size_t kBlocksAheadMax = 8, kBlocksAheadOfEach = 4;

block::EffortConfig effort_from(const messages::TransferOptions& options) {
  switch (options.compress) {
    case messages::CompressMode::kOff: return {block::EffortMode::kOff, {}};
    case messages::CompressMode::kZstd: return {block::EffortMode::kFixed, {options.level}};
    case messages::CompressMode::kAuto: break;
  }
  return {block::EffortMode::kAuto, {}};
}

transfer::Sender::Options options_from(const StartSource& start) {
  transfer::Sender::Options options;
  options.transfer = start.id;
  if (start.content == StartSource::Content::kManifestOnly) options.content = transfer::Sender::Options::Content::kManifestOnly;
  return options;
}

}  // namespace

SendPath::SendPath(StartSource&& start, Reads reads, Rings& rings, BufferPool& pool)
    : handle_(start.transfer), board_(std::move(start.board)), held_(start.held), holds_(std::move(reads.holds)), published_(std::move(reads.published)), store_(std::move(reads.store)), lister_(store_->list({})),
      sender_(options_from(start)), rings_(rings), pool_(pool), effort_(effort_from(start.options)), content_(start.content),
      readings_(kReadingsMax), next_close_token_(kCloseTokens) {
  for (uint16_t i = kReadingsMax; i > 0; --i) readings_free_.push_back(static_cast<uint16_t>(i - 1));
}

bool SendPath::poll(size_t buffers_max, EventOutlet& events) {
  bool worked = say(events);
  if (state_ == State::kDone) return worked;
  worked |= scan(events);
  if (state_ == State::kDone) return true;
  worked |= start_reading(buffers_max);
  worked |= submit_reads();
  worked |= take_answers();
  worked |= submit_closes();
  worked |= say(events);
  tell_board();
  return worked;
}

// ---- scan ----------------------------------------------------------------------------------------------------------

bool SendPath::scan(EventOutlet& events) {
  if (!sender_.wants_entries()) return false;
  if (content_ == StartSource::Content::kGrowing) return list_grown(events);
  ManifestEntry batch[kScanBatch];
  const auto listed = lister_->next(batch);
  if (!listed.ok()) {
    fail(listed.error(), events);
    return true;
  }
  const auto entries = std::span(batch).first(listed.value());
  if (published_) published_->stamp(entries);
  if (published_ && entries.empty()) published_->on_end();
  if (content_ == StartSource::Content::kWithData)  // what is only named takes no memory
    for (const ManifestEntry& entry : entries) store_->bind(entry.number, entry);
  if (Status status = sender_.on_listed(entries); !status.ok()) {
    fail(status.error(), events);
    return true;
  }
  SkippedEntry skipped;
  while (lister_->next_skipped(skipped)) sender_.on_skipped(skipped);
  if (entries.empty()) sender_.on_scan_end();
  if (entries.empty() && content_ == StartSource::Content::kManifestOnly)
    events.emit(TransferDone{handle_, TransferDone::Outcome{{}, sender_.entries(), sender_.bytes_listed()}});
  return true;
}

void SendPath::on_grown(std::vector<GrownPart>&& parts) {
  for (GrownPart& part : parts) grown_.push_back(std::move(part));
}

// Each part is a file of a flat directory, named by what it is part of.
ManifestEntry SendPath::entry_of(const GrownPart& part) {
  ManifestEntry entry;
  entry.number = ObjectId(grown_listed_);
  entry.name = *transfer::ahead_name({grown_listed_, part.leaf, part.path});
  entry.size = kLeafSize * part.leaves;
  entry.mode = 0600;
  entry.first_leaf = grown_leaves_;
  return entry;
}

bool SendPath::list_grown(EventOutlet& events) {
  if (grown_.empty()) {
    sender_.flush();  // what was read whole counts at the sink when it knows its root
    return false;
  }
  ManifestEntry entry;
  entry.type = EntryType::kDirectory;
  entry.mode = 0700;
  Status status = success();
  if (grown_listed_ == 0) {
    store_->bind(entry.number, entry);
    status = sender_.on_listed({&entry, 1});
    grown_listed_ = 1;
  }
  for (; status.ok() && !grown_.empty() && sender_.wants_entries(); grown_.pop_front()) {
    entry = entry_of(grown_.front());
    store_->bind(entry.number, entry);
    store_->bind_part(entry.number, {std::move(grown_.front().path), kLeafSize * grown_.front().leaf});
    grown_leaves_ += grown_.front().leaves;
    grown_listed_ += 1;
    status = sender_.on_listed({&entry, 1});
  }
  if (!status.ok()) fail(status.error(), events);
  else sender_.flush();
  return true;
}

// ---- read ----------------------------------------------------------------------------------------------------------

// The lane that has least to do, unless it has enough. A slower path so gets fewer blocks.
std::optional<size_t> SendPath::lane_for_next() const {
  if (lanes_ahead_.empty()) return std::nullopt;
  const auto least = std::ranges::min_element(lanes_ahead_);
  if (*least >= (lanes_ahead_.size() == 1 ? kBlocksAheadMax : kBlocksAheadOfEach)) return std::nullopt;
  return static_cast<size_t>(least - lanes_ahead_.begin());
}

// One more at a time than were read so far. The first block leaves when it is there, and of eight that are read at once out of the page
// cache or a tmpfs it is there when nearly all of them are.
bool SendPath::start_reading(size_t buffers_max) {
  bool worked = false;
  while (buffers_out_ < buffers_max && !readings_free_.empty() && readings_used_.size() <= blocks_read_) {
    const auto lane = lane_for_next();
    if (!lane) break;
    Buffer buffer = pool_.take();
    if (buffer.is_empty()) break;
    auto plan = sender_.next_block();
    if (!plan) break;
    plan->key.slot = accepted_->slot;
    const uint16_t index = readings_free_.back();
    readings_free_.pop_back();
    readings_used_.push_back(index);
    readings_[index] = Reading{std::move(*plan), std::move(buffer), *lane, 0, 0, {}};
    buffers_out_ += 1;
    blocks_ahead_ += 1;
    lanes_ahead_[*lane] += 1;
    worked = true;
  }
  return worked;
}

bool SendPath::submit_reads() {
  bool worked = false;
  for (const uint16_t index : readings_used_) {
    Reading& reading = readings_[index];
    while (reading.submitted < reading.plan.leaves.size()) {
      const transfer::LeafRead& leaf = reading.plan.leaves[reading.submitted];
      const StoreRequest request{StoreOp::kRead, uint32_t{index} << 16 | static_cast<uint32_t>(reading.submitted), leaf.object,
                                 kLeafSize * leaf.leaf, reading.buffer.data().subspan(leaf.at, leaf.length)};
      if (store_->submit({&request, 1}) == 0) return worked;
      reading.submitted += 1;
      worked = true;
    }
  }
  return worked;
}

bool SendPath::take_answers() {
  std::vector<StoreDone> done(kAnswersBatch, StoreDone{0, success()});
  bool worked = false;
  for (;;) {
    const size_t count = store_->poll(done);
    for (StoreDone& one : std::span(done).first(count)) {
      if (one.token < kCloseTokens) {
        on_read(readings_[one.token >> 16], one.token & 0xFFFF, one.status);
        continue;
      }
      const auto closed = closing_.extract(one.token);
      if (one.status.ok()) sender_.on_closed(closed.mapped());
      else sender_.on_entry_failed(closed.mapped(), one.status.error());
    }
    worked |= count > 0;
    if (count < kAnswersBatch) break;
  }
  for (size_t i = 0; i < readings_used_.size();) {
    const uint16_t index = readings_used_[i];
    if (readings_[index].answered < readings_[index].plan.leaves.size()) {
      ++i;
      continue;
    }
    readings_used_.erase(readings_used_.begin() + static_cast<std::ptrdiff_t>(i));
    readings_free_.push_back(index);
    blocks_read_ += 1;
    hand_on(std::move(readings_[index]));
  }
  return worked;
}

void SendPath::on_read(Reading& reading, size_t leaf, const Status& status) {
  reading.answered += 1;
  if (status.ok()) return;
  reading.failed.resize(reading.plan.leaves.size());
  reading.failed[leaf] = true;
  sender_.on_entry_failed(reading.plan.leaves[leaf].object, status.error());
}

// What could not be read is left out of the block; the bytes behind it move up.
void SendPath::hand_on(Reading&& reading) {
  block::RawBlock raw{.key = reading.plan.key, .segments = {}, .bytes = std::move(reading.buffer), .raw_size = 0};
  raw.segments.reserve(reading.plan.leaves.size());
  for (size_t i = 0; i < reading.plan.leaves.size(); ++i) {
    const transfer::LeafRead& leaf = reading.plan.leaves[i];
    if (!reading.failed.empty() && reading.failed[i]) continue;
    if (raw.raw_size != leaf.at)
      std::memmove(raw.bytes.data().data() + raw.raw_size, raw.bytes.data().data() + leaf.at, leaf.length);
    raw.segments.push_back({leaf.object, leaf.leaf, leaf.length, {}});
    raw.raw_size += leaf.length;
  }
  const bool is_hashed_only = reading.plan.use == transfer::BlockPlan::Use::kHash;
  if (raw.segments.empty()) {
    if (is_hashed_only) sender_.on_hashed({});
    buffers_out_ -= 1;
    blocks_ahead_ -= 1;
    lanes_ahead_[reading.lane] -= 1;
    return;
  }
  std::vector<Hash128> base = is_hashed_only ? std::vector<Hash128>() : sender_.base_of(raw.segments);
  const size_t packed = blocks_ahead_ - std::min(blocks_ahead_, readings_used_.size() + to_pack_ + 1);  // without this one
  const block::Pressure pressure = block::pressure_of(to_pack_, packed, blocks_ahead_max());
  const size_t cpu = next_cpu_++ % rings_.io_cpu.size();
  to_pack_ += 1;
  pass_on(rings_.io_cpu[cpu]->to_pack,
          BlockToPack{handle_, accepted_->lanes[reading.lane], effort_, pressure, std::move(raw), std::move(base),
                      is_hashed_only ? BlockToPack::Use::kHash : BlockToPack::Use::kSend},
          *rings_.cpu_bells[cpu]);
}

// The block is on its way already, and the sink drops of it what belongs to an entry that failed.
void SendPath::give_up_rotten(std::span<const block::Segment> segments) {
  if (!published_) return;
  for (const block::Segment& segment : segments) {
    if (!published_->has_rotted(segment)) continue;
    const uint64_t begin = kLeafSize.count() * segment.leaf;
    sender_.on_entry_failed(segment.object,
                            {Fault::kSourceCorrupt, "bytes " + std::to_string(begin) + " to " + std::to_string(begin + segment.length - 1) + " of \"" +
                                 store_->shown(segment.object) + "\" are not those that were published here",
                             "take another copy, or mend this one with tideway repair; if it was changed on purpose, touch it"});
  }
}

void SendPath::on_packed(const BlockPacked& packed) {
  to_pack_ -= 1;
  give_up_rotten(packed.segments);
  if (packed.goes != BlockPacked::Goes::kOut) {
    buffers_out_ -= 1;
    take_from_ahead(packed.lane);
    return packed.goes == BlockPacked::Goes::kNowhere ? sender_.on_same(packed.key, packed.segments) : sender_.on_hashed(packed.segments);
  }
  board_->bytes_raw.add(packed.raw_size);
  board_->bytes_packed.add(packed.packed_size);
  sender_.on_packed(packed.key, packed.segments);
}

void SendPath::on_notice(const BlockNotice& notice) {
  if (notice.kind == BlockNotice::Kind::kAcked) {
    buffers_out_ -= 1;
    return;
  }
  take_from_ahead(notice.lane);
  board_->blocks.add(1);
  if (notice.kind == BlockNotice::Kind::kStartedLate) board_->blocks_uncredited.add(1);
  if (blocks_ahead_ > 0 && blocks_ahead_ <= readings_used_.size() + to_pack_) board_->blocks_dry.add(1);
}

size_t SendPath::blocks_ahead_max() const { return std::max(kBlocksAheadMax, kBlocksAheadOfEach * lanes_ahead_.size()); }

// What is neither being read nor packed.
size_t SendPath::blocks_waiting() const { return blocks_ahead_ - std::min(blocks_ahead_, readings_used_.size() + to_pack_); }

void SendPath::take_from_ahead(LaneHandle lane) {
  blocks_ahead_ -= 1;
  const auto found = std::ranges::find(accepted_->lanes, lane);
  lanes_ahead_[static_cast<size_t>(found - accepted_->lanes.begin())] -= 1;
}

bool SendPath::submit_closes() {
  bool worked = false;
  for (;;) {
    if (!close_waiting_) close_waiting_ = sender_.next_close();
    if (!close_waiting_) return worked;
    const StoreRequest request{StoreOp::kClose, next_close_token_, *close_waiting_, {}, {}};
    if (store_->submit({&request, 1}) == 0) return worked;
    closing_[next_close_token_] = *close_waiting_;
    next_close_token_ = (next_close_token_ + 1) | kCloseTokens;
    close_waiting_.reset();
    worked = true;
  }
}

// ---- talk ----------------------------------------------------------------------------------------------------------

void SendPath::on_accepted(const SourceAccepted& accepted) {
  accepted_ = accepted;
  lanes_ahead_.resize(accepted.lanes.size());
  sender_.on_accepted(accepted.needed == SourceAccepted::Needed::kEverything ? transfer::Answers::kEverythingNeeded
                                                                              : transfer::Answers::kPerPage);
}

void SendPath::on_peer_message(TransferMessage&& message, EventOutlet& events) {
  Status status = success();
  if (auto* held = std::get_if<messages::ObjectsHeld>(&message)) status = take_held(*held);
  if (auto* base = std::get_if<messages::BaseLeaves>(&message)) sender_.on_base(*base);
  if (auto* needs = std::get_if<messages::Needs>(&message)) status = sender_.on_needs(*needs);
  if (auto* delivered = std::get_if<messages::BlocksDelivered>(&message)) status = sender_.on_delivered(*delivered);
  if (auto* rejected = std::get_if<messages::SegmentsRejected>(&message)) status = sender_.on_rejected(*rejected);
  if (auto* durable = std::get_if<messages::Durable>(&message)) status = sender_.on_durable(*durable);
  if (auto* error = std::get_if<messages::PeerError>(&message)) sender_.on_refused(*error);
  if (!status.ok()) fail(status.error(), events);
}

// What the sink keeps of a tree that was published here is compared with that, and not read again. It may be of a leaf that had rotted, when
// the session died before it heard of that; its root would tell, but not where the tree was changed in another place since.
Status SendPath::take_held(const messages::ObjectsHeld& held) {
  using Kept = PublishedEntries::Kept;
  const messages::HeldObject* other = nullptr;
  const auto judge = [&](const messages::HeldObject& object) {
    const Kept kept = published_ ? published_->compare(object) : Kept::kUnknown;
    if (kept == Kept::kOther && other == nullptr) other = &object;
    if (kept == Kept::kSame) return transfer::HeldHashes::kKnown;
    const bool is_read = kept == Kept::kUnknown && held_ == StartSource::Held::kProven;
    return is_read ? transfer::HeldHashes::kReadAgain : transfer::HeldHashes::kClaimed;
  };
  if (Status status = sender_.on_held(held, judge); !status.ok() || other == nullptr) return status;
  return Error{Fault::kHashMismatch, "what the receiving site keeps of \"" + store_->shown(other->object) + "\" is not what was published here",
               "run the same command again: nothing of it is kept"};
}

// A replica that is not any more what was published here. Of what the sink kept or refused the root says nothing.
bool SendPath::is_damaged(const transfer::SenderMessage& message) const {
  const auto* root = std::get_if<messages::TransferRoot>(&message);
  return root != nullptr && sender_.kept() == 0 && sender_.failed() == 0 && published_ && published_->root().value_or(root->root) != root->root;
}

bool SendPath::say(EventOutlet& events) {
  bool worked = false;
  while (messages_out_ < kMessagesOutMax && events.has_room()) {
    auto message = sender_.next_message();
    if (!message) break;
    if (is_damaged(*message)) {
      fail({Fault::kHashMismatch, "this copy is not any more what was published here", "take another replica; tideway verify says what is damaged"}, events);
      return true;
    }
    messages_out_ += 1;
    const ToPeer::Root root = sender_.is_root_proven() ? ToPeer::Root::kProven : ToPeer::Root::kClaimed;
    std::visit([&](auto&& m) { events.emit(ToPeer{handle_, TransferMessage(std::move(m)), root}); }, std::move(*message));
    worked = true;
  }
  while (events.has_room()) {
    auto report = sender_.next_report();
    if (!report) break;
    events.emit(EntryReported{handle_, "", std::move(report->why)});
    worked = true;
  }
  while (const auto released = sender_.next_release()) {
    store_->release(*released);
    if (published_) published_->release(*released);
  }
  return worked;
}

void SendPath::tell_board() {
  board_->entries.set(sender_.entries());
  board_->bytes_listed.set(sender_.bytes_listed().count());
  board_->bytes_needed.set(sender_.bytes_needed().count());
  board_->bytes_held.set(sender_.bytes_held().count());
  board_->bytes_verified.set(sender_.bytes_delivered().count());
  board_->bytes_durable.set(sender_.bytes_durable().count());
  board_->failed.set(sender_.failed());
  board_->skipped.set(sender_.skipped());
  board_->leaves_rejected.set(sender_.rejected());
  board_->kept.set(sender_.kept());
  board_->is_scanning.set(sender_.is_scanning() ? 1 : 0);
  board_->is_piled_up.set(blocks_waiting() * 2 >= blocks_ahead_max() ? 1 : 0);
}

void SendPath::fail(const Error& why, EventOutlet& events) {
  if (state_ == State::kDone) return;
  state_ = State::kDone;
  events.emit(TransferDone{handle_, why});
}

}  // namespace tideway::engine
