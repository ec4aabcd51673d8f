// SPDX-License-Identifier: Apache-2.0
//
// The sink's side of one transfer: what the manifest said, which leaves are there, which objects are whole, and
// whether the whole agrees with the source's root. It writes nothing itself: the engine tells it what happened and
// takes work from it. Everything it is told by the peer is checked here before anybody acts on it.
//
// Memory is bounded for any peer: an object is kept from its page until all of it is stored and its root is known, in
// about 250 bytes with its name if it is small, and a source that runs further ahead of its data than kOpenEntriesMax is
// refused, as is one that does not read what it is told. What a peer's transfers keep together, the io worker bounds.
// Thread: io worker, the transfer's home. Pure.
#pragma once
#include "block/segment.h"
#include "digest/leaf_fold.h"
#include "digest/tree_hasher.h"
#include "flow/interval_set.h"
#include "messages/transfer_messages.h"
#include "transfer/answers.h"
#include "transfer/block_builder.h"
#include "transfer/entry_paths.h"
#include "transfer/entry_report.h"
#include <tideway/object_store.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <variant>

namespace tideway::transfer {

// Entries from the oldest object that is not whole on: twice what a source may be ahead (docs/protocol.md), 32 MB.
inline constexpr size_t kOpenEntriesMax = 131'072;
// Leaves stored behind one that is missing, over all objects: 256 GiB ahead of a gap, 5 MB of hashes. A leaf that is sent
// again comes within seconds, so only a source that withholds one gets there.
inline constexpr size_t kEarlyLeavesMax = 65'536;
inline constexpr uint32_t kPagesUnansweredMax = 64;    // pages whose Needs the source has not read
inline constexpr size_t kReceiverMessagesMax = 2048;   // at their longest 64 MB; the source reads none of them
inline constexpr uint64_t kEntriesMaxDefault = 100'000'000;

// What an earlier run stored behind missing leaves, over all open objects: 128 GiB. What is beyond is sent again, for a source that
// goes on from there needs room for its own.
inline constexpr size_t kHeldEarlyMax = kEarlyLeavesMax / 2;

using ReceiverMessage = std::variant<messages::Needs, messages::BlocksDelivered, messages::SegmentsRejected,
                                     messages::PeerError, messages::ObjectsHeld, messages::BaseLeaves>;

// What stands at the destination where an entry wants to go.
enum class Existing : uint8_t { kAbsent, kSame, kDifferent, kOtherType };

// What an earlier run left of an object and proved to be on stable storage: `take` is called with runs of its leaves, ascending.
using TakeLeaves = std::function<void(uint32_t first, std::span<const Hash128> hashes)>;
using HeldLeaves = std::function<void(const ManifestEntry& entry, const TakeLeaves& take)>;

// What this transfer may bring, by its grant and by what there is room for.
struct ReceiverLimits {
  uint64_t entries_max = kEntriesMaxDefault;
  Bytes bytes_max = Bytes::max();
  Bytes free_space = Bytes::max();  // at the destination when the transfer began
};
// Asked when a page does not fit any more: how much of what has to come there is room for, all in all. Errors end the transfer.
using FindRoom = std::function<Result<Bytes>(Bytes needed)>;

class Receiver {
 public:
  struct Options {
    TransferId transfer{};
    Answers answers = Answers::kEverythingNeeded;
    ReceiverLimits limits;
    FindRoom find_room = {};
  };
  explicit Receiver(const Options& options);

  // From the source. Errors end the transfer. `existing` has one item per entry when answers are per page, else none, and
  // nothing is held then; `held` is asked of objects that are absent, and may be empty.
  Status on_page(const messages::ManifestPage& page, std::span<const Existing> existing, const HeldLeaves& held = {});
  // Before on_page() of the page it belongs to: what a base has. Dropped when the source is slow to read, as it may be.
  void offer(messages::BaseLeaves base);
  Status on_listed_page(const messages::ManifestPage& page);  // of a transfer without data: its entries are counted and not kept
  Status on_manifest_end(const messages::ManifestEnd& end);
  Status on_object_end(const messages::ObjectEnds& ends);
  Status on_entry_failed(std::optional<ObjectId> object, const Error& why);  // no object: the scan left it out
  Status on_root(const messages::TransferRoot& root);

  // A block was unpacked: may its segments be written? kWaits: its page is still on its way; ask again after on_page.
  enum class Verdict : uint8_t { kWrite, kWaits };
  Result<Verdict> judge(std::span<const block::Segment> segments) const;
  // Whether the caller is to write this leaf, of a judged block: its object is open, and the leaf neither here nor being
  // written. The first copy that is claimed is the one that counts. Errors: protocol_error when the leaf was claimed with
  // another hash, for what is stored would then not be what was verified.
  Result<bool> claim(const block::Segment& segment);
  // The block came damaged in these leaves, or in its head if none is named: the source reads them again. Errors: `because`, when too many
  // of its blocks do.
  Status on_damaged(BlockKey key, std::span<const block::Segment> segments, Fault because);
  // The block could not be unpacked: only a damaged head can be asked for again, anything else in it the peer meant. Errors: `why`, and those of on_damaged.
  Status on_unreadable(BlockKey key, const Error& why) { return why.fault == Fault::kHashMismatch ? on_damaged(key, {}, why.fault) : why; }
  // These leaves of the block were not here, where the source takes them for known: it reads them again.
  void on_unknown(BlockKey key, std::span<const block::Segment> segments) { ask_again(key, segments, Fault::kHashMismatch); }
  // Claimed leaves of the block were written, and came back from the device with a wrong hash: the source reads them again. To
  // be said before what else of the block is stored.
  void on_read_back_wrong(BlockKey key, std::span<const block::Segment> segments);
  // The block's claimed segments are written. Fills `leaves` with what to record beside the manifest. One that completes its
  // object counts as stored only when the object is closed.
  struct StoredLeaf {
    uint64_t leaf = 0;  // numbered through the transfer, as all leaves that are recorded
    uint32_t length = 0;
    Hash128 hash{};
    enum class Counts : uint8_t { kNow, kWhenClosed } counts = Counts::kNow;
  };
  Status on_stored(BlockKey key, std::span<const block::Segment> segments, std::vector<StoredLeaf>& leaves);
  void on_closed();  // one of those that next_close named

