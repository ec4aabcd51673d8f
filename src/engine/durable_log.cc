// SPDX-License-Identifier: Apache-2.0
#include "engine/durable_log.h"

#include "base/log.h"

#include <algorithm>
#include <array>

namespace tideway::engine {
namespace {

constexpr size_t kHashesRead = 1024;
constexpr size_t kLedgerRead = 1024 * transfer::kLedgerRecordSize;

flow::Interval leaves_of(const ManifestEntry& entry) { return {entry.first_leaf, entry.first_leaf + leaf_count(entry.size)}; }

}  // namespace

Result<std::vector<ManifestEntry>> read_page(std::span<const std::byte> bytes) {
  auto page = messages::parse_manifest_page(bytes);
  if (!page.ok()) return std::move(page).error();
  return std::move(page.value().entries);
}

const ManifestEntry* FormerEntries::next() {
  if (at_ < page_.size()) return &page_[at_++];
  const auto bytes = pages_.next();
  if (!bytes.ok() || bytes.value().empty()) return nullptr;
  auto page = read_page(bytes.value());
  if (!page.ok()) return nullptr;
  page_ = std::move(page).value();
  at_ = 1;
  return &page_.front();
}

// ---- what an earlier process left ----------------------------------------------------------------------------------

Result<DurableLog> DurableLog::open(storage::Staging& staging, const TransferId& id, const transfer::LedgerOpened& ours, uint64_t ranges_max) {
  DurableLog log(staging, id);
  log.ours_ = ours;
  log.ranges_max_ = ranges_max;
  if (Status status = log.replay(); !status.ok()) return std::move(status).error();
  log.is_resumed_ = staging.was_there();
  if (log.ledger_.lease_epoch() <= ours.lease_epoch) return log;
  return Error{Fault::kLeaseLost,
               "lease epoch " + std::to_string(log.ledger_.lease_epoch()) + " has filled this transfer's staging, and ours is " +
                   std::to_string(ours.lease_epoch),
               "let the holder of the lease go on"};
}

Status DurableLog::replay() {
  std::vector<std::byte> bytes(kLedgerRead);
  uint64_t good = 0;
  for (bool is_whole = true; is_whole;) {
    const auto some = std::span(bytes).first(staging_->ledger().read(good, bytes));
    const size_t replayed = ledger_.replay(some);
    good += replayed;
    is_whole = replayed > 0 && replayed == some.size();
  }
  if (good == staging_->ledger().size()) return success();
  log::warning("ledger_cut", "transfer=" + storage::to_hex(staging_->id()) + " bytes=" + std::to_string(staging_->ledger().size()) +
                                 " good=" + std::to_string(good) + " why=\"what follows is damaged, and is sent again; the rest is hashed again\"");
  if (Status status = staging_->ledger().cut(good); !status.ok()) return status;
  // What stood there may have taken back some of what stands before it, so all of that is doubtful, and for whoever comes when we die, too.
  ledger_.write(transfer::LedgerOpened{ledger_.lease_epoch()});
  return staging_->ledger().append(ledger_.take_unwritten());
}

Status DurableLog::begin(const messages::TransferOptions& options) {
  using enum messages::ResumeVerify;
  publishes_each_ = options.publish == messages::PublishForm::kEach;
  resume_verify_ = options.resume_verify;
  ledger_.write(ours_);
  if (!is_resumed_) return success();
  if (options.resume_verify != kNone) doubtful_ = options.resume_verify == kAll ? ledger_.durable() : ledger_.doubtful();
  if (Status status = staging_->begin_manifest(); !status.ok()) return status;
  auto former = staging_->open_former();
  if (former.ok()) former_.emplace(std::move(former).value());
  return shelf_.open();
}

// Whether the former manifest has the same here. When it has not, what the ledger says from here on may be of something else.
Result<bool> DurableLog::is_as_before(const ManifestEntry& entry) {
  if (!former_) return false;
  const ManifestEntry* before = former_->next();
  if (before != nullptr && *before == entry) return true;
  const bool takes_its_place = before != nullptr && before->number == entry.number && before->parent == entry.parent &&
                               before->name == entry.name && before->type == entry.type &&
                               before->first_leaf == entry.first_leaf && leaf_count(before->size) == leaf_count(entry.size);
  if (takes_its_place) return false;
  const flow::Interval rest{entry.first_leaf, UINT64_MAX};
  if (ledger_.durable().intersects(rest)) {
    if (Status status = shelve_from(before); !status.ok()) return std::move(status).error();
    take_back(rest);  // before our list has what comes here, and somebody compares with that
    if (Status status = staging_->record(ledger_.take_unwritten()); !status.ok()) return std::move(status).error();
  }
  former_.reset();
  is_former_over_ = true;
  return false;
}

Status DurableLog::record_taken_back() {
  const bool is_due = has_taken_back();
  was_taken_back_ = false;
  return is_due ? staging_->record(ledger_.take_unwritten()) : success();
}

// Numbers mean something else behind the former list's end or first difference: once ours are recorded, nothing may be compared
// with it any more. It stays until ours has what they agreed on.
Status DurableLog::end_page(std::span<const ManifestEntry> entries, std::span<const transfer::Existing> existing) {
  if (std::exchange(is_former_over_, false)) {
    if (Status status = staging_->record(ledger_.take_unwritten()); !status.ok()) return status;
    if (Status status = staging_->drop_former(); !status.ok()) return status;
  }
  const std::vector<Hash128> keys = std::exchange(page_keys_, {});
  std::vector<Hash128> count;
  uint64_t adopted = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (existing[i] != transfer::Existing::kAbsent || !shelf_.holds(keys[i]) || ledger_.durable().intersects(leaves_of(entries[i]))) continue;
    const auto came = adopt(entries[i], keys[i]);
    if (!came.ok()) return came.error();
    if (came.value() == Adopted::kCounts) count.push_back(keys[i]);
    adopted += came.value() == Adopted::kNothing ? 0 : 1;
  }
  if (adopted == 0) return success();
  log::info("staging_adopted", "transfer=" + storage::to_hex(staging_->id()) + " objects=" + std::to_string(adopted) +
                                   " why=\"they are at another place in a list that has changed\"");
  if (Status status = staging_->sync_new_dirs(); !status.ok()) return status;
  if (Status status = staging_->record(ledger_.take_unwritten()); !status.ok()) return status;
  for (const Hash128& key : count)
    if (Status status = shelf_.drop(key); !status.ok()) return status;
  return success();
}

