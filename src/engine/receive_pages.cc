// SPDX-License-Identifier: Apache-2.0
//
// The first half of a ReceivePath: what stands at the destination, what an earlier run left, and the pages of the list.
#include "engine/receive_path.h"

#include "base/amounts.h"
#include "base/log.h"
#include "storage/published.h"
#include "storage/sweep.h"
#include "transfer/ahead_name.h"

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr size_t kDeferredMax = 4096;  // messages behind a page that is looked at: 64 are pages, most others name entries that failed

Result<transfer::Existing> from_storage(const Result<storage::Existing>& existing) {
  if (!existing.ok()) return existing.error();
  switch (existing.value()) {
    case storage::Existing::kAbsent: return transfer::Existing::kAbsent;
    case storage::Existing::kSame: return transfer::Existing::kSame;
    case storage::Existing::kDifferent: return transfer::Existing::kDifferent;
    case storage::Existing::kTypeConflict: break;
  }
  return transfer::Existing::kOtherType;
}

}  // namespace

// ---- opening -------------------------------------------------------------------------------------------------------

// If nothing is at the destination or in staging, the source need not wait for our answer to any page.
void ReceivePath::announce(EventOutlet& events) {
  state_ = State::kReceiving;
  bool is_there = false;
  if (start_.content == StartSource::Content::kWithData) {
    if (Status status = start_.root->check_in_place(); !status.ok()) return fail(status.error());
    const auto there = start_.root->stat_if_exists(start_.destination);
    if (!there.ok()) return fail(there.error());
    is_there = there.value().has_value();
    is_tree_there_ = is_there && there.value()->kind == storage::FileKind::kDirectory;
    if (Status status = prepare_read_back(); !status.ok()) return fail(status.error());
    const bool is_staged = storage::Staging::exists(*start_.root, start_.staging);
    // Where files that arrived have left staging, what there is room for cannot be told any more.
    const bool may_have_left = is_staged && rules_.form == storage::PublishRules::Form::kEach;
    if (const auto free = start_.root->free_space(); free.ok() && !may_have_left) start_.limits.free_space = free.value();
    if (!is_there) find_base();
    if (is_there || repair_ || is_staged || base_ || ahead_) answers_ = transfer::Answers::kPerPage;
  }
  receiver_ = std::make_unique<transfer::Receiver>(transfer::Receiver::Options{start_.id, answers_, start_.limits, [this](Bytes needed) { return find_room(needed); }});
  const bool is_fresh = answers_ == transfer::Answers::kEverythingNeeded;
  using enum storage::PublishRules::Form;
  const bool adds = is_there && !storage::replaces_trees(rules_);
  const auto form = rules_.form == kEach             ? messages::PublishForm::kEach
                    : adds || rules_.form == kMarker ? messages::PublishForm::kMarker
                                                     : messages::PublishForm::kRename;
  events.emit(SinkReady{start_.transfer, is_fresh ? SourceAccepted::Needed::kEverything : SourceAccepted::Needed::kPerPage, form});
}

// A level that the file system cannot give is refused before anything is sent; it is never lowered.
Status ReceivePath::prepare_read_back() {
  if (start_.options.verify != messages::VerifyLevel::kReadback) return success();
  const auto reads = storage::find_device_reads(*start_.root);
  if (!reads.ok()) return reads.error();
  device_reads_ = reads.value();
  read_back_.emplace(leaf_buffers_, io_board_.bytes_read_back);
  return success();
}

// One file goes into a directory when the user wrote a "/" or when one is there; a tree becomes the destination.
Status ReceivePath::find_destination(const ManifestEntry& entry_0) {
  destination_ = start_.destination;
  if (entry_0.type != EntryType::kFile || repair_) return success();
  const auto there = start_.root->stat_if_exists(destination_);
  if (!there.ok()) return there.error();
  const bool is_directory = there.value() && there.value()->kind == storage::FileKind::kDirectory;
  if (!is_directory && start_.form != messages::DestinationForm::kIntoDirectory) return success();
  auto inside = destination_.child(start_.source_name);
  if (!inside.ok()) return inside.error();
  destination_ = std::move(inside).value();
  return success();
}

Status ReceivePath::open_store() {
  if (Status status = make_store(); !status.ok()) return status;
  if (log_->is_resumed() && answers_ == transfer::Answers::kEverythingNeeded) {
    // It was left here since we looked, and the source was told that nothing is there.
    if (Status status = store_->abandon(); !status.ok()) return status;
    if (Status status = make_store(); !status.ok()) return status;
  }
  if (log_->publishing()) {
    if (Status status = end_former_publish(); !status.ok()) return status;
    if (Status status = make_store(); !status.ok()) return status;
  } else if (Status status = drop_made_ready(); !status.ok()) {
    return status;
  }
  if (Status status = log_->begin(start_.options); !status.ok()) return status;
  if (!log_->doubtful().is_empty())
    log::info("staging_doubted", "transfer=" + storage::to_hex(start_.staging) + " leaves=" + std::to_string(log_->doubtful().count()) +
                                     " why=\"they are hashed again before they count\"");
  return success();
}

