// SPDX-License-Identifier: Apache-2.0
//
// The source's side of one transfer: which pages to tell, which leaves to read into which block, when an object is
// complete and what its root is, and what to say when something fails. It reads nothing and sends nothing itself:
// the engine tells it what happened and takes work from it.
//
// Memory is bounded for any tree: the scan stops while the oldest object that the sink has not verified, or that waits
// for its hash or its answer, lies kUnresolvedMax entries back. An object is forgotten once the sink has verified all of
// it; until then the store must be able to read it again.
// Thread: io worker, the transfer's home. Pure.
#pragma once
#include "block/segment.h"
#include "digest/leaf_fold.h"
#include "digest/tree_hasher.h"
#include "messages/transfer_messages.h"
#include "transfer/answers.h"
#include "transfer/block_builder.h"
#include "transfer/entry_report.h"
#include <tideway/object_store.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <variant>

namespace tideway::transfer {

// Entries scanned ahead of what the sink has, at about 250 bytes each with a name: 16 MB. A sink keeps as many, and
// refuses a source that goes much further (docs/protocol.md).
inline constexpr size_t kUnresolvedMax = 65'536;
inline constexpr size_t kPagesAskedMax = 32;            // told and not answered; a sink allows 64
inline constexpr size_t kBlocksUnverifiedMax = 16'384;  // far more than a sink has buffers
inline constexpr size_t kBaseHeldMax = 1 << 20;         // leaves of the sink's base, 16 MB: 4 TiB ahead of what is read
// Hashes of leaves that a sink has behind gaps, in pages it has not answered: twice what one names.
inline constexpr size_t kHeldAskedMax = 65'536;
inline constexpr size_t kObjectEndBatch = 256;          // objects in one ObjectEnd message
// Of what is read again only to be hashed: blocks at once while there is something to send, which leaves the disk to what the link waits
// for; and leaves that may be sent before those in front of them are hashed, at about 80 bytes each.
inline constexpr size_t kHashingMax = 2;
inline constexpr size_t kEarlyHashesMax = 1 << 18;

using SenderMessage = std::variant<messages::ManifestPage, messages::ManifestEnd, messages::ObjectEnds,
                                   messages::TransferRoot, messages::PeerError, messages::SameLeaves>;

// What becomes of the hashes that a sink tells of what it has. Of several messages about one object the highest counts.
enum class HeldHashes : uint8_t {
  kKnown,      // they are proven to be those of this tree
  kClaimed,    // taken on trust: a sink that lies spoils only its own copy, but then nobody here may sign its root
  kReadAgain,  // passed over: the leaves are read and hashed here, and not sent; of stand-ins for what others bring it is as kClaimed
};

class Sender {
 public:
  struct Options {
    TransferId transfer{};
    enum class Content : uint8_t { kWithData, kManifestOnly } content = Content::kWithData;  // list, dry run
  };
  explicit Sender(const Options& options);

  // Scan.
  bool wants_entries() const;
  Status on_listed(std::span<const ManifestEntry> entries);
  void on_skipped(const SkippedEntry& skipped);
  void on_scan_end();
  void flush();  // tells what is listed and ended so far: more comes later, if at all

  // From the sink. Until it has accepted, pages are told and their objects wait.
  void on_accepted(Answers answers);
  // Judged is no more than the leaves that an object has.
  using JudgeHeld = std::function<HeldHashes(const messages::HeldObject&)>;
  Status on_held(const messages::ObjectsHeld& held, const JudgeHeld& judge);
  Status on_held(const messages::ObjectsHeld& held) { return on_held(held, [](const auto&) { return HeldHashes::kClaimed; }); }
  // Of leaves that lie at the sink in a tree that was published before. What is of no use is passed over: it is an offer.
  void on_base(const messages::BaseLeaves& base);
  Status on_needs(const messages::Needs& needs);
  Status on_delivered(const messages::BlocksDelivered& delivered);
  Status on_rejected(const messages::SegmentsRejected& rejected);
  Status on_durable(const messages::Durable& durable);
  void on_refused(const messages::PeerError& error);  // an entry it does not take

  // From reading and packing.
  void on_packed(BlockKey key, std::span<const block::Segment> segments);  // hashes are known
  void on_same(BlockKey key, std::span<const block::Segment> segments);    // and all of it is in the sink's base: it is not sent
  // What the base has in place of these leaves; empty: not all of them, or they were asked for again.
  std::vector<Hash128> base_of(std::span<const block::Segment> segments) const;
  void on_hashed(std::span<const block::Segment> segments);                // of a block that was only to be hashed; what failed is left out
  void on_entry_failed(ObjectId object, const Error& why);                 // could not be read whole
  void on_closed(ObjectId object);                                         // unchanged since it was opened

