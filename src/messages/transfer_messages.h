// SPDX-License-Identifier: Apache-2.0
//
// Control messages about one transfer, from its opening to its end. The same promises as in session_messages.h.
// Thread: control. Pure.
#pragma once
#include "messages/manifest_page.h"
#include "messages/session_messages.h"
#include <tideway/object_name.h>
#include <tideway/root_signature.h>

namespace tideway::messages {

inline constexpr size_t kJobNameMax = 128;
inline constexpr size_t kRootNameMax = 64;
inline constexpr size_t kSourcesMax = 4096;
inline constexpr size_t kFiltersMax = 1024;
inline constexpr size_t kOnlyMax = 16'384;         // names, and
inline constexpr size_t kOnlyBytesMax = 512 << 10; // what they take together: half of the message
inline constexpr size_t kPatternMax = 4096;        // bytes; a path is no longer
inline constexpr size_t kLastMax = 64;             // patterns of names
inline constexpr size_t kObjectEndsMax = 1024;     // keeps the message within 64 KiB, as the next three
inline constexpr size_t kBlockRangesMax = 2048;
inline constexpr size_t kLeafRangesMax = 2048;
inline constexpr size_t kRejectedMax = 4096;       // all segments of a block
inline constexpr size_t kObjectsHeldMax = 1024;    // of a message, which is within 64 KiB with
inline constexpr size_t kHeldHashesMax = 2048;     // behind gaps, in all of a message's runs
inline constexpr size_t kBaseHashesMax = 2048, kBaseRunsMax = 1024;  // in all runs of a BaseLeaves; runs
inline constexpr size_t kSameLeavesMax = 1024;     // keeps the message within 64 KiB

enum class Direction : uint8_t { kPush = 1, kPull = 2, kList = 3, kRemove = 4 };  // the last has a message of its own
enum class DestinationForm : uint8_t { kAsGiven = 1, kIntoDirectory = 2 };
enum class FilterKind : uint8_t { kInclude = 1, kExclude = 2 };
enum class PublishForm : uint8_t { kAuto = 1, kRename = 2, kMarker = 3, kEach = 4 };
enum class Overwrite : uint8_t { kNever = 1, kIfOlder = 2, kAlways = 3 };
// What is hashed again of what an earlier run left: all that was recorded before the sink's host was started anew; all; nothing.
enum class ResumeVerify : uint8_t { kAuto = 1, kAll = 2, kNone = 3 };
enum class CompressMode : uint8_t { kAuto = 1, kOff = 2, kZstd = 3 };

struct Filter {
  FilterKind kind = FilterKind::kInclude;
  std::string pattern;                 // 1 to kPatternMax bytes, no NUL
  bool operator==(const Filter&) const = default;
};

struct TransferOptions {
  PublishForm publish = PublishForm::kAuto;
  Overwrite overwrite = Overwrite::kNever;
  VerifyLevel verify = VerifyLevel::kMemory;
  CompressMode compress = CompressMode::kAuto;
  int level = 0;                       // of kZstd, -7 to 19
  bool dry_run = false;
  Rate rate_max = Rate::unlimited();   // the sink's wish to a source
  std::vector<std::string> last = {};  // patterns of names that appear after all others, each 1 to kNameComponentMax bytes
  ResumeVerify resume_verify = ResumeVerify::kAuto;
  bool operator==(const TransferOptions&) const = default;
};

// What a sink tells a source to begin with.
struct SinkStart {
  SlotId slot;
  uint64_t credit = 0;                 // bytes, per lane
  bool operator==(const SinkStart&) const = default;
};

struct OpenTransfer {
  TransferId transfer{};
  std::string job;                     // printable, at most kJobNameMax bytes; may be empty
  uint64_t lease_epoch = 0;
  Direction direction = Direction::kPush;
  std::string root;                    // 1 to kRootNameMax bytes of [A-Za-z0-9_.-]
  ObjectName name;                     // push: the destination; pull and list: what `sources` are below
  // Of a pull: what to send, below the root; none: `name` itself. Of a push: the source's last name, which is what a
  // single file is called inside a directory, so never the root itself.
  std::vector<ObjectName> sources;
  DestinationForm destination = DestinationForm::kAsGiven;
  TransferOptions options;
  std::string transfer_class;          // a word: "restore", "checkpoint", "staging", "best-effort"
  std::vector<Filter> filters;         // first match wins
  std::optional<SinkStart> sink;       // pull only
  bool everything_needed = false;      // pull only: the sink has nothing yet, no Needs will come
  std::vector<ObjectName> only;        // pull only: these below the source and what lies below them; empty: everything
  std::optional<ManifestPage> first_page;  // push only
  uint32_t depth = 0;                  // list only: 1 is what lies directly in `name`, 0 everything
  bool operator==(const OpenTransfer&) const = default;
};

struct TransferAccepted {
  TransferId transfer{};
  SlotId slot;
  uint64_t credit = 0;                 // bytes, per lane
  bool everything_needed = false;
  ObjectName destination;              // what `name` and `destination` came to
  PublishForm publish = PublishForm::kRename;  // what kAuto came to; never kAuto
  Rate rate_max = Rate::unlimited();   // the source sends no faster
  bool operator==(const TransferAccepted&) const = default;
};

enum class NeedsKind : uint8_t { kAll = 1, kNone = 2, kAllBut = 3 };
struct Needs {
  TransferId transfer{};
  uint32_t page = 0;
  NeedsKind kind = NeedsKind::kAll;
  std::vector<ObjectId> kept;          // of kAllBut: what is not needed, ascending, 1 to kEntriesPerPageMax
  bool operator==(const Needs&) const = default;
};

struct ManifestEnd {
  TransferId transfer{};
  uint64_t entries = 0;
  Bytes bytes;
  uint64_t skipped = 0;                // what the scan left out on purpose, also beyond what pages told
  bool operator==(const ManifestEnd&) const = default;
};

struct ObjectEnd {
  ObjectId object;
  uint32_t generation = 0;
  Bytes size;                          // at most kFileSizeMax
  Hash256 root{};
  bool operator==(const ObjectEnd&) const = default;
};
struct ObjectEnds {                    // message `ObjectEnd`
  TransferId transfer{};
  std::vector<ObjectEnd> ends;         // 1 to kObjectEndsMax
  bool operator==(const ObjectEnds&) const = default;
};

struct TransferRoot {
  TransferId transfer{};
  Hash256 root{};
  std::optional<RootSignature> signature = {};
  bool operator==(const TransferRoot&) const = default;
};

struct BlockRange {
  BlockId first;
  uint32_t count = 0;                  // at least one; first + count is at most 2^32
  bool operator==(const BlockRange&) const = default;
};
struct BlocksDelivered {
  TransferId transfer{};
  std::vector<BlockRange> ranges;      // 1 to kBlockRangesMax, ascending, not overlapping
  bool operator==(const BlocksDelivered&) const = default;
};

struct RejectedSegment {
  ObjectId object;
  uint32_t leaf = 0;
  bool operator==(const RejectedSegment&) const = default;
};
struct SegmentsRejected {
  TransferId transfer{};
  BlockId block;
  std::vector<RejectedSegment> segments;  // at most kRejectedMax; none: the head was damaged, so all of the block
  std::string code;                       // a word
  bool operator==(const SegmentsRejected&) const = default;
};

struct LeafRange {
  uint64_t first = 0;                  // numbered through the transfer
  uint64_t count = 0;                  // at least one; first + count is at most 2^64 - 1
  bool operator==(const LeafRange&) const = default;
};
// These leaves are on stable storage at the sink, and so is its record of them: whatever is killed now, they are not sent again.
struct Durable {
  TransferId transfer{};
  std::vector<LeafRange> ranges;       // news since the last one: 1 to kLeafRangesMax, ascending, not overlapping
  Bytes bytes;                         // all that is durable of the transfer, with what an earlier run left
  bool operator==(const Durable&) const = default;
};

struct Published {
  TransferId transfer{};
  Hash256 root{};
  uint64_t entries = 0;
  Bytes bytes;
  bool operator==(const Published&) const = default;
};
struct PublishedAck {
  TransferId transfer{};
  bool operator==(const PublishedAck&) const = default;
};

struct CancelTransfer {
  TransferId transfer{};
  std::string code;                    // a word
  bool keeps_staging = false;
  bool operator==(const CancelTransfer&) const = default;
};
struct TransferClosed {
  TransferId transfer{};
  std::string code;                    // a word; empty: it ended well
  bool keeps_staging = false;
  bool operator==(const TransferClosed&) const = default;
};

struct Progress {                      // raw bytes, since the transfer began
  TransferId transfer{};
  Bytes received, verified, stored;
  std::string stall;                   // a word naming what holds it up; empty: nothing
  bool operator==(const Progress&) const = default;
};

// What a sink has from a run before this one: it need not be sent, and its hashes stand for it in the object's root.
struct HeldRun {
  uint32_t first = 0;                  // leaf: at least one is missing before it
  std::vector<Hash128> hashes;         // at least one
  bool operator==(const HeldRun&) const = default;
};
struct HeldObject {
  ObjectId object;
  uint32_t leaves = 0;                 // from the front on
  std::vector<Hash256> tops;           // of these: complete subtrees, the largest first, one per bit set in `leaves`
  std::vector<HeldRun> runs;           // ascending, apart from each other
  bool operator==(const HeldObject&) const = default;
};
struct ObjectsHeld {                   // before the Needs of that page
  TransferId transfer{};
  uint32_t page = 0;
  std::vector<HeldObject> objects;     // 1 to kObjectsHeldMax, ascending
  bool operator==(const ObjectsHeld&) const = default;
};

// What the sink has of the same files in a tree that was published before. A source that finds a leaf to be the same says so instead
// of sending it; one that does not know this message sends everything.
struct BaseRun {
  ObjectId object;
  uint32_t first = 0;                  // leaf; first + hashes is at most 2^32
  std::vector<Hash128> hashes;         // at least one
  bool operator==(const BaseRun&) const = default;
};
struct BaseLeaves {                    // before the Needs of that page
  TransferId transfer{};
  uint32_t page = 0;
  std::vector<BaseRun> runs;           // 1 to kBaseRunsMax; at most kBaseHashesMax hashes in all
  bool operator==(const BaseLeaves&) const = default;
};

// A block that is not sent, because all of it is in the sink's base. It counts as one that was.
struct SameLeaf {
  ObjectId object;
  uint32_t leaf = 0;
  uint32_t length = 0;                 // 1 to kLeafSize
  Hash128 hash{};
  bool operator==(const SameLeaf&) const = default;
};
struct SameLeaves {
  TransferId transfer{};
  BlockId block;
  std::vector<SameLeaf> leaves;        // 1 to kSameLeavesMax
  bool operator==(const SameLeaves&) const = default;
};

// Takes away a tree, or a file, that was published there with this root and is not in use. TransferClosed answers.
struct RemoveTree {
  TransferId transfer{};               // as of a transfer
  std::string root;
  ObjectName name;                     // not the root itself
  Hash256 tree_root{};
  bool operator==(const RemoveTree&) const = default;
};

// Asks for the roots of which a grant lets the sender list or read something. The answer is that of a list: a directory, and in it one for each.
struct ListRoots {
  TransferId transfer{};               // as of a transfer
  bool operator==(const ListRoots&) const = default;
};

Result<OpenTransfer> parse_open_transfer(Body body);
Result<TransferAccepted> parse_transfer_accepted(Body body);
Result<Needs> parse_needs(Body body);
Result<ManifestEnd> parse_manifest_end(Body body);
Result<ObjectEnds> parse_object_ends(Body body);
Result<TransferRoot> parse_transfer_root(Body body);
Result<BlocksDelivered> parse_blocks_delivered(Body body);
Result<SegmentsRejected> parse_segments_rejected(Body body);
Result<Durable> parse_durable(Body body);
Result<Published> parse_published(Body body);
Result<PublishedAck> parse_published_ack(Body body);
Result<CancelTransfer> parse_cancel_transfer(Body body);
Result<TransferClosed> parse_transfer_closed(Body body);
Result<Progress> parse_progress(Body body);
Result<ObjectsHeld> parse_objects_held(Body body);
Result<BaseLeaves> parse_base_leaves(Body body);
Result<SameLeaves> parse_same_leaves(Body body);
Result<RemoveTree> parse_remove_tree(Body body);
Result<ListRoots> parse_list_roots(Body body);

std::string serialize(const OpenTransfer& message);
std::string serialize(const TransferAccepted& message);
std::string serialize(const Needs& message);
std::string serialize(const ManifestEnd& message);
std::string serialize(const ObjectEnds& message);
std::string serialize(const TransferRoot& message);
std::string serialize(const BlocksDelivered& message);
std::string serialize(const SegmentsRejected& message);
std::string serialize(const Durable& message);
std::string serialize(const Published& message);
std::string serialize(const PublishedAck& message);
std::string serialize(const CancelTransfer& message);
std::string serialize(const TransferClosed& message);
std::string serialize(const Progress& message);
std::string serialize(const ObjectsHeld& message);
std::string serialize(const BaseLeaves& message);
std::string serialize(const SameLeaves& message);
std::string serialize(const RemoveTree& message);
std::string serialize(const ListRoots& message);

}  // namespace tideway::messages
