// SPDX-License-Identifier: Apache-2.0
//
// A sink's way from the cpu worker to disk: takes pages and blocks, writes, closes objects that are whole, and at the
// end syncs and publishes. What is right and what is complete the transfer's Receiver says; what of it is
// durable its log knows. This joins them with the store and the rings.
// Thread: io worker.
#pragma once
#include "engine/ahead_parts.h"
#include "engine/base_tree.h"
#include "engine/event_outlet.h"
#include "engine/read_back.h"
#include "engine/receiver_outlet.h"
#include "engine/rehash.h"
#include "engine/repair.h"
#include "engine/rings.h"
#include "engine/sink_store.h"
#include "engine/staging_book.h"
#include "transfer/entry_paths.h"
#include "transfer/receiver.h"
#include "transfer/sender.h"
#include <tideway/time.h>

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace tideway::engine {

// Leaves that a source may take for known before they are copied: one for each entry that it may have open, and blocks of one.
inline constexpr size_t kSameLeavesWaitingMax = transfer::kOpenEntriesMax + transfer::kBlocksUnverifiedMax;

class ReceivePath {
 public:
  // What the io worker lends its transfers; it outlives them.
  struct Around {
    storage::IoQueue& queue;
    Rings& rings;
    LeafBuffers& leaf_buffers;
    StagingBook& staging_book;
    IoBoard& board;
    Bytes buffers;  // what all blocks that are being received can hold
  };
  ReceivePath(StartSink&& start, const Around& around);
  ~ReceivePath();  // waits for writes under way
  ReceivePath(const ReceivePath&) = delete;
  ReceivePath& operator=(const ReceivePath&) = delete;

  // One bounded turn. False: nothing to do now.
  bool poll(Time now, EventOutlet& events);
  Bytes undurable() const { return log_ ? log_->pace().undurable() : Bytes(); }
  Bytes unverified() const { return log_ && read_back_ ? read_back_->unchecked() : Bytes(); }  // written, and still to be read back
  const std::string& peer() const { return start_.peer; }
  size_t open_entries() const;  // named and kept until their data is here, with those of pages that wait
  bool has_writes() const { return !writes_.is_empty() || !closing_.empty() || is_syncing_; }  // or is reading back
  // It is over. What was not published stays for another run, with all that arrived, or is removed.
  void leave(Time now, Leftovers leftovers);

  // Whether the peer may send more for it at once. kOnceTold: what it lists waits here until the control thread has taken it, and we say
  // ourselves when that is so, because a peer may list faster than it is read.
  enum class Digested : uint8_t { kNow, kOnceTold };
  Digested on_peer_message(TransferMessage&& message, EventOutlet& events);
  void fail(const Error& why) { end(why); }
  void on_message_taken() { outlet_.on_taken(); }
  void on_block(BlockUnpacked&& block, EventOutlet& events);

 private:
  // A block that lies in the base and was not sent.
  struct Same {
    BlockKey key;
    block::SegmentList segments;
  };
  struct Listed {
    ManifestEntry entry;
    bool ends_page;
  };
  enum class State : uint8_t { kOpening, kReceiving, kSyncing, kDone };

  void announce(EventOutlet& events);
  Status prepare_read_back();
  bool may_defer(const TransferMessage& next) const;
  Status take_message(TransferMessage&& message);
  Status take_page(messages::ManifestPage&& page);
  Status stage(messages::ManifestPage& page, std::span<const transfer::Existing> existing);
  Status check_may_replace(const ManifestEntry& entry_0) const;
  Status check_may_add(std::span<const transfer::Existing> existing) const;
  Status answer_page();
  Status drop_abandoned();
  Result<Bytes> find_room(Bytes needed);
  Status check_whole_fits(const messages::ManifestPage& page) const;
  bool rehash();
  Status find_destination(const ManifestEntry& entry_0);
  Status open_store();
  Status make_store();
  Status end_former_publish();
  Status drop_made_ready();
  Result<std::vector<transfer::Existing>> probe(const messages::ManifestPage& page);
  Status take_block(BlockUnpacked&& block);
  void give_back(Writing& writing);
  Bytes credit_max() const { return log_ ? log_->pace().credit_max() : SyncPace().credit_max(); }
  void find_base();
  void offer_base(const messages::ManifestPage& page, std::span<const transfer::Existing> existing);
  Status take_same(const messages::SameLeaves& same);
  bool copy_same();
  bool read_same(const block::Segment& segment, std::span<std::byte> bytes);
  void clone(Writing& writing);
  Status place_waiting();
  bool submit_writes();
  bool take_answers(Time now);
  Status on_answer(Time now, const StoreDone& done);
  Status finish(Time now, Writing& writing);
  Status on_stored(BlockKey key, std::span<const block::Segment> segments);
  bool read_back();
  bool is_all_written() const;
  bool submit_closes();
  bool say(Time now, EventOutlet& events);
  bool tell_peer(Time now, EventOutlet& events);
  bool tell_entries(EventOutlet& events);
  bool sync_batch(Time now);
  Status end_batch();
  bool may_write(const Writing& writing);
  bool complete();
  void publish();
  Status make_visible(const Hash256& root);
  Status mend(const Hash256& root);
  TransferBoard& board() { return *start_.board; }
  void tell_board();
  void end(Result<TransferDone::Outcome> outcome);

  StartSink start_;
  storage::IoQueue& queue_;
  Rings& rings_;
  LeafBuffers& leaf_buffers_;
  StagingBook& staging_book_;
  IoBoard& io_board_;
  const Bytes buffers_;
  const storage::PublishRules rules_;
  transfer::Answers answers_ = transfer::Answers::kEverythingNeeded;
  storage::DeviceReads device_reads_ = storage::DeviceReads::kDirect;
  std::optional<ReadBack> read_back_;         // of a transfer that is verified so
  std::optional<Rehash> rehash_;              // of what an earlier run left
  std::optional<Repair> repair_;
  std::optional<BaseTree> base_;
  std::optional<AheadParts> ahead_;
  transfer::EntryPaths paths_;                // of the entries that are offered what one of them has
  CopyRooms rooms_;
  std::deque<Same> same_;                     // not copied yet; the source waits for what it has said of them
  size_t same_leaves_ = 0;                    // in these
  bool can_clone_ = true;
  std::unique_ptr<storage::FileSink> store_;
  std::optional<DurableLog> log_;             // of the store's staging
  std::unique_ptr<transfer::Receiver> receiver_;
  bool is_tree_there_ = false;                // at start_.destination, before the transfer
  ObjectName destination_;                    // what start_.destination came to, with entry 0 known
  struct PageTaken {
    messages::ManifestPage page;
    std::vector<transfer::Existing> existing;
  };
  std::optional<PageTaken> page_;             // without an answer: what is there of it is hashed again
  std::deque<TransferMessage> deferred_;      // came behind that page
  std::deque<BlockUnpacked> waiting_;         // blocks that overtook their page; bounded by credit
  BlockWrites writes_;
  struct Closing {
    NotedLeaf leaf;                           // that completed the object
    std::optional<storage::EarlyFile> early;  // it appears once that is durable
  };
  std::unordered_map<uint32_t, Closing> closing_;  // by token
  std::vector<storage::EarlyFile> closed_, syncing_closed_;  // no sync covers them yet; the one at work does
  std::optional<transfer::Receiver::Close> close_waiting_;
  std::optional<RootSignature> signature_;          // of the root, by its source
  uint32_t next_close_token_;
  ReceiverOutlet outlet_;
  std::deque<Listed> listed_;                 // not told yet: at most the pages that the session lets be undigested
  size_t pages_told_ = 0;                     // of which that is not said yet
  std::optional<Bytes> abandoned_;            // what is left below the root of its owner's transfers that died
  Time sync_began_{};
  bool is_syncing_ = false, is_stalled_ = false;
  bool is_pausing_ = false;                   // nothing more is written until the sync that is wanted has begun
  State state_ = State::kOpening;
  std::optional<Result<TransferDone::Outcome>> outcome_;  // to be told
};

}  // namespace tideway::engine