// What is durable of the rest of the former list goes where its number does not matter.
Status DurableLog::shelve_from(const ManifestEntry* before) {
  EntryKeys keys = keys_;
  for (; before != nullptr && !shelf_.is_full(); before = former_->next()) {
    const Hash128 key = keys.next(*before);
    const flow::Interval rest = ledger_.durable().first_inside({before->first_leaf, UINT64_MAX});
    if (rest.begin == rest.end) break;
    if (before->type != EntryType::kFile || !ledger_.durable().intersects(leaves_of(*before)) || leaf_count(before->size) > kShelvedLeavesMax) continue;
    const auto is_there = is_staged(*before);
    if (!is_there.ok()) return is_there.error();
    if (!is_there.value()) continue;
    if (Status status = shelf_.note(before->number, to_shelve(*before, key)); !status.ok()) return status;
  }
  return shelf_.move_noted();
}

ShelvedObject DurableLog::to_shelve(const ManifestEntry& entry, const Hash128& key) const {
  ShelvedObject object{key, ledger_.doubtful().intersects(leaves_of(entry)) ? transfer::BootId{} : ours_.boot, {}};
  held(entry, [&object](uint32_t first, std::span<const Hash128> hashes) {
    const bool continues = !object.runs.empty() && object.runs.back().first + object.runs.back().hashes.size() == first;
    if (!continues) object.runs.push_back({first, {}});
    object.runs.back().hashes.insert(object.runs.back().hashes.end(), hashes.begin(), hashes.end());
  });
  return object;
}

// What is doubtful counts when it was looked at; until then it keeps its place on the shelf, too.
Result<DurableLog::Adopted> DurableLog::adopt(const ManifestEntry& entry, const Hash128& key) {
  using enum messages::ResumeVerify;
  const auto taken = shelf_.take(key, entry.number);
  if (!taken.ok()) return taken.error();
  const bool is_doubtful = taken.value() && (taken.value()->boot != ours_.boot || ours_.boot == transfer::BootId{} || resume_verify_ == kAll);
  if (!taken.value() || (is_doubtful && resume_verify_ == kNone)) return Adopted::kNothing;
  for (const ShelvedRun& run : taken.value()->runs) {
    const flow::Interval leaves{entry.first_leaf + run.first, entry.first_leaf + run.first + run.hashes.size()};
    if (leaves.end > leaves_of(entry).end) return Adopted::kNothing;
    for (size_t i = 0; i < run.hashes.size(); ++i)
      if (Status status = staging_->write_leaf_hash(leaves.begin + i, run.hashes[i]); !status.ok()) return std::move(status).error();
    if (is_doubtful) doubtful_.add(leaves);
    else ledger_.write(transfer::LeavesDurable{leaves.begin, leaves.length()});
  }
  return is_doubtful ? Adopted::kDoubtful : Adopted::kCounts;
}