Status ReceivePath::make_store() {
  log_.reset();
  store_.reset();  // lets go of staging first
  storage::FileSinkConfig config;
  config.destination = destination_;
  config.rules = rules_;
  config.device_reads = device_reads_;
  using enum storage::FileSinkConfig::Leftovers;
  config.leftovers = repair_ ? kRemoved : kKept;
  auto opened = open_sink_store(std::move(config), start_, queue_, buffers_);
  if (!opened.ok()) return std::move(opened).error();
  store_ = std::move(opened.value().store);
  log_.emplace(std::move(opened.value().log));
  return store_->staging().keep_owner(start_.owner);
}

// An earlier process was making this transfer visible, all of it verified, when it died: every step of that may be repeated.
// What is missing altogether then was published, and taken away since.
Status ReceivePath::end_former_publish() {
  const transfer::PublishBegun begun = *log_->publishing();
  if (rules_.form == storage::PublishRules::Form::kEach && log_->proves_anything()) store_->note_early();
  const bool has_list = store_->staging().open_manifest().ok();  // else it was about to remove what is left
  const Status ended = has_list ? store_->publish({.destination = destination_, .entries = begun.entries, .root = begun.root})
                                : Status(Error{Fault::kManifestMismatch, "its list is gone", ""});
  const std::string about = "transfer=" + storage::to_hex(start_.staging) + " destination=\"" + start_.root->shown(destination_) + '"';
  if (ended.ok()) log::info("publish_ended", about + " why=\"an earlier process died while it published\"");
  if (ended.ok() || ended.error().fault != Fault::kManifestMismatch) return ended;
  if (has_list) io_board_.publishes_lost.add(1);
  log::warning("staging_lost", about + " why=\"" + ended.error().what + "\"; all is sent again");
  return store_->staging().start_over(storage::Staging::Keep::kOpenedDirs);
}

// By a publish that the ledger knows nothing of any more, because it was damaged. What of it is visible is compared with the list as
// anything is that the destination has; the rest would stand in the way of what is sent again.
Status ReceivePath::drop_made_ready() {
  if (!log_->is_resumed()) return success();
  storage::Staging& staging = store_->staging();
  if (!storage::is_former_read(staging.dir())) return staging.drop_made_ready();
  if (Status left = staging.leave_former(); !left.ok()) return left;
  return make_store();
}

// ---- from the source -----------------------------------------------------------------------------------------------

ReceivePath::Digested ReceivePath::on_peer_message(TransferMessage&& message, EventOutlet& events) {
  const size_t listed_before = listed_.size();
  if (state_ == State::kOpening) announce(events);
  if (state_ == State::kDone) return Digested::kNow;
  // The end of an object is of a page that was answered; all else may belong to the one that is not.
  if (page_ && !std::holds_alternative<messages::ObjectEnds>(message)) {
    if (may_defer(message)) deferred_.push_back(std::move(message));
    else fail({Fault::kLimitExceeded, "the sending site goes on without waiting for answers", ""});
    return Digested::kNow;
  }
  if (Status status = take_message(std::move(message)); !status.ok()) fail(status.error());
  return listed_.size() > listed_before ? Digested::kOnceTold : Digested::kNow;
}

// Looking takes minutes, in which a hostile source could send more than there is memory.
bool ReceivePath::may_defer(const TransferMessage& next) const {
  size_t pages = 0, leaves = same_leaves_;
  const auto count = [&](const TransferMessage& message) {
    pages += std::holds_alternative<messages::ManifestPage>(message) ? 1 : 0;
    if (const auto* same = std::get_if<messages::SameLeaves>(&message)) leaves += same->leaves.size();
  };
  count(next);
  std::ranges::for_each(deferred_, count);
  return deferred_.size() < kDeferredMax && pages <= transfer::kPagesUnansweredMax && leaves <= kSameLeavesWaitingMax;
}

size_t ReceivePath::open_entries() const {
  size_t entries = receiver_ != nullptr ? receiver_->open_entries() : 0;
  if (page_) entries += page_->page.entries.size();
  for (const TransferMessage& message : deferred_)
    if (const auto* page = std::get_if<messages::ManifestPage>(&message)) entries += page->entries.size();
  return entries;
}

