// SPDX-License-Identifier: Apache-2.0
//
// The sink's side of one transfer: what the manifest said, which leaves are there, which objects are whole, and
// whether the whole agrees with the source's root. It writes nothing itself: the engine tells it what happened and
// takes work from it. Everything it is told by the peer is checked here before anybody acts on it.
//
// Memory: an object is kept from its page until it is closed; the source runs at most kUnresolvedMax entries ahead
// of its data, and a peer that does not keep to that is refused at kOpenObjectsMax.
// Thread: io worker, the transfer's home. Pure.
#pragma once
#include "block/segment.h"
#include "digest/hash_tree.h"
#include "digest/tree_hasher.h"
#include "messages/transfer_messages.h"
#include "transfer/answers.h"
#include "transfer/block_builder.h"
#include <tideway/object_store.h>

#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <variant>

namespace tideway::transfer {

inline constexpr size_t kOpenObjectsMax = 1 << 20;  // named and not whole yet; about 200 MB

using ReceiverMessage = std::variant<messages::Needs, messages::BlocksDelivered, messages::SegmentsRejected,
                                     messages::PeerError>;

// What stands at the destination where an entry wants to go.
enum class Existing : uint8_t { kAbsent, kSame, kDifferent, kOtherType };

// What a grant allows this transfer.
struct ReceiverLimits {
  uint64_t entries_max = 100'000'000;
  Bytes bytes_max = Bytes::max();
};

class Receiver {
 public:
  struct Options {
    TransferId transfer{};
    Answers answers = Answers::kEverythingNeeded;
    ReceiverLimits limits;
  };
  explicit Receiver(const Options& options);

  // From the source. Errors end the transfer. `existing` has one item per entry when answers are per page, else none.
  Status on_page(const messages::ManifestPage& page, std::span<const Existing> existing);
  Status on_listed_page(const messages::ManifestPage& page);  // of a transfer without data
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
  // These leaves of the block have a wrong hash: the source reads them again.
  void on_bad_segments(BlockKey key, std::span<const block::Segment> segments);
  // The block's claimed segments are written. Fills `leaves` with what to record beside the manifest.
  struct LeafHash { uint64_t leaf; Hash128 hash; };
  Status on_stored(BlockKey key, std::span<const block::Segment> segments, std::vector<LeafHash>& leaves);
  void on_closed(ObjectId object);

  std::optional<ObjectId> next_close();
  std::optional<ReceiverMessage> next_message();
  void flush_delivered();  // told when the engine says so, at most every 10 ms

  // Everything named is there or failed, and the source has said its last word.
  bool is_complete() const;
  // Whether it may be published. Errors: entries_failed, manifest_mismatch.
  Result<Hash256> verdict();

  bool has_end() const { return has_end_; }
  uint64_t entries() const { return entries_; }
  uint64_t leaves() const { return leaves_; }
  uint64_t failed() const { return failed_; }
  uint64_t kept() const { return kept_; }
  Bytes bytes_listed() const { return bytes_listed_; }
  Bytes bytes_kept() const { return bytes_kept_; }
  Bytes bytes_stored() const { return bytes_stored_; }

 private:
  struct Claim {
    uint32_t leaf;
    Hash128 hash;
  };
  struct Object {
    Bytes size;
    uint64_t first_leaf = 0;
    uint32_t leaves = 0;
    uint32_t hashed = 0;
    std::vector<bool> stored;           // per leaf
    std::vector<Claim> claims;          // leaves being written, as many as there are buffers at most
    std::map<uint32_t, Hash128> early;  // hashes that came before their turn
    digest::ObjectHasher hasher;
    std::optional<Hash256> expected;    // from ObjectEnd
    bool is_closing = false;
  };
  Status take_entry(const ManifestEntry& entry, Existing existing, messages::Needs& needs);
  void refuse_entry(const ManifestEntry& entry, const Error& why);
  void count_failure(const Error& why);
  Status close_if_whole(ObjectId id, Object& object);

  Options options_;
  digest::TreeHasher tree_;
  std::unordered_map<ObjectId, Object> objects_;
  uint32_t next_page_ = 0;
  uint64_t entries_ = 0, leaves_ = 0, failed_ = 0, kept_ = 0;
  Bytes bytes_listed_, bytes_kept_, bytes_stored_;
  Error last_failure_{Fault::kEntriesFailed, "", ""};
  bool failures_differ_ = false;
  bool has_end_ = false;
  std::optional<Hash256> root_;
  std::vector<messages::BlockRange> delivered_;  // not told yet, in the order they were stored
  std::deque<ReceiverMessage> messages_;
  std::deque<ObjectId> closes_;
};

}  // namespace tideway::transfer