Result<transfer::Existing> DurableLog::take_entry(const ManifestEntry& entry, transfer::Existing existing) {
  if (!is_resumed_) return existing;
  const auto before = is_as_before(entry);
  if (!before.ok()) return before.error();
  const bool is_same = before.value();
  page_keys_.push_back(keys_.next(entry));
  if (entry.type != EntryType::kFile || entry.size == 0_B) return existing;
  if (is_same && existing == transfer::Existing::kSame && publishes_each_) {
    const auto was = was_published(entry);
    if (!was.ok()) return was.error();
    if (was.value()) return transfer::Existing::kAbsent;
  }
  const Status status = is_same && existing == transfer::Existing::kAbsent ? check_staged(entry) : forget(entry, existing);
  return status.ok() ? Result<transfer::Existing>(existing) : status.error();
}

// All of it was durable, and it is at its place instead of in staging. After a reboot it is like any file that the destination has; one whose
// hashes were taken back by a run that died before it recorded that is, too.
Result<bool> DurableLog::was_published(const ManifestEntry& entry) const {
  const flow::Interval all = leaves_of(entry);
  if (!ledger_.durable().contains_all(all) || doubtful_.intersects(all)) return false;
  const auto there = staging_->stat_object(entry.number);
  if (!there.ok()) return there.error();
  if (there.value()) return false;
  uint64_t known = 0;
  held(entry, [&known](uint32_t, std::span<const Hash128> hashes) { known += hashes.size(); });
  return known == all.length();
}

// The ledger is as good as the disk's word. What a look at the file tells costs nothing: somebody may have taken it away, and
// an object that is finished has its size and its times.
Status DurableLog::check_staged(const ManifestEntry& entry) {
  if (!ledger_.durable().intersects(leaves_of(entry))) return success();
  const auto is_there = is_staged(entry);
  if (!is_there.ok()) return is_there.error();
  if (is_there.value()) return success();
  log::warning("staged_object_lost", "transfer=" + storage::to_hex(staging_->id()) + " object=" + std::to_string(entry.number.value()) +
                                         " why=\"its file is not as the ledger says; it is sent again\"");
  return forget(entry, transfer::Existing::kAbsent);
}

// Of an entry some of which is durable.
Result<bool> DurableLog::is_staged(const ManifestEntry& entry) {
  const flow::Interval all = leaves_of(entry);
  flow::Interval last = ledger_.durable().first_inside(all);
  const bool is_whole = ledger_.durable().contains_all(all);
  for (flow::Interval next = last; next.begin < next.end; next = ledger_.durable().first_inside({next.end, all.end})) last = next;
  auto there = staging_->stat_object(entry.number);
  if (!there.ok()) return std::move(there).error();
  const Bytes reaches = std::min(entry.size, kLeafSize * (last.end - all.begin));
  const bool is_there = there.value() && there.value()->kind == storage::FileKind::kFile && there.value()->size >= reaches;
  const bool is_finished = is_there && there.value()->size == entry.size && there.value()->mtime_ns == entry.mtime_ns;
  return is_whole ? is_finished : is_there;
}

Status DurableLog::forget(const ManifestEntry& entry, transfer::Existing existing) {
  take_back(leaves_of(entry));
  if (existing == transfer::Existing::kSame)  // a stored manifest says by zeros that the destination had it
    for (uint64_t i = 0; i < leaf_count(entry.size); ++i)
      if (Status status = staging_->write_leaf_hash(entry.first_leaf + i, {}); !status.ok()) return status;
  return staging_->drop_object(entry.number);
}

