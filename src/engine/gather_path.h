// SPDX-License-Identifier: Apache-2.0
//
// Fills one staging directory, with one ledger, from several sources that all have the same tree. It publishes nothing: an ordinary
// transfer goes on from there as from any run before it, takes what is missing from one source, and has that source confirm the root
// of the whole.
//
// Each source brings its share in transfers of its own, one batch in each (transfer/leaf_deal.h), and a transfer::Receiver checks each as
// it checks any. What others bring is said to be there already: whole files are kept, and for leaves of a file that is asked for in
// part both sides fold a hash of zeros in their place. So the root of such a transfer is of no tree; what counts is that each leaf came
// with its hash, that all sources name the same entries, whose versions come from the root that was published
// (engine/published_entries.h), and what the transfer behind it confirms.
//
// A leaf is with one source at a time. What a source has not brought when its transfer ends goes back to the list, but not before its
// last write has ended, or two could write the same leaf.
// Thread: io worker.
#pragma once
#include "engine/event_outlet.h"
#include "engine/receiver_outlet.h"
#include "engine/sink_store.h"
#include "flow/interval_set.h"
#include "transfer/leaf_deal.h"
#include "transfer/receiver.h"

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

namespace tideway::engine {

// Of a list that is gathered by: a source says so much without an answer. What is longer is taken from one source.
inline constexpr size_t kGatherPagesMax = 24;
inline constexpr size_t kGatherEntriesMax = 32'768;
inline constexpr uint64_t kGatherRejectedMax = 8;  // leaves of a wrong hash in one batch: then another source is asked
// A source that has nothing to do waits so long for the others' last leaves and, besides, twice as long as it would take for them itself.
inline constexpr Duration kGatherTailMin = std::chrono::seconds(1);
inline constexpr Duration kGatherTailUnknown = std::chrono::seconds(2);  // it would take that long, when it has brought nothing yet

class GatherPath {
 public:
  struct Around {
    storage::IoQueue& queue;
    Rings& rings;
    IoBoard& board;
    Bytes buffers;  // what all blocks that are being received can hold
  };
  explicit GatherPath(const Around& around) : around_(around) {}
  ~GatherPath();
  GatherPath(const GatherPath&) = delete;
  GatherPath& operator=(const GatherPath&) = delete;

  void join(StartSink&& start, EventOutlet& events);
  void on_peer_message(TransferHandle transfer, TransferMessage&& message);
  void on_message_taken(TransferHandle transfer);
  void on_block(BlockUnpacked&& block);
  void leave(TransferHandle transfer);  // it is over, or given up
  bool poll(Time now, EventOutlet& events);
  // All of it is over: what came stays for whoever goes on, if it is of use.
  void end(Time now);

  bool has(TransferHandle transfer) const { return find(transfer) != nullptr; }
  bool has_writes() const { return !writes_.is_empty() || !closing_.empty() || is_syncing_; }
  Bytes undurable() const { return log_ ? log_->pace().undurable() : Bytes(); }

 private:
  // One transfer.
  struct Talk {
    TransferHandle transfer;
    transfer::SourceNumber source = 0;
    std::shared_ptr<TransferBoard> board;
    std::unique_ptr<transfer::Receiver> receiver;
    std::vector<messages::ManifestPage> pages;       // until it is asked for something
    size_t entries = 0;                              // in them
    std::optional<messages::ManifestEnd> list_end;
    std::vector<transfer::LeafRun> share;            // what it is asked for
    std::set<ObjectId> disowned;                     // files that its source found damaged: nothing that it brings of them counts
    std::optional<Result<TransferDone::Outcome>> outcome;
    bool is_told = false, is_leaving = false;
    Time idle_since{};                               // it waits, and nothing is left that it may bring
    ReceiverOutlet outlet;
    bool is_waiting() const { return list_end && share.empty() && !outcome && !is_leaving; }
  };
  struct File {
    uint64_t first_leaf = 0;
    uint32_t leaves = 0;
    flow::IntervalSet stored;
  };
  struct Source {
    std::optional<Time> began;  // when its first leaf was written
    Time last{};                // when its last one was
    Bytes stored;
  };
  struct Closing {
    ObjectId object;
    NotedLeaf leaf;  // that completed it
  };

  Talk* find(TransferHandle transfer);
  const Talk* find(TransferHandle transfer) const;
  Status take_message(Talk& talk, TransferMessage&& message);
  void disown(Talk& talk, ObjectId object);
  void leave_open(ObjectId object);
  Status check_list(Talk& talk);
  Status take_list(std::vector<messages::ManifestPage>& pages);
  Status open_store();
  Status stage(messages::ManifestPage& page);
  void list_file(const ManifestEntry& entry);
  bool is_as_listed(const std::vector<messages::ManifestPage>& pages) const;
  bool deal(Time now);
  Status ask(Talk& talk);
  void take_standing_in(const Talk& talk, const ManifestEntry& entry, const transfer::TakeLeaves& take) const;
  void give_back_unstored(Talk& talk);
  void give_back(Writing& writing);
  bool submit_writes();
  bool take_answers(Time now);
  Status on_answer(Time now, const StoreDone& done);
  void note_completing(const Closing& closing);
  Status finish(Time now, Writing& writing);
  Status note_stored(Time now, transfer::SourceNumber source, const block::Segment& segment);
  bool submit_closes();
  bool sync_batch(Time now);
  bool end_talks();
  bool is_brought() const;
  bool has_waited_enough(Time now) const;
  void look_whether_over(Time now);
  bool say(Time now, EventOutlet& events);
  bool tell_peer(Time now, Talk& talk, EventOutlet& events);
  void tell_boards();
  void fail_all(const Error& why);
  void stop();
  Bytes credit_max() const;

  Around around_;
  StartSink start_;                         // of the first one
  std::shared_ptr<GatherBoard> board_;
  std::unique_ptr<storage::FileSink> store_;
  std::optional<DurableLog> log_;           // of the store's staging
  std::vector<ManifestEntry> list_;         // empty: no source has said it yet
  transfer::LeafDeal deal_;
  std::unordered_map<ObjectId, File> files_;  // with bytes that are missing
  uint64_t leaves_missing_ = 0;
  Bytes bytes_held_;
  size_t sources_ = 1;
  std::array<Source, kGatherSourcesMax> by_source_;
  std::deque<Talk> talks_;
  BlockWrites writes_;
  std::deque<Closing> closes_;
  std::unordered_map<uint32_t, Closing> closing_;  // by token
  uint32_t next_close_token_ = kCloseTokens;
  Time sync_began_{};
  bool is_syncing_ = false, is_pausing_ = false, is_over_ = false;
};

}  // namespace tideway::engine