  // An object that is whole, and the leaf that completed it.
  struct Close {
    ObjectId object;
    uint64_t last_leaf = 0;
    uint32_t last_length = 0;  // of that leaf
  };
  std::optional<Close> next_close();
  bool is_open(ObjectId object) const { return objects_.contains(object); }  // some of it is missing, or its end
  std::optional<flow::Interval> leaves_of_open(ObjectId object) const;        // numbered through the transfer
  std::optional<ReceiverMessage> next_message();
  std::optional<EntryReport> next_report();  // what the source failed to read, or left out
  void flush_delivered();  // told when the engine says so, at most every 10 ms

  // Everything named is there or failed, and the source has said its last word.
  bool is_complete() const;
  // Whether it may be published. Errors: entries_failed, manifest_mismatch.
  Result<Hash256> verdict();

  bool has_end() const { return has_end_; }
  uint64_t entries() const { return entries_; }
  uint64_t leaves() const { return leaves_; }
  uint64_t failed() const { return failed_; }
  uint64_t skipped() const { return skipped_; }  // by the source, on purpose
  uint64_t kept() const { return kept_; }
  size_t open_entries() const { return std::max(tree_.pending(), objects_.size()); }  // that are kept until their data is here
  uint64_t rejected() const { return rejected_; }  // leaves of a wrong hash, asked for again
  Bytes bytes_held() const { return bytes_held_; }  // from an earlier run
  Bytes bytes_listed() const { return bytes_listed_; }
  Bytes bytes_kept() const { return bytes_kept_; }
  Bytes bytes_stored() const { return bytes_stored_; }

 private:
  struct Claim {
    uint32_t leaf;
    Hash128 hash;
  };
  struct Object {
    Object(Bytes size, uint64_t first) : first_leaf(first), fold(size) {}
    uint64_t first_leaf;
    digest::LeafFold fold;            // of what is stored
    std::vector<Claim> claims;        // leaves being written, as many as there are buffers at most
    uint64_t last_leaf = 0;           // of those stored
    uint32_t last_length = 0;
    bool has_ended = false;
    Hash256 root{};                   // from ObjectEnd
  };
  struct PageAnswer {
    messages::Needs needs;
    messages::ObjectsHeld held;
    size_t hashes = 0, bytes = 0;  // in `held`: those of its runs, and all of it on the wire at most
  };
  Status count(const ManifestEntry& entry);
  Status take_entry(const ManifestEntry& entry, Existing existing, PageAnswer& answer);
  Status take_object(const ManifestEntry& entry, uint64_t first_leaf, const HeldLeaves& held, PageAnswer& answer);
  messages::HeldObject take_held(const ManifestEntry& entry, const HeldLeaves& held, digest::LeafFold& fold) const;
  void tell_held(messages::HeldObject found, PageAnswer& answer);
  void tell_held_part(messages::HeldObject found, PageAnswer& answer);
  void say_held(PageAnswer& answer);
  Status check_room();
  void refuse_entry(const ManifestEntry& entry, const Error& why);
  void count_failure(const Error& why);
  void ask_again(BlockKey key, std::span<const block::Segment> segments, Fault because);
  Status close_if_whole(ObjectId id, const Object& object);
  Status take_page_number(const messages::ManifestPage& page);
  void take_skipped(const messages::ManifestPage& page);
  void report(std::optional<ObjectId> object, const Error& why);
  void say(ReceiverMessage message);
  void say_delivered();
  Status check_bounds() const;

  Options options_;
  digest::TreeHasher tree_;
  EntryPaths paths_;  // for what is said of entries
  std::unordered_map<ObjectId, Object> objects_;
  uint32_t next_page_ = 0;
  uint64_t entries_ = 0, leaves_ = 0, failed_ = 0, skipped_ = 0, kept_ = 0, reported_ = 0, rejected_ = 0;
  uint64_t blocks_stored_ = 0, blocks_damaged_ = 0;
  Bytes bytes_listed_, bytes_kept_, bytes_opened_, bytes_held_, bytes_stored_;
  size_t early_leaves_ = 0;  // of all objects
  size_t closing_ = 0;       // whole, and with the store
  Error last_failure_{Fault::kEntriesFailed, "", ""};
  Fault integrity_ = Fault::kEntriesFailed;  // what it is called when entries failed: damage goes before all else
  bool failures_differ_ = false;
  bool has_end_ = false;
  std::optional<Hash256> root_;
  std::vector<messages::BlockRange> delivered_;  // not told yet, in the order they were stored
  std::deque<ReceiverMessage> messages_;
  uint32_t needs_waiting_ = 0, delivered_waiting_ = 0;  // of the messages
  bool is_unheard_ = false;                             // a message found no room
  std::deque<EntryReport> reports_;
  std::deque<Close> closes_;
};

}  // namespace tideway::transfer