Status ReceivePath::take_message(TransferMessage&& message) {
  Status status = success();
  const bool only_lists = start_.content == StartSource::Content::kManifestOnly;
  if (auto* page = std::get_if<messages::ManifestPage>(&message)) {
    if (!only_lists) return take_page(std::move(*page));
    status = receiver_->on_listed_page(*page);
    if (!status.ok()) return status;
    for (ManifestEntry& entry : page->entries) listed_.push_back({std::move(entry), &entry == &page->entries.back()});
  }
  if (const auto* end = std::get_if<messages::ManifestEnd>(&message)) status = receiver_->on_manifest_end(*end);
  if (const auto* ends = std::get_if<messages::ObjectEnds>(&message)) status = receiver_->on_object_end(*ends);
  if (auto* root = std::get_if<messages::TransferRoot>(&message)) {
    status = receiver_->on_root(*root);
    signature_ = std::move(root->signature);
  }
  if (const auto* same = std::get_if<messages::SameLeaves>(&message)) status = take_same(*same);
  if (const auto* error = std::get_if<messages::PeerError>(&message)) {
    const Error why{fault_named(error->code).value_or(Fault::kEntriesFailed), error->detail, ""};
    const auto leaves = error->object ? receiver_->leaves_of_open(*error->object) : std::nullopt;
    if (leaves && log_) log_->give_up(*leaves);
    status = receiver_->on_entry_failed(error->object, why);
  }
  return status;
}

Status ReceivePath::take_page(messages::ManifestPage&& page) {
  if (store_ == nullptr && !page.entries.empty()) {
    if (Status status = find_destination(page.entries.front()); !status.ok()) return status;
    if (Status status = open_store(); !status.ok()) return status;
    if (Status status = check_may_replace(page.entries.front()); !status.ok()) return status;
  }
  auto existing = probe(page);
  if (!existing.ok()) return std::move(existing).error();
  if (Status status = check_may_add(existing.value()); !status.ok()) return status;
  for (size_t i = 0; i < existing.value().size(); ++i) {
    const auto taken = log_->take_entry(page.entries[i], existing.value()[i]);
    if (!taken.ok()) return taken.error();
    if (std::exchange(existing.value()[i], taken.value()) != taken.value()) store_->note_early();
  }
  if (Status status = stage(page, existing.value()); !status.ok()) return status;
  page_.emplace(PageTaken{std::move(page), std::move(existing).value()});
  return rehash_ && !rehash_->is_over() ? success() : answer_page();
}

// Keeps the page, and looks what of it is there.
Status ReceivePath::stage(messages::ManifestPage& page, std::span<const transfer::Existing> existing) {
  auto skipped = std::exchange(page.skipped, {});  // what is not there need not be kept either
  const std::string bytes = messages::serialize(page);
  page.skipped = std::move(skipped);
  if (Status status = log_->record_taken_back(); !status.ok()) return status;
  if (Status status = store_->staging().append_manifest(std::as_bytes(std::span(bytes))); !status.ok()) return status;
  if (Status status = log_->end_page(page.entries, existing); !status.ok()) return status;
  if (log_->doubtful().is_empty()) return success();
  if (!rehash_) rehash_.emplace(store_->staging(), *log_, leaf_buffers_);
  for (const ManifestEntry& entry : page.entries) rehash_->add(entry);
  return success();
}

Status ReceivePath::check_may_replace(const ManifestEntry& entry_0) const {
  const bool replaces = is_tree_there_ && !repair_ && entry_0.type == EntryType::kDirectory && storage::replaces_trees(rules_);
  return replaces ? storage::check_may_replace(store_->staging(), destination_) : success();
}

// What cannot be published is not sent, either; a single file is no tree.
Status ReceivePath::check_may_add(std::span<const transfer::Existing> existing) const {
  const bool adds = is_tree_there_ && !repair_ && std::ranges::count(existing, transfer::Existing::kAbsent) > 0;
  return adds && destination_ == start_.destination ? storage::check_may_add(rules_, start_.root->shown(destination_)) : success();
}

// Hashes a leaf of the page that waits, answers when none is left, and goes on with what came meanwhile.
bool ReceivePath::rehash() {
  if (!page_) return false;
  const bool worked = rehash_->turn();
  if (!rehash_->is_over()) return worked;
  Status status = rehash_->finish();
  if (status.ok()) status = answer_page();
  for (; status.ok() && !page_ && !deferred_.empty(); deferred_.pop_front()) status = take_message(std::move(deferred_.front()));
  if (!status.ok()) fail(status.error());
  return true;
}