void DurableLog::held(const ManifestEntry& entry, const transfer::TakeLeaves& take) const {
  const flow::Interval all = leaves_of(entry);
  std::array<Hash128, kHashesRead> hashes;
  for (flow::Interval run = ledger_.durable().first_inside(all); run.begin < run.end;
       run = ledger_.durable().first_inside({run.end, all.end})) {
    while (run.begin < run.end) {
      const auto some = std::span(hashes).first(std::min<uint64_t>(hashes.size(), run.length()));
      if (!staging_->read_leaf_hashes(run.begin, some) || std::ranges::find(some, Hash128{}) != some.end()) return;
      take(static_cast<uint32_t>(run.begin - all.begin), some);
      run.begin += some.size();
    }
  }
}

// ---- what we write -------------------------------------------------------------------------------------------------

void DurableLog::begin_batch(Time now) {
  syncing_.insert(syncing_.end(), noted_.begin(), noted_.end());
  noted_.clear();
  pace_.on_sync_begun(now);
}

void DurableLog::write_noted(std::vector<NotedLeaf>& leaves) {
  std::ranges::sort(leaves, {}, &NotedLeaf::number);
  for (size_t i = 0, end = 0; i < leaves.size(); i = end) {
    for (end = i; end < leaves.size() && leaves[end].number == leaves[i].number + (end - i); ++end) bytes_recorded_ += Bytes(leaves[end].length);
    ledger_.write(transfer::LeavesDurable{leaves[i].number, end - i});
    news_.add({leaves[i].number, leaves[i].number + (end - i)});
  }
  leaves.clear();
}

std::vector<messages::LeafRange> DurableLog::take_news() {
  std::vector<messages::LeafRange> ranges;
  for (const flow::Interval& run : news_.intervals().first(std::min(news_.intervals().size(), messages::kLeafRangesMax)))
    ranges.push_back({run.begin, run.length()});
  news_.drop_lowest(ranges.size());
  return ranges;
}

Status DurableLog::end_batch() {
  write_noted(syncing_);
  Status status = staging_->record(ledger_.take_unwritten());
  pace_.on_batch_ended();
  const bool are_too_many = ledger_.durable().intervals().size() > ranges_max_;
  if (status.ok() && are_too_many) forget_shortest();
  return status.ok() && (are_too_many || ledger_.records() >= compacts_at_) ? compact() : status;
}

// Half of them, so that it happens seldom. It is still on the disk, and published from there: only another run sends it again.
void DurableLog::forget_shortest() {
  const uint64_t leaves = ledger_.forget_shortest(ranges_max_ / 2);
  bytes_recorded_ = saturating_sub(bytes_recorded_, kLeafSize * leaves);
  if (std::exchange(has_forgotten_, true)) return;
  log::warning("durable_forgotten", "transfer=" + storage::to_hex(staging_->id()) + " leaves=" + std::to_string(leaves) + " why=\"what is durable lies in more than " +
                                        std::to_string(ranges_max_) + " ranges, between entries that failed or were there before; should it break off, the shortest are sent again\"");
}

Status DurableLog::compact() {
  transfer::LedgerCompaction fresh(ledger_);
  if (Status status = staging_->replace_ledger([&fresh] { return fresh.next_piece(); }); !status.ok()) return status;
  ledger_.on_compacted(fresh);
  compacts_at_ = ledger_.records() + std::max(ledger_.records(), transfer::kLedgerGrowthMin);
  return success();
}

Status DurableLog::begin_publish(const transfer::PublishBegun& begun) {
  write_noted(syncing_);
  write_noted(noted_);
  ledger_.write(begun);
  return staging_->record(ledger_.take_unwritten());
}

// What was recorded of it by an earlier run counts here, too, and whole leaves do: less is said than is there, never more.
void DurableLog::give_up(flow::Interval leaves) {
  uint64_t recorded = 0;
  for (flow::Interval run = ledger_.durable().first_inside(leaves); run.begin < run.end;
       run = ledger_.durable().first_inside({run.end, leaves.end}))
    recorded += run.length();
  bytes_recorded_ = saturating_sub(bytes_recorded_, kLeafSize * recorded);
  news_.subtract(leaves);
  take_back(leaves);
}

void DurableLog::take_back(flow::Interval leaves) {
  const auto is_among = [&](const NotedLeaf& leaf) { return leaf.number >= leaves.begin && leaf.number < leaves.end; };
  std::erase_if(noted_, is_among);
  std::erase_if(syncing_, is_among);
  doubtful_.subtract(leaves);
  if (!ledger_.durable().intersects(leaves)) return;
  ledger_.write(transfer::LeavesVoided{leaves.begin, leaves.length()});
  was_taken_back_ = true;
}

}  // namespace tideway::engine
