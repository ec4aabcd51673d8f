// SPDX-License-Identifier: Apache-2.0
#include "transfer/receiver.h"

#include "base/amounts.h"
#include "transfer/take_front.h"

#include <algorithm>

namespace tideway::transfer {
namespace {

Error broken(const std::string& what) {
  return {Fault::kProtocolError, "the sending site's manifest and data do not fit: " + what,
          "both sites should run versions that fit; see `tideway version`"};
}

constexpr size_t kHeldBytesMax = 60'000;  // of a message within 64 KiB; one object may take as much with its hashes

size_t leaves_of(const messages::HeldObject& held) {
  size_t leaves = held.leaves;
  for (const messages::HeldRun& run : held.runs) leaves += run.hashes.size();
  return leaves;
}

std::string quoted(const std::string& path) { return '"' + to_display(std::string_view(path)) + '"'; }

}  // namespace

Receiver::Receiver(const Options& options) : options_(options) {}

// ---- from the source -----------------------------------------------------------------------------------------------

Status Receiver::take_page_number(const messages::ManifestPage& page) {
  if (has_end_ || page.page != next_page_) return broken("page " + std::to_string(page.page) + " out of order");
  next_page_ += 1;
  return success();
}

Status Receiver::on_page(const messages::ManifestPage& page, std::span<const Existing> existing, const HeldLeaves& held) {
  if (Status status = take_page_number(page); !status.ok()) return status;
  if (needs_waiting_ >= kPagesUnansweredMax) return broken("it sends pages and does not read what is said to them");
  TIDEWAY_CHECK(existing.empty() || existing.size() == page.entries.size());
  PageAnswer answer;
  messages::Needs& needs = answer.needs;
  needs = {.transfer = options_.transfer, .page = page.page, .kind = messages::NeedsKind::kAllBut, .kept = {}};
  answer.held = {options_.transfer, page.page, {}};
  for (size_t i = 0; i < page.entries.size(); ++i) {
    const Existing there = existing.empty() ? Existing::kAbsent : existing[i];
    const uint64_t first_leaf = leaves_;
    if (Status status = take_entry(page.entries[i], there, answer); !status.ok()) return status;
    if (there != Existing::kAbsent || page.entries[i].size == 0_B) continue;
    if (Status status = take_object(page.entries[i], first_leaf, held, answer); !status.ok()) return status;
  }
  if (Status status = check_room(); !status.ok()) return status;
  take_skipped(page);
  if (options_.answers == Answers::kPerPage) {
    say_held(answer);
    if (needs.kept.empty()) needs.kind = messages::NeedsKind::kAll;
    needs_waiting_ += 1;
    say(std::move(needs));
  }
  return check_bounds();
}

Status Receiver::check_bounds() const {
  if (open_entries() > kOpenEntriesMax)
    return Error{Fault::kLimitExceeded,
                 "the sending site names more than " + std::to_string(kOpenEntriesMax) + " entries ahead of their data",
                 "both sites should run versions that fit; see `tideway version`"};
  if (early_leaves_ > kEarlyLeavesMax)
    return Error{Fault::kLimitExceeded, "the sending site leaves gaps and sends more than " +
                 std::to_string(kEarlyLeavesMax) + " leaves behind them", ""};
  if (is_unheard_)
    return Error{Fault::kLimitExceeded, "the sending site does not read what it is told", "check the peer's gateway"};
  return success();
}

// The skips come with a page and count with the end; their texts are shown as they come.
void Receiver::take_skipped(const messages::ManifestPage& page) {
  for (const messages::SkippedItem& skipped : page.skipped) {
    const auto fault = fault_named(skipped.code);
    report(std::nullopt, {fault && is_skip(*fault) ? *fault : Fault::kSpecialFile, skipped.detail, ""});
  }
}

void Receiver::report(std::optional<ObjectId> object, const Error& why) {
  if (reported_ == kEntryErrorsReported) return;
  reported_ += 1;
  reports_.push_back({object, why});
}

void Receiver::say(ReceiverMessage message) {
  is_unheard_ |= messages_.size() >= kReceiverMessagesMax;
  if (!is_unheard_) messages_.push_back(std::move(message));
}

void Receiver::offer(messages::BaseLeaves base) {
  if (messages_.size() < kReceiverMessagesMax / 2) say(std::move(base));
}

Status Receiver::on_listed_page(const messages::ManifestPage& page) {
  if (Status status = take_page_number(page); !status.ok()) return status;
  take_skipped(page);
  for (const ManifestEntry& entry : page.entries)
    if (Status status = count(entry); !status.ok()) return status;
  return success();
}

Status Receiver::count(const ManifestEntry& entry) {
  entries_ += 1;
  if (entries_ > options_.limits.entries_max || entry.size > saturating_sub(options_.limits.bytes_max, bytes_listed_))
    return Error{Fault::kLimitExceeded,
                 "the transfer has more than the " + std::to_string(options_.limits.entries_max) + " entries or the " + exact_to_string(options_.limits.bytes_max) + " it may have",
                 "name a part of the tree; of what is received, the operator there may grant a larger max_files or max_bytes"};
  bytes_listed_ += entry.size;
  return success();
}

Status Receiver::take_entry(const ManifestEntry& entry, Existing existing, PageAnswer& answer) {
  messages::Needs& needs = answer.needs;
  if (Status status = count(entry); !status.ok()) return status;
  if (Status status = tree_.add(entry); !status.ok()) return status;
  const std::string path = paths_.next(entry);
  const bool has_bytes = entry.type == EntryType::kFile && entry.size > 0_B;
  if (entry.type == EntryType::kFile) leaves_ += leaf_count(entry.size);
  if (existing == Existing::kDifferent || existing == Existing::kOtherType) {
    if (has_bytes) needs.kept.push_back(entry.number);
    refuse_entry(entry, existing == Existing::kDifferent
                            ? Error{Fault::kDestExists, (path.empty() ? "a file" : quoted(path)) + " is at the destination already and differs",
                                    "remove it there, or copy to a new name; --overwrite always replaces a single file"}
                            : Error{Fault::kTypeConflict, path.empty() ? "something of another type is at the destination" : quoted(path) + " is of another type at the destination",
                                    "remove it there, or copy to a new name"});
    return success();
  }
  if (!has_bytes || existing == Existing::kAbsent) return success();
  needs.kept.push_back(entry.number);
  tree_.set_kept(entry.number);
  kept_ += 1;
  bytes_kept_ += entry.size;
  return success();
}

// Whatever an earlier run has of it comes first: what is whole is not opened at all.
Status Receiver::take_object(const ManifestEntry& entry, uint64_t first_leaf, const HeldLeaves& held, PageAnswer& answer) {
  Object object(entry.size, first_leaf);
  const bool may_be_held = held && options_.answers == Answers::kPerPage;
  messages::HeldObject found = may_be_held ? take_held(entry, held, object.fold) : messages::HeldObject{};
  const size_t leaves_held = leaves_of(found);
  if (leaves_held > 0) tell_held(std::move(found), answer);
  if (object.fold.is_whole()) {
    bytes_held_ += entry.size;
    tree_.set_root(entry.number, object.fold.root());
    return success();
  }
  // Of a whole number of leaves that are held, the last may be the short one.
  const bool has_last = object.fold.has(object.fold.leaves() - 1);
  const Bytes short_by = has_last ? kLeafSize - Bytes(leaf_length(entry.size, object.fold.leaves() - 1)) : 0_B;
  const Bytes there = leaves_held > 0 ? kLeafSize * leaves_held - short_by : 0_B;
  bytes_held_ += there;
  bytes_opened_ += entry.size - there;
  early_leaves_ += object.fold.early();
  objects_.emplace(entry.number, std::move(object));
  return success();
}

// Before the first byte of the page that does not fit.
Status Receiver::check_room() {
  if (bytes_opened_ > options_.limits.free_space && options_.find_room) {
    const auto room = options_.find_room(bytes_opened_);
    if (!room.ok()) return room.error();
    options_.limits.free_space = room.value();
  }
  if (bytes_opened_ <= options_.limits.free_space) return success();
  return Error{Fault::kDestFull,
               "the transfer needs at least " + exact_to_string(bytes_opened_) + " at the destination, and " + exact_to_string(options_.limits.free_space) + " are free",
               "free space there, or copy somewhere else"};
}

messages::HeldObject Receiver::take_held(const ManifestEntry& entry, const HeldLeaves& held, digest::LeafFold& fold) const {
  messages::HeldObject found{entry.number, 0, {}, {}};
  const size_t early_max = kHeldEarlyMax - std::min(kHeldEarlyMax, early_leaves_);
  held(entry, [&](uint32_t first, std::span<const Hash128> hashes) {
    for (const Hash128& hash : hashes) {
      const uint32_t leaf = first++;
      if (fold.early() == 0 && (leaf == 0 || fold.has(leaf - 1))) {
        fold.add(leaf, hash);
        continue;
      }
      if (fold.early() >= early_max) return;
      fold.add(leaf, hash);
      const bool continues = !found.runs.empty() && found.runs.back().first + found.runs.back().hashes.size() == leaf;
      if (!continues) found.runs.push_back({leaf, {}});
      found.runs.back().hashes.push_back(hash);
    }
  });
  digest::FoldedLeaves folded = fold.folded();
  found.leaves = static_cast<uint32_t>(folded.leaves);
  found.tops = std::move(folded.tops);
  return found;
}

// Takes as much of it as one message holds.
static messages::HeldObject take_part(messages::HeldObject& from) {
  messages::HeldObject part{from.object, std::exchange(from.leaves, 0), std::exchange(from.tops, {}), {}};
  size_t left = messages::kHeldHashesMax, whole = 0;
  for (; whole < from.runs.size() && from.runs[whole].hashes.size() <= left; ++whole) {
    left -= from.runs[whole].hashes.size();
    part.runs.push_back(std::move(from.runs[whole]));
  }
  from.runs.erase(from.runs.begin(), from.runs.begin() + static_cast<std::ptrdiff_t>(whole));
  if (left == 0 || from.runs.empty()) return part;
  messages::HeldRun& cut = from.runs.front();
  const auto end = cut.hashes.begin() + static_cast<std::ptrdiff_t>(left);
  part.runs.push_back({cut.first, {cut.hashes.begin(), end}});
  cut.hashes.erase(cut.hashes.begin(), end);
  cut.first += static_cast<uint32_t>(left);
  return part;
}

void Receiver::tell_held(messages::HeldObject found, PageAnswer& answer) {
  while (leaves_of(found) > 0) tell_held_part(take_part(found), answer);
}

void Receiver::tell_held_part(messages::HeldObject found, PageAnswer& answer) {
  constexpr size_t kOverhead = 20, kRunOverhead = 12;  // tags, lengths and numbers at their longest
  const size_t hashes = leaves_of(found) - found.leaves;
  const size_t bytes = kOverhead + found.tops.size() * sizeof(Hash256) + hashes * sizeof(Hash128) + found.runs.size() * kRunOverhead;
  const bool fits = answer.held.objects.size() < messages::kObjectsHeldMax && answer.hashes + hashes <= messages::kHeldHashesMax &&
                    answer.bytes + bytes <= kHeldBytesMax;
  if (!fits) say_held(answer);
  answer.hashes += hashes;
  answer.bytes += bytes;
  answer.held.objects.push_back(std::move(found));
}

void Receiver::say_held(PageAnswer& answer) {
  if (answer.held.objects.empty()) return;
  say(std::exchange(answer.held, {options_.transfer, answer.needs.page, {}}));
  answer.hashes = answer.bytes = 0;
}

// A refused file counts as kept in the tree on both sides; the transfer is not published anyway. Past the first ones,
// which are shown, the verdict's count is all that anybody needs.
void Receiver::refuse_entry(const ManifestEntry& entry, const Error& why) {
  if (entry.type == EntryType::kFile && entry.size > 0_B) tree_.set_kept(entry.number);
  count_failure(why);
  if (failed_ > kEntryErrorsReported) return;
  messages::PeerError message;
  message.code = std::string(why.name());
  message.reaction = messages::Reaction::kEntryFailed;
  message.transfer = options_.transfer;
  message.object = entry.number;
  message.detail = why.what;
  say(std::move(message));
}

Status Receiver::on_manifest_end(const messages::ManifestEnd& end) {
  if (has_end_ || end.entries != entries_ || end.bytes != bytes_listed_)
    return broken("its end counts " + std::to_string(end.entries) + " entries, the pages had " + std::to_string(entries_));
  has_end_ = true;
  skipped_ = end.skipped;
  return success();
}

Status Receiver::on_object_end(const messages::ObjectEnds& ends) {
  for (const messages::ObjectEnd& ended : ends.ends) {
    const auto object = objects_.find(ended.object);
    if (object == objects_.end() || object->second.has_ended || ended.size != object->second.fold.size())
      return broken("the end of object " + std::to_string(ended.object.value()));
    object->second.has_ended = true;
    object->second.root = ended.root;
    if (Status status = close_if_whole(ended.object, object->second); !status.ok()) return status;
  }
  return success();
}

Status Receiver::on_entry_failed(std::optional<ObjectId> id, const Error& why) {
  if (id) {
    const auto object = objects_.find(*id);
    if (object == objects_.end()) return broken("object " + std::to_string(id->value()) + " failed, but is not open");
    early_leaves_ -= object->second.fold.early();
    objects_.erase(object);
    tree_.drop(*id);
  }
  count_failure(why);
  report(id, why);
  return success();
}

void Receiver::count_failure(const Error& why) {
  failures_differ_ |= failed_ > 0 && last_failure_.fault != why.fault;
  failed_ += 1;
  last_failure_ = why;
  if (why.exit_code() == row_of(Fault::kSourceCorrupt).exit_code) integrity_ = why.fault;
}

Status Receiver::on_root(const messages::TransferRoot& root) {
  if (!has_end_ || root_) return broken("the root came before the end of the list");
  root_ = root.root;
  return success();
}

// ---- blocks --------------------------------------------------------------------------------------------------------

Result<Receiver::Verdict> Receiver::judge(std::span<const block::Segment> segments) const {
  for (const block::Segment& segment : segments) {
    if (segment.object.value() >= entries_) {
      if (has_end_) return broken("data for an entry that was never named");
      return Verdict::kWaits;
    }
    const auto object = objects_.find(segment.object);
    if (object == objects_.end()) continue;  // failed in the meantime; on_stored will skip it
    const digest::LeafFold& known = object->second.fold;
    if (segment.leaf >= known.leaves()) return broken("a leaf beyond the end of its object");
    if (segment.length != leaf_length(known.size(), segment.leaf)) return broken("a leaf of a wrong length");
  }
  return Verdict::kWrite;
}

Result<bool> Receiver::claim(const block::Segment& segment) {
  const auto found = objects_.find(segment.object);
  if (found == objects_.end()) return false;
  Object& object = found->second;
  const auto of_leaf = [&](const Claim& claim) { return claim.leaf == segment.leaf; };
  const auto claimed = std::find_if(object.claims.begin(), object.claims.end(), of_leaf);
  const auto known = claimed != object.claims.end() ? std::optional(claimed->hash) : object.fold.hash_of(segment.leaf);
  if (known && *known != segment.hash) return broken("a leaf came twice, with different content");
  if (known || object.fold.has(segment.leaf)) return false;
  object.claims.push_back({segment.leaf, segment.hash});
  return true;
}

Status Receiver::on_damaged(BlockKey key, std::span<const block::Segment> segments, Fault because) {
  ask_again(key, segments, because);
  if (++blocks_damaged_ <= kDamagedBlocksMax + blocks_stored_ / kSoundBlocksEach) return success();
  return Error{because, std::to_string(blocks_damaged_) + " blocks of the source came damaged, beside " + std::to_string(blocks_stored_) + " that were sound",
               "copy again; if it repeats, check the memory of both gateways"};
}

void Receiver::ask_again(BlockKey key, std::span<const block::Segment> segments, Fault because) {
  messages::SegmentsRejected rejected;
  rejected.transfer = options_.transfer;
  rejected.block = key.block;
  rejected.code = std::string(row_of(because).name);
  for (const block::Segment& segment : segments) rejected.segments.push_back({segment.object, segment.leaf});
  rejected_ += std::max<size_t>(segments.size(), 1);  // of a damaged head, how many is not known
  say(std::move(rejected));
}

void Receiver::on_read_back_wrong(BlockKey key, std::span<const block::Segment> segments) {
  block::SegmentList still_wanted;
  for (const block::Segment& segment : segments) {
    const auto object = objects_.find(segment.object);
    if (object == objects_.end()) continue;  // failed in the meantime
    std::erase_if(object->second.claims, [&](const Claim& claim) { return claim.leaf == segment.leaf; });
    still_wanted.push_back(segment);
  }
  if (!still_wanted.empty()) ask_again(key, still_wanted, Fault::kHashMismatch);
}

Status Receiver::on_stored(BlockKey key, std::span<const block::Segment> segments, std::vector<StoredLeaf>& leaves) {
  blocks_stored_ += segments.empty() ? 0 : 1;
  delivered_.push_back({key.block, 1});
  if (delivered_.size() == messages::kBlockRangesMax) say_delivered();
  for (const block::Segment& segment : segments) {
    const auto found = objects_.find(segment.object);
    if (found == objects_.end()) continue;
    Object& object = found->second;
    std::erase_if(object.claims, [&](const Claim& claim) { return claim.leaf == segment.leaf; });
    early_leaves_ -= object.fold.early();
    object.fold.add(segment.leaf, segment.hash);
    early_leaves_ += object.fold.early();
    bytes_stored_ += Bytes(segment.length);
    object.last_leaf = object.first_leaf + segment.leaf;
    object.last_length = segment.length;
    const bool completes = object.fold.is_whole();
    leaves.push_back({object.last_leaf, segment.length, segment.hash, completes ? StoredLeaf::Counts::kWhenClosed : StoredLeaf::Counts::kNow});
    if (Status status = close_if_whole(segment.object, object); !status.ok()) return status;
  }
  return check_bounds();
}

// An object that is whole is forgotten here: what is left of it is the store's.
Status Receiver::close_if_whole(ObjectId id, const Object& object) {
  if (!object.fold.is_whole() || !object.has_ended) return success();
  const Hash256 root = object.fold.root();
  if (root != object.root)
    return Error{Fault::kHashMismatch, "object " + std::to_string(id.value()) + " arrived with another root than the source's",
                 "copy again; if it repeats, check the memory of both gateways"};
  tree_.set_root(id, root);
  closing_ += 1;
  closes_.push_back({id, object.last_leaf, object.last_length});
  objects_.erase(id);
  return success();
}

void Receiver::on_closed() { closing_ -= 1; }

std::optional<flow::Interval> Receiver::leaves_of_open(ObjectId id) const {
  const auto found = objects_.find(id);
  if (found == objects_.end()) return std::nullopt;
  return flow::Interval{found->second.first_leaf, found->second.first_leaf + found->second.fold.leaves()};
}

// ---- work ----------------------------------------------------------------------------------------------------------

std::optional<Receiver::Close> Receiver::next_close() { return take_front(closes_); }
std::optional<EntryReport> Receiver::next_report() { return take_front(reports_); }

std::optional<ReceiverMessage> Receiver::next_message() {
  if (messages_.empty()) return std::nullopt;
  auto next = take_front(messages_);
  needs_waiting_ -= std::holds_alternative<messages::Needs>(*next) ? 1 : 0;
  delivered_waiting_ -= std::holds_alternative<messages::BlocksDelivered>(*next) ? 1 : 0;
  return next;
}

// While one message waits to be sent, the next one gathers.
void Receiver::flush_delivered() {
  if (!delivered_.empty() && delivered_waiting_ == 0) say_delivered();
}

void Receiver::say_delivered() {
  std::sort(delivered_.begin(), delivered_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  messages::BlocksDelivered message{options_.transfer, {}};
  for (const messages::BlockRange& one : delivered_) {
    const bool continues = !message.ranges.empty() &&
                           message.ranges.back().first.value() + message.ranges.back().count == one.first.value();
    if (continues) message.ranges.back().count += 1;
    else message.ranges.push_back(one);
  }
  delivered_.clear();
  delivered_waiting_ += 1;
  say(std::move(message));
}

bool Receiver::is_complete() const {
  if (!has_end_ || !objects_.empty() || closing_ > 0) return false;
  return root_.has_value() || (failed_ > 0 && entries_ == 1);
}

Result<Hash256> Receiver::verdict() {
  TIDEWAY_CHECK(is_complete());
  if (failed_ > 0) {
    if (!failures_differ_ && bytes_stored_ == 0_B && bytes_held_ == 0_B && kept_ == 0) return last_failure_;
    return Error{integrity_, std::to_string(failed_) + " of " + std::to_string(entries_) +
                     " entries failed, so nothing was published; the last one: " + last_failure_.what,
                 "mend these entries and run the same command again"};
  }
  const auto mine = tree_.finish();
  if (!mine || *mine != *root_)
    return Error{Fault::kManifestMismatch, "the tree that arrived has another root than the source's; nothing was published",
                 "copy again; if it repeats, check the memory of both gateways"};
  return *mine;
}

}  // namespace tideway::transfer