Status ReceivePath::answer_page() {
  auto [page, existing] = *std::exchange(page_, std::nullopt);
  transfer::HeldLeaves held;
  if (repair_) held = [this](const ManifestEntry& entry, const transfer::TakeLeaves& take) { repair_->held(entry, take); };
  else if (log_->is_resumed()) held = [this](const ManifestEntry& entry, const transfer::TakeLeaves& take) { log_->held(entry, take); };
  offer_base(page, existing);
  if (Status status = receiver_->on_page(page, existing, held); !status.ok()) return status;
  if (Status status = check_whole_fits(page); !status.ok()) return status;
  if (Status status = drop_abandoned(); !status.ok()) return status;
  for (const ManifestEntry& entry : page.entries) {
    if (answers_ == transfer::Answers::kEverythingNeeded) store_->bind(entry.number, entry);
    else if (entry.type == EntryType::kFile && !receiver_->is_open(entry.number)) store_->release(entry.number);
  }
  return place_waiting();
}

// What a peer left and does not come back for makes room for what it brings: both together are at most what its grant lets one
// transfer bring, or nothing is left of the former.
Status ReceivePath::drop_abandoned() {
  const Bytes most = start_.limits.bytes_max;
  if (start_.owner.empty() || most == Bytes::max()) return success();
  const StagingBook::Line line{start_.owner, start_.root.get(), receiver_->bytes_listed() - receiver_->bytes_kept()};
  staging_book_.set(start_.transfer, line);
  const Bytes room = saturating_sub(most, staging_book_.sum_of(line));
  if (abandoned_ && *abandoned_ <= room) return success();
  const auto left = storage::make_room(*start_.root, start_.owner, room);
  if (!left.ok()) return left.error();
  abandoned_ = left.value();
  return success();
}

// Asked for a page that does not fit into what was free at the beginning. What an earlier run reserved or wrote in vain is not free, and
// is there all the same. What went ahead gives way where both have no room: then all of it crosses.
Result<Bytes> ReceivePath::find_room(Bytes needed) {
  if (store_ == nullptr || rules_.form == storage::PublishRules::Form::kEach) return start_.limits.free_space;
  const auto free = start_.root->free_space();
  const auto staged = free.ok() ? store_->staging().allocated() : free;
  if (!staged.ok()) return staged.error();
  const Bytes room = free.value() + saturating_sub(staged.value(), receiver_->bytes_held());
  if (room >= needed || !ahead_) return room;
  const auto taken = ahead_->allocated();
  if (!taken.ok()) return room;  // it was given up before
  const std::string numbers = exact_to_string(room) + " are free, and " + exact_to_string(taken.value());
  if (room + taken.value() < needed)
    return Error{Fault::kDestFull,
                 "the transfer needs at least " + exact_to_string(needed) + " at the destination, " + numbers +
                     " more would be if what went ahead of it were given up, which stays",
                 "free space there, or copy somewhere else"};
  log::info("ahead_given_up", "destination=\"" + start_.root->shown(destination_) + "\" needed=" + std::to_string(needed.count()) +
                                  " why=\"" + numbers + " were taken by what went ahead: there is no room for both\"");
  if (Status status = ahead_->give_up(); !status.ok()) return status.error();
  return room + taken.value();
}

// What goes ahead is there beside the whole, of which it is a part, until that is published. Its list is flat and numbers itself, which no
// names of a user's files do.
Status ReceivePath::check_whole_fits(const messages::ManifestPage& page) const {
  const auto goes_ahead = [](const ManifestEntry& entry) {
    if (entry.number == ObjectId(0)) return entry.type == EntryType::kDirectory;
    const auto part = entry.type == EntryType::kFile && entry.parent == ObjectId(0) ? transfer::parse_ahead_name(entry.name) : std::nullopt;
    return part && part->number == entry.number.value();
  };
  if (!std::ranges::all_of(page.entries, goes_ahead)) return success();
  const Bytes listed = receiver_->bytes_listed(), needed = listed + (listed - receiver_->bytes_held());
  if (needed <= start_.limits.free_space) return success();
  return Error{Fault::kDestFull,
               "what goes ahead and the whole that follows it need at least " + exact_to_string(needed) + " at the destination, and " + exact_to_string(start_.limits.free_space) + " are free",
               "free space there; what does not go ahead crosses when the whole is complete"};
}

// Each entry is bound after it was looked up, so that those in it find their parent.
Result<std::vector<transfer::Existing>> ReceivePath::probe(const messages::ManifestPage& page) {
  std::vector<transfer::Existing> existing;
  if (answers_ == transfer::Answers::kEverythingNeeded) return existing;
  existing.reserve(page.entries.size());
  for (const ManifestEntry& entry : page.entries) {
    const auto there = repair_ ? repair_->take_entry(entry, store_->staging()) : from_storage(store_->probe_existing(entry));
    if (!there.ok()) return there.error();
    existing.push_back(there.value());
    store_->bind(entry.number, entry);
  }
  return existing;
}

}  // namespace tideway::engine
