// SPDX-License-Identifier: Apache-2.0
//
// What a sink has on stable storage, and the order in which it gets there:
//
//   write data ─▶ sync data ─▶ sync pages and leaf hashes ─▶ append to the ledger ─▶ sync the ledger
//
// Leaves are noted as they are written, and recorded in batches, each behind one sync of the store. A process that comes
// later reads the ledger, compares the entries of its own transfer with those of the former one, and takes what is the same
// without reading it again.
//
// What was recorded before this host was started anew is doubtful, and read again before it is told to the source
// (engine/rehash.h).
//
// An entry that changed and still takes the same leaves is sent anew by itself. Where the list differs in any other way, numbers
// mean something else from there on: what was staged under them is kept by what it is (engine/shelf.h), and gets its new number
// when the list comes to it.
// Thread: io worker, the transfer's home; it blocks.
#pragma once
#include "engine/entry_keys.h"
#include "engine/shelf.h"
#include "engine/sync_pace.h"
#include "storage/staging.h"
#include "transfer/ledger.h"
#include "transfer/receiver.h"
#include <tideway/time.h>

#include <optional>
#include <vector>

namespace tideway::engine {

Result<std::vector<ManifestEntry>> read_page(std::span<const std::byte> bytes);

// The entries of a manifest that an earlier process staged, until they end or are damaged.
class FormerEntries {
 public:
  explicit FormerEntries(Descriptor file)
      : file_(std::move(file)), pages_(file_.get(), 0, storage::stat_of(file_.get()).stat.size.count()) {}
  explicit FormerEntries(storage::PageStream pages) : pages_(std::move(pages)) {}  // of a file that stays open
  const ManifestEntry* next();  // valid until the next call

 private:
  Descriptor file_;
  storage::PageStream pages_;
  std::vector<ManifestEntry> page_;
  size_t at_ = 0;
};

// A leaf that is written, numbered through the transfer.
struct NotedLeaf {
  uint64_t number = 0;
  uint32_t length = 0;
};

class DurableLog {
 public:
  // Of staging that lies there, whoever made it, for one who holds this lease on this host. Cuts its ledger at the first damage.
  // Errors: lease_lost, when another lease has filled it since ours began, and those of the file system.
  static Result<DurableLog> open(storage::Staging& staging, const TransferId& id, const transfer::LedgerOpened& ours,
                                 uint64_t ranges_max = transfer::kLedgerRangesMax);

  // Set: an earlier process was making the transfer visible. That is to be ended before anything else.
  const std::optional<transfer::PublishBegun>& publishing() const { return ledger_.publishing(); }
  Status begin(const messages::TransferOptions& options);  // a run of ours
  bool is_resumed() const { return is_resumed_; }
  bool proves_anything() const { return !ledger_.durable().is_empty(); }

  // The transfer's entries, one after the other. Takes back what the ledger says of one that is another one now, that the
  // destination has, or whose bytes are gone. Gives what it is to be taken for: one that an earlier run has published by itself
  // counts as absent, and as held.
  Result<transfer::Existing> take_entry(const ManifestEntry& entry, transfer::Existing existing);
  // Records what take_entry took back, before the page is in staging: a later run compares with that, and what is durable of it counts.
  Status record_taken_back();
  // The page they came in, whose entries are taken for this, is in staging. Gives numbers to what lies on the shelf of it.
  Status end_page(std::span<const ManifestEntry> entries, std::span<const transfer::Existing> existing);
  // Of the leaves that count, those that are to be read again first. What is sound is recorded once more, now or with what follows.
  const flow::IntervalSet& doubtful() const { return doubtful_; }
  void on_sound(flow::Interval leaves) { ledger_.write(transfer::LeavesDurable{leaves.begin, leaves.length()}); }
  Status record_sound() { return staging_->record(ledger_.take_unwritten()); }
  void held(const ManifestEntry& entry, const transfer::TakeLeaves& take) const;

  void on_counts(NotedLeaf leaf) { noted_.push_back(leaf); }  // what it stands for is written, and durable with the next sync
  void on_proven(NotedLeaf leaf) { syncing_.push_back(leaf); }  // was read back after the sync of the batch
  SyncPace& pace() { return pace_; }
  const SyncPace& pace() const { return pace_; }
  bool has_unrecorded() const { return !noted_.empty() || !syncing_.empty() || has_taken_back(); }
  // A sync of the store begins: it covers all that was noted. It has ended well, and all that belongs to it may be recorded.
  void begin_batch(Time now);
  void on_synced(Time now) { pace_.on_synced(now); }
  // What is durable in more ranges than may be kept is forgotten in part, and said so once.
  Status end_batch();
  // The same for what is noted, all of it synced, and says that publishing begins.
  Status begin_publish(const transfer::PublishBegun& begun);
  void take_back(flow::Interval leaves);  // they have to be sent anew
  void give_up(flow::Interval leaves);    // the same, of an entry that failed in this run
  // What this run made durable since it was asked last, as much of it as one message holds.
  std::vector<messages::LeafRange> take_news();
  Bytes bytes_recorded() const { return bytes_recorded_; }  // by this run

 private:
  bool has_taken_back() const { return was_taken_back_ && ledger_.has_unwritten(); }
  DurableLog(storage::Staging& staging, const TransferId& id) : staging_(&staging), ledger_(id), shelf_(staging) {}
  Status replay();
  Result<bool> is_as_before(const ManifestEntry& entry);
  Result<bool> is_staged(const ManifestEntry& entry);
  Status check_staged(const ManifestEntry& entry);
  Status shelve_from(const ManifestEntry* before);
  ShelvedObject to_shelve(const ManifestEntry& entry, const Hash128& key) const;
  enum class Adopted : uint8_t { kNothing, kCounts, kDoubtful };
  Result<Adopted> adopt(const ManifestEntry& entry, const Hash128& key);
  Result<bool> was_published(const ManifestEntry& entry) const;
  Status forget(const ManifestEntry& entry, transfer::Existing existing);
  void write_noted(std::vector<NotedLeaf>& leaves);
  Status compact();
  void forget_shortest();

  storage::Staging* staging_;
  transfer::Ledger ledger_;
  bool is_resumed_ = false, publishes_each_ = false;
  bool was_taken_back_ = false;  // something durable, and perhaps not recorded
  messages::ResumeVerify resume_verify_ = messages::ResumeVerify::kAuto;
  transfer::LedgerOpened ours_;
  flow::IntervalSet doubtful_;
  std::optional<FormerEntries> former_;  // while the entries are as before
  bool is_former_over_ = false;
  Shelf shelf_;
  EntryKeys keys_;                       // of the entries so far
  std::vector<Hash128> page_keys_;       // of the page at hand
  std::vector<NotedLeaf> noted_, syncing_;
  flow::IntervalSet news_;
  Bytes bytes_recorded_;
  uint64_t compacts_at_ = transfer::kLedgerGrowthMin;  // records
  uint64_t ranges_max_ = transfer::kLedgerRangesMax;
  bool has_forgotten_ = false;
  SyncPace pace_;
};

}  // namespace tideway::engine