  // Work.
  std::optional<BlockPlan> next_block();
  std::optional<ObjectId> next_close();    // all leaves were read: check the source once more
  std::optional<ObjectId> next_release();  // delivered or failed: nobody will ask for it again
  std::optional<SenderMessage> next_message();
  std::optional<EntryReport> next_report();

  uint64_t entries() const { return entries_; }
  Bytes bytes_listed() const { return bytes_listed_; }
  Bytes bytes_needed() const { return bytes_needed_; }
  Bytes bytes_held() const { return bytes_held_; }  // by the sink, from a run before this one
  Bytes bytes_delivered() const { return bytes_delivered_; }
  Bytes bytes_durable() const { return bytes_durable_; }  // at the sink: what no kill takes away, with what it held
  uint64_t failed() const { return failed_; }
  uint64_t skipped() const { return skipped_; }
  uint64_t rejected() const { return rejected_; }  // leaves that the sink got wrong, and that are sent again
  uint64_t kept() const { return kept_; }  // at the destination already
  bool is_scanning() const { return !scan_ended_; }
  bool is_all_said() const { return root_said_; }  // what is left is for the sink to do
  std::optional<Hash256> root() const { return root_; }
  // Whether the root is over nothing that the sink only claims. What it keeps at its destination stands in the root as kept.
  bool is_root_proven() const { return is_proven_; }

 private:
  struct Object {
    explicit Object(digest::LeafFold&& started) : fold(std::move(started)) {}
    digest::LeafFold fold;
    uint32_t delivered = 0;  // leaves
    bool is_ended = false;   // complete and told
    bool is_held = false;    // all of it, by the sink, which needs not be told its root
  };
  struct SentLeaf {
    ObjectId object;
    uint32_t leaf = 0;
    uint32_t length = 0;
    enum class Sent : uint8_t { kYes, kNo } sent = Sent::kYes;  // kNo: the sink takes it from its base
  };
  struct Asked {
    ObjectId object;
    Bytes size;
    std::shared_ptr<messages::HeldObject> held = {};  // none: nothing is there
    HeldHashes hashes = HeldHashes::kKnown;
  };
  Status list(const ManifestEntry& entry);
  void cut_page();
  void name(ObjectId object);
  void need(const Asked& asked);
  void need_rest(const Asked& asked);
  bool is_far_ahead() const;
  Status note_held(Asked& asked, const messages::HeldObject& object, const JudgeHeld& judge);
  std::optional<BlockPlan> next_to_hash();
  void add_hash(Object& object, const block::Segment& segment);
  void forget(ObjectId id);
  void drop_base(ObjectId id);
  void note_packed(BlockKey key, std::span<const block::Segment> segments, SentLeaf::Sent sent);
  void forget_if_delivered(ObjectId id);
  void say_failure(std::optional<ObjectId> object, const Error& why);
  void flush_object_ends();
  void say_end();

  Options options_;
  Answers answers_ = Answers::kPerPage;
  BlockBuilder builder_;
  BlockBuilder to_hash_;       // what the sink has and nobody here takes its word for
  size_t hashing_ = 0;         // blocks of it under way
  size_t early_hashes_ = 0;    // that wait for one before them
  digest::TreeHasher tree_;
  std::unordered_map<ObjectId, Object> objects_;            // needed and not delivered
  std::deque<ObjectId> needed_order_;                       // of these and some that are forgotten; the first is one
  std::map<uint32_t, std::vector<Asked>> asked_pages_;      // objects with bytes, of each page without an answer
  std::map<BlockId, std::vector<SentLeaf>> sent_;           // blocks the sink has not verified
  std::unordered_map<ObjectId, std::map<uint32_t, std::vector<Hash128>>> base_;  // by object and first leaf, until it is forgotten
  size_t base_hashes_ = 0;                                  // in it
  size_t held_hashes_ = 0;                                  // behind gaps, in asked_pages_
  messages::PageBuilder pages_;
  uint32_t pages_cut_ = 0;
  uint64_t first_uncut_ = 0;  // entry of the page that is being filled
  messages::ObjectEnds ended_;
  std::deque<SenderMessage> messages_;
  std::deque<ObjectId> closes_, releases_;
  std::deque<EntryReport> reports_;
  std::vector<messages::SkippedItem> skips_waiting_;  // for the next page
  uint64_t entries_ = 0, failed_ = 0, skipped_ = 0, kept_ = 0, unfinished_ = 0, rejected_ = 0, leaves_ = 0;
  uint64_t blocks_delivered_ = 0, blocks_refused_ = 0;  // refused: that had crossed
  Bytes bytes_listed_, bytes_needed_, bytes_held_, bytes_delivered_, bytes_durable_;
  bool scan_ended_ = false, end_said_ = false, root_said_ = false, is_proven_ = true;
  std::optional<Hash256> root_;
};

}  // namespace tideway::transfer
