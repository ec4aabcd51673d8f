// SPDX-License-Identifier: Apache-2.0
#include "transfer/sender.h"

#include "transfer/take_front.h"

#include <algorithm>

namespace tideway::transfer {
namespace {

constexpr size_t kMessagesAhead = 8;  // that wait for the control channel: more pages than that are not made

Error unasked(const char* message) {
  return {Fault::kProtocolError, std::string("the receiving site sent ") + message + " for what was not offered",
          "both sites should run versions that fit; see `tideway version`"};
}

// For what other sources bring: docs/protocol.md, "Several sources". A file with such leaves is not read twice to be hashed, because
// what comes of it is the root of nothing.
bool are_stand_ins(const messages::HeldObject& held, Bytes size) {
  constexpr Hash128 kStandIn{};
  for (const messages::HeldRun& run : held.runs)
    if (std::ranges::any_of(run.hashes, [&](const Hash128& hash) { return hash != kStandIn; })) return false;
  digest::ObjectHasher front;
  for (uint32_t leaf = 0; leaf < held.leaves; ++leaf) front.add_leaf(leaf_length(size, leaf), kStandIn);
  return front.folded().tops == held.tops;
}

}  // namespace

Sender::Sender(const Options& options) : options_(options), pages_(options.transfer) {
  ended_.transfer = options.transfer;
}

// ---- scan ----------------------------------------------------------------------------------------------------------

bool Sender::wants_entries() const { return !scan_ended_ && messages_.size() < kMessagesAhead && !is_far_ahead(); }

bool Sender::is_far_ahead() const {
  const uint64_t oldest = needed_order_.empty() ? entries_ : needed_order_.front().value();
  return entries_ - oldest >= kUnresolvedMax || tree_.pending() >= kUnresolvedMax || asked_pages_.size() >= kPagesAskedMax;
}

Status Sender::on_listed(std::span<const ManifestEntry> entries) {
  for (const ManifestEntry& entry : entries)
    if (Status status = list(entry); !status.ok()) return status;
  return success();
}

Status Sender::list(const ManifestEntry& entry) {
  if (Status status = tree_.add(entry); !status.ok()) return status;
  if (pages_.is_full()) cut_page();  // not before more follows: what is skipped at the end goes with the last page
  entries_ += 1;
  bytes_listed_ += entry.size;
  if (entry.type == EntryType::kFile) leaves_ += leaf_count(entry.size);
  pages_.add(entry);
  const bool has_bytes = entry.type == EntryType::kFile && entry.size > 0_B;
  if (options_.content == Options::Content::kManifestOnly) {
    if (has_bytes) tree_.set_kept(entry.number);  // nobody will hash it, and no page is answered
    return success();
  }
  if (has_bytes) {
    unfinished_ += 1;
    if (answers_ == Answers::kEverythingNeeded)
      need({entry.number, entry.size});
    else
      asked_pages_[pages_cut_].push_back({entry.number, entry.size});
  } else if (answers_ == Answers::kPerPage) {
    asked_pages_[pages_cut_];  // the page waits for its answer all the same
  }
  return success();
}

void Sender::cut_page() {
  if (pages_.is_empty()) return;
  messages::ManifestPage page = pages_.take();
  page.skipped = std::exchange(skips_waiting_, {});
  messages_.emplace_back(std::move(page));
  pages_cut_ += 1;
  first_uncut_ = entries_;
  flush_object_ends();  // soon after they are known: the sink keeps entries for as long as an older one is open
}

// The sink must have read of an object before it reads how that ended.
void Sender::name(ObjectId object) {
  if (object.value() >= first_uncut_) cut_page();
}

// A special file or an unsafe link is left out and the rest published; what could not be read is a failure, which the
// sink has to know of. It tells both to whoever started a pull.
void Sender::on_skipped(const SkippedEntry& skipped) {
  const bool is_reported = skipped_ + failed_ < kEntryErrorsReported;
  if (is_reported) reports_.push_back({std::nullopt, skipped.why});
  if (is_skip(skipped.why.fault)) {
    if (is_reported) skips_waiting_.push_back({std::string(skipped.why.name()), skipped.why.what});
    skipped_ += 1;
  } else {
    failed_ += 1;
    say_failure(std::nullopt, skipped.why);
  }
}

void Sender::say_failure(std::optional<ObjectId> object, const Error& why) {
  if (object) name(*object);
  messages::PeerError message;
  message.code = std::string(why.name());
  message.reaction = messages::Reaction::kEntryFailed;
  message.transfer = options_.transfer;
  message.object = object;
  message.detail = failed_ <= kEntryErrorsReported ? why.what : "";
  messages_.emplace_back(std::move(message));
}

void Sender::flush() {
  cut_page();
  flush_object_ends();
}

void Sender::on_scan_end() {
  scan_ended_ = true;
  cut_page();
  say_end();
}

void Sender::need(const Asked& asked) {
  if (asked.held != nullptr) return need_rest(asked);
  objects_.emplace(asked.object, Object(digest::LeafFold(asked.size)));
  needed_order_.push_back(asked.object);
  builder_.add_object(asked.object, asked.size);
  bytes_needed_ += asked.size;
}

// What the sink has is not sent again, and read only where its hashes are not taken for true.
void Sender::need_rest(const Asked& asked) {
  const messages::HeldObject& held = *asked.held;
  const auto leaves = static_cast<uint32_t>(leaf_count(asked.size));
  const bool is_read = asked.hashes == HeldHashes::kReadAgain;
  if (asked.hashes == HeldHashes::kClaimed) is_proven_ = false;
  digest::FoldedLeaves folded{held.leaves, held.tops};
  if (held.leaves == leaves && !is_read) {
    bytes_held_ += asked.size;
    tree_.set_root(asked.object, digest::ObjectHasher(asked.size, std::move(folded)).finish());
    releases_.push_back(asked.object);
    drop_base(asked.object);
    unfinished_ -= 1;
    return;
  }
  digest::LeafFold fold = is_read ? digest::LeafFold(asked.size) : digest::LeafFold(asked.size, std::move(folded));
  Object& object = objects_.emplace(asked.object, Object(std::move(fold))).first->second;
  needed_order_.push_back(asked.object);
  object.delivered = held.leaves;
  object.is_held = held.leaves == leaves;
  if (is_read && held.leaves > 0) to_hash_.add_leaves(asked.object, asked.size, {0, held.leaves});
  const Bytes needed_before = bytes_needed_;
  uint32_t next = held.leaves;
  const auto need_up_to = [&](uint32_t end) {
    if (next == end) return;
    builder_.add_leaves(asked.object, asked.size, {next, end});
    bytes_needed_ += kLeafSize * (end - next - 1) + Bytes(leaf_length(asked.size, end - 1));
  };
  for (const messages::HeldRun& run : held.runs) {
    need_up_to(run.first);
    next = run.first + static_cast<uint32_t>(run.hashes.size());
    object.delivered += static_cast<uint32_t>(run.hashes.size());
    if (is_read) to_hash_.add_leaves(asked.object, asked.size, {run.first, next});
    else for (uint32_t i = 0; i < run.hashes.size(); ++i) object.fold.add(run.first + i, run.hashes[i]);
  }
  need_up_to(leaves);
  early_hashes_ += object.fold.early();
  bytes_held_ += asked.size - (bytes_needed_ - needed_before);
}

// ---- from the sink -------------------------------------------------------------------------------------------------

void Sender::on_accepted(Answers answers) {
  answers_ = answers;
  if (answers == Answers::kPerPage) return;
  for (const auto& [page, asked] : std::exchange(asked_pages_, {}))
    for (const Asked& entry : asked) need(entry);
  say_end();
}

void Sender::on_refused(const messages::PeerError& error) {
  failed_ += 1;
  const Fault fault = fault_named(error.code).value_or(Fault::kEntriesFailed);
  if (failed_ <= kEntryErrorsReported) reports_.push_back({error.object, {fault, error.detail, ""}});
}

Status Sender::on_held(const messages::ObjectsHeld& held, const JudgeHeld& judge) {
  const auto asked = asked_pages_.find(held.page);
  if (asked == asked_pages_.end() || held.page >= pages_cut_) return unasked("ObjectsHeld");
  auto entry = asked->second.begin();
  for (const messages::HeldObject& object : held.objects) {
    entry = std::find_if(entry, asked->second.end(), [&](const Asked& one) { return one.object == object.object; });
    if (entry == asked->second.end()) return unasked("ObjectsHeld");
    if (Status status = note_held(*entry, object, judge); !status.ok()) return status;
  }
  return success();
}

static uint64_t end_of(const messages::HeldObject& object) {
  return object.runs.empty() ? object.leaves : uint64_t{object.runs.back().first} + object.runs.back().hashes.size();
}

// What no message has room for goes on in the next one, by runs alone. Only what can be is judged.
Status Sender::note_held(Asked& asked, const messages::HeldObject& object, const JudgeHeld& judge) {
  const bool goes_on = asked.held != nullptr && object.leaves == 0 && object.runs.front().first >= end_of(*asked.held);
  if (end_of(object) > leaf_count(asked.size) || (asked.held != nullptr && !goes_on)) return unasked("ObjectsHeld");
  for (const messages::HeldRun& run : object.runs) held_hashes_ += run.hashes.size();
  if (held_hashes_ > kHeldAskedMax)
    return Error{Fault::kLimitExceeded, "the receiving site names more than " + std::to_string(kHeldAskedMax) + " leaves behind missing ones",
                 "both sites should run versions that fit; see `tideway version`"};
  HeldHashes hashes = judge(object);
  if (hashes == HeldHashes::kReadAgain && are_stand_ins(object, asked.size)) hashes = HeldHashes::kClaimed;
  asked.hashes = std::max(asked.hashes, hashes);
  if (asked.held == nullptr) asked.held = std::make_shared<messages::HeldObject>(object);
  else asked.held->runs.insert(asked.held->runs.end(), object.runs.begin(), object.runs.end());
  return success();
}

Status Sender::on_needs(const messages::Needs& needs) {
  const auto asked = asked_pages_.find(needs.page);
  if (asked == asked_pages_.end() || needs.page >= pages_cut_) return unasked("Needs");
  for (const Asked& entry : asked->second) {
    if (entry.held != nullptr)
      for (const messages::HeldRun& run : entry.held->runs) held_hashes_ -= run.hashes.size();
    const bool is_kept = needs.kind == messages::NeedsKind::kNone ||
                         (needs.kind == messages::NeedsKind::kAllBut &&
                          std::binary_search(needs.kept.begin(), needs.kept.end(), entry.object));
    if (!is_kept) {
      need(entry);
      continue;
    }
    drop_base(entry.object);
    tree_.set_kept(entry.object);
    kept_ += 1;
    releases_.push_back(entry.object);
    unfinished_ -= 1;
  }
  asked_pages_.erase(asked);
  say_end();
  return success();
}

Status Sender::on_delivered(const messages::BlocksDelivered& delivered) {
  for (const auto& [first, count] : delivered.ranges) {
    if (count > builder_.blocks_made() || first.value() > builder_.blocks_made() - count) return unasked("BlocksDelivered");
    // What is not verified yet is walked, not the numbers that a peer may name again and again.
    for (auto sent = sent_.lower_bound(first); sent != sent_.end() && sent->first.value() - first.value() < count;
         sent = sent_.erase(sent)) {
      blocks_delivered_ += sent->second.empty() ? 0 : 1;  // of one that was refused whole nothing is left
      for (const SentLeaf& leaf : sent->second) {
        const auto object = objects_.find(leaf.object);
        if (object == objects_.end()) continue;
        object->second.delivered += 1;
        if (leaf.sent == SentLeaf::Sent::kYes) bytes_delivered_ += Bytes(leaf.length);
        forget_if_delivered(leaf.object);
      }
    }
  }
  return success();
}

Status Sender::on_rejected(const messages::SegmentsRejected& rejected) {
  const auto sent = sent_.find(rejected.block);
  if (sent == sent_.end()) return unasked("SegmentsRejected");
  std::vector<SentLeaf>& leaves = sent->second;
  const bool has_crossed = std::ranges::any_of(leaves, [](const SentLeaf& leaf) { return leaf.sent == SentLeaf::Sent::kYes; });
  if (has_crossed && ++blocks_refused_ > kRefusedBlocksMax + blocks_delivered_ / kSoundBlocksEach)
    return Error{Fault::kHashMismatch, "the destination refused " + std::to_string(blocks_refused_) + " blocks as damaged, beside " + std::to_string(blocks_delivered_) + " that it took",
                 "copy again; if it repeats, check the memory of both gateways, and the device at the destination"};
  const auto again = [&](const SentLeaf& leaf) {
    builder_.add_again({leaf.object, leaf.leaf, leaf.length, 0});
    drop_base(leaf.object);  // what the sink got wrong once is not offered to it again
    if (leaf.sent == SentLeaf::Sent::kYes || !objects_.contains(leaf.object)) return;
    bytes_needed_ += Bytes(leaf.length);
    bytes_held_ -= Bytes(leaf.length);
  };
  rejected_ += rejected.segments.empty() ? leaves.size() : rejected.segments.size();
  if (rejected.segments.empty()) {  // the head was damaged
    std::for_each(leaves.begin(), leaves.end(), again);
    sent_.erase(sent);
    return success();
  }
  for (const messages::RejectedSegment& one : rejected.segments) {
    const auto match = [&](const SentLeaf& leaf) { return leaf.object == one.object && leaf.leaf == one.leaf; };
    const auto found = std::find_if(leaves.begin(), leaves.end(), match);
    if (found == leaves.end()) return unasked("SegmentsRejected");
    again(*found);
    leaves.erase(found);
  }
  return success();
}

// How far the sink is says nothing about what is left to do here: what it wants again it asks for.
Status Sender::on_durable(const messages::Durable& durable) {
  const messages::LeafRange& last = durable.ranges.back();
  if (last.first + last.count > leaves_ || durable.bytes > bytes_listed_) return unasked("Durable");
  bytes_durable_ = durable.bytes;
  return success();
}

// ---- from reading and packing --------------------------------------------------------------------------------------

void Sender::on_packed(BlockKey key, std::span<const block::Segment> segments) { note_packed(key, segments, SentLeaf::Sent::kYes); }

void Sender::note_packed(BlockKey key, std::span<const block::Segment> segments, SentLeaf::Sent sent) {
  std::vector<SentLeaf>& leaves = sent_[key.block];
  for (const block::Segment& segment : segments) {
    const auto object = objects_.find(segment.object);
    if (object == objects_.end()) continue;  // failed in the meantime
    leaves.push_back({segment.object, segment.leaf, segment.length, sent});
    add_hash(object->second, segment);
  }
}

void Sender::add_hash(Object& object, const block::Segment& segment) {
  const size_t early = object.fold.early();
  const bool is_new = object.fold.add(segment.leaf, segment.hash);  // else sent again: the sink's tree tells if it changed
  early_hashes_ += object.fold.early() - early;
  if (is_new && object.fold.is_whole()) closes_.push_back(segment.object);
}

void Sender::on_hashed(std::span<const block::Segment> segments) {
  hashing_ -= 1;
  for (const block::Segment& segment : segments)
    if (const auto object = objects_.find(segment.object); object != objects_.end()) add_hash(object->second, segment);
}

// It counts as held from now on, and as needed again if the sink cannot use its own.
void Sender::on_same(BlockKey key, std::span<const block::Segment> segments) {
  note_packed(key, segments, SentLeaf::Sent::kNo);
  messages::SameLeaves same{options_.transfer, key.block, {}};
  for (const block::Segment& segment : segments) {
    if (!objects_.contains(segment.object)) continue;
    same.leaves.push_back({segment.object, segment.leaf, segment.length, segment.hash});
    bytes_needed_ -= Bytes(segment.length);
    bytes_held_ += Bytes(segment.length);
    name(segment.object);
  }
  if (same.leaves.empty()) sent_.erase(key.block);  // failed in the meantime
  else messages_.emplace_back(std::move(same));
}

void Sender::on_base(const messages::BaseLeaves& base) {
  if (!asked_pages_.contains(base.page)) return;
  for (const messages::BaseRun& run : base.runs) {
    if (base_hashes_ + run.hashes.size() > kBaseHeldMax) return;
    if (base_[run.object].try_emplace(run.first, run.hashes).second) base_hashes_ += run.hashes.size();
  }
}

std::vector<Hash128> Sender::base_of(std::span<const block::Segment> segments) const {
  std::vector<Hash128> found;
  if (base_.empty() || segments.size() > messages::kSameLeavesMax) return found;
  for (const block::Segment& segment : segments) {
    const auto object = base_.find(segment.object);
    if (object == base_.end()) return {};
    const auto behind = object->second.upper_bound(segment.leaf);
    if (behind == object->second.begin()) return {};
    const auto& [first, hashes] = *std::prev(behind);
    if (segment.leaf - first >= hashes.size()) return {};
    found.push_back(hashes[segment.leaf - first]);
  }
  return found;
}

void Sender::drop_base(ObjectId id) {
  const auto found = base_.find(id);
  if (found == base_.end()) return;
  for (const auto& [first, hashes] : found->second) base_hashes_ -= hashes.size();
  base_.erase(found);
}

void Sender::on_closed(ObjectId id) {
  const auto object = objects_.find(id);
  if (object == objects_.end() || object->second.is_ended) return;
  const digest::LeafFold& fold = object->second.fold;
  const Hash256 root = fold.root();
  object->second.is_ended = true;
  tree_.set_root(id, root);
  unfinished_ -= 1;
  if (!object->second.is_held) ended_.ends.push_back({.object = id, .generation = 0, .size = fold.size(), .root = root});
  if (ended_.ends.size() >= kObjectEndBatch) flush_object_ends();
  forget_if_delivered(id);
  say_end();
}

void Sender::flush_object_ends() {
  for (size_t i = 0; i < ended_.ends.size(); ++i) name(ended_.ends[i].object);  // which may flush them itself
  if (ended_.ends.empty()) return;
  messages_.emplace_back(std::exchange(ended_, {}));
  ended_.transfer = options_.transfer;
}

void Sender::forget_if_delivered(ObjectId id) {
  const auto object = objects_.find(id);
  if (object == objects_.end()) return;
  if (object->second.is_ended && object->second.delivered >= object->second.fold.leaves()) forget(id);
}

void Sender::forget(ObjectId id) {
  if (const auto object = objects_.find(id); object != objects_.end()) {
    early_hashes_ -= object->second.fold.early();
    objects_.erase(object);
  }
  drop_base(id);
  releases_.push_back(id);
  while (!needed_order_.empty() && !objects_.contains(needed_order_.front())) needed_order_.pop_front();
}

void Sender::on_entry_failed(ObjectId id, const Error& why) {
  const auto object = objects_.find(id);
  if (object == objects_.end()) return;  // reported before
  const bool was_ended = object->second.is_ended, is_held = object->second.is_held;
  forget(id);
  failed_ += 1;
  if (failed_ <= kEntryErrorsReported) reports_.push_back({id, why});
  say_failure(is_held ? std::nullopt : std::optional(id), why);  // what the sink has whole is not open there
  if (was_ended) return;
  tree_.drop(id);
  unfinished_ -= 1;
  say_end();
}

// Closes the list when the scan is over and, once every object is complete, says the root over everything.
void Sender::say_end() {
  if (scan_ended_ && !end_said_) {
    end_said_ = true;
    messages_.emplace_back(messages::ManifestEnd{options_.transfer, entries_, bytes_listed_, skipped_});
  }
  if (!end_said_ || root_said_ || unfinished_ > 0 || !asked_pages_.empty()) return;
  root_said_ = true;
  if (options_.content == Options::Content::kManifestOnly) return;
  root_ = tree_.finish();
  if (!root_) return;  // entry 0 itself failed: nothing is left to name
  flush_object_ends();
  messages_.emplace_back(messages::TransferRoot{options_.transfer, *root_});
}

// ---- work ----------------------------------------------------------------------------------------------------------

std::optional<BlockPlan> Sender::next_to_hash() {
  auto plan = to_hash_.next(BlockBuilder::More::kNothingAtHand, [this](ObjectId object) { return objects_.contains(object); });
  if (!plan) return std::nullopt;
  plan->use = BlockPlan::Use::kHash;
  hashing_ += 1;
  return plan;
}

std::optional<BlockPlan> Sender::next_block() {
  if (hashing_ < kHashingMax)
    if (auto plan = next_to_hash()) return plan;
  if (sent_.size() >= kBlocksUnverifiedMax || (!to_hash_.is_empty() && early_hashes_ >= kEarlyHashesMax)) return std::nullopt;
  const bool more_is_coming = wants_entries() || (!asked_pages_.empty() && !builder_.is_empty());
  auto plan = builder_.next(more_is_coming ? BlockBuilder::More::kComing : BlockBuilder::More::kNothingAtHand,
                            [this](ObjectId object) { return objects_.contains(object); });
  if (plan || more_is_coming) return plan;
  return next_to_hash();  // the link waits for nothing that could be read
}

std::optional<ObjectId> Sender::next_close() { return take_front(closes_); }
std::optional<ObjectId> Sender::next_release() { return take_front(releases_); }
std::optional<EntryReport> Sender::next_report() { return take_front(reports_); }

std::optional<SenderMessage> Sender::next_message() {
  // While the scan rests, entries may be on their way to the sink whose page is not full.
  if (messages_.empty() && is_far_ahead()) cut_page();
  if (messages_.empty()) flush_object_ends();
  return take_front(messages_);
}

}  // namespace tideway::transfer
