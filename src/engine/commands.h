// SPDX-License-Identifier: Apache-2.0
//
// What the threads of an engine say to each other: plain values in bounded rings, never pointers into each other's
// state (a key or a buffer moves with its message). Reading these structs tells which thread does what.
#pragma once
#include "block/effort.h"
#include "block/raw_block.h"
#include "block/unpack.h"
#include "engine/board.h"
#include "flow/flow.h"
#include "mem/packed_block.h"
#include "packet_io/byte_stream.h"
#include "messages/transfer_messages.h"
#include "storage/rooted_dir.h"
#include "storage/scan.h"
#include "transfer/ledger.h"
#include "transfer/receiver.h"
#include <tideway/ids.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

namespace tideway::engine {

// Lanes and transfers of all sessions of this gateway; none is used twice at a time.
using LaneHandle = Id<struct LaneHandleTag, uint32_t>;
using TransferHandle = Id<struct TransferHandleTag, uint32_t>;

// A lane lives and dies at one net worker, whose index its handle carries.
inline constexpr uint32_t kLaneSerialBits = 26;  // what is left carries kNetWorkersMax workers
constexpr LaneHandle lane_handle(uint32_t net_worker, uint32_t serial) {
  return LaneHandle(net_worker << kLaneSerialBits | (serial & ((1U << kLaneSerialBits) - 1)));
}
constexpr uint32_t net_worker_of(LaneHandle lane) { return lane.value() >> kLaneSerialBits; }

// ---- control → net -------------------------------------------------------------------------------------------------

// Opens receive-only paths and reserves a connection id for each, so that both can be told to the peer. A port of 0
// lets the kernel pick. `random` goes into the connection id.
struct BindPorts {
  uint32_t net_worker = 0;  // of the lane to be
  uint32_t request = 0;
  struct Port { Endpoint local; uint64_t random = 0; };
  std::vector<Port> ports;
  Delivery delivery = Delivery::kDatagram;  // kStream: only the connection ids are reserved
};
struct DropPorts {  // no lane will use them
  uint32_t net_worker = 0;
  uint32_t request = 0;
};

enum class KeyDirection : uint8_t { kSend, kReceive };

struct OpenFlow {
  flow::FlowConfig config;
  Endpoint local;  // bound before
  std::unique_ptr<Aead> send_keys[2], receive_keys[2];  // key epochs 0 and 1
};

struct OpenLane {
  LaneHandle lane;
  uint32_t ports = 0;       // the request that bound its ports
  LaneId id;
  uint64_t credit_unit = 0;
  size_t flows_of_session = 0;       // those of its other lanes, too, which share the path with these
  Rate rate_remembered;              // of the session, from an earlier one; zero: unknown
  std::optional<size_t> link;        // whose gate stands before it; none: it is always open
  Dscp dscp = Dscp::kLowerEffort;    // of its packets, unless its link says else
  std::shared_ptr<LaneBoard> board;  // the engine fills it in
  Delivery delivery = Delivery::kDatagram;
  std::vector<OpenFlow> flows;
};

// A transfer starts to use a lane.
struct OpenSlot {
  enum class Role : uint8_t { kSending, kReceiving } role = Role::kSending;
  LaneHandle lane;
  SlotId slot;
  TransferHandle transfer;
  uint64_t credit_bytes = 0;  // sending: the start credit of TransferAccepted
  size_t lanes = 1;           // that it uses; what credit it may hold is divided among them
  block::LeafHashes hashes = block::LeafHashes::kCompared;  // receiving: whether its leaves are hashed again
  Account account = Account::kOther;                        // sending: on which what leaves is counted
};
struct CloseSlot {
  OpenSlot::Role role = OpenSlot::Role::kSending;
  LaneHandle lane;
  SlotId slot;
};

// The connection that carries a flow of a lane of streams; it may come any time after the lane was opened.
struct AttachStream {
  LaneHandle lane;
  FlowId flow;
  std::unique_ptr<packet_io::ByteStream> stream;
};

struct InstallKey {
  LaneHandle lane;
  FlowId flow;
  KeyDirection direction = KeyDirection::kSend;
  KeyEpoch epoch;
  std::unique_ptr<Aead> key;
};

struct SetRate {
  LaneHandle lane;
  Rate rate;
  Rate in_bursts;  // while a training holds bulk back; zero: the trickle
};
struct CloseLane {
  LaneHandle lane;
};

using NetCommand = std::variant<BindPorts, DropPorts, OpenLane, OpenSlot, CloseSlot, AttachStream, InstallKey, SetRate, CloseLane>;

// ---- net → control -------------------------------------------------------------------------------------------------

struct BoundPort {
  Endpoint local;
  ConnectionId connection;
};
struct PortsBound {
  uint32_t request = 0;
  Result<std::vector<BoundPort>> ports;
};
struct KeyWanted {
  LaneHandle lane;
  FlowId flow;
  KeyDirection direction = KeyDirection::kSend;
  KeyEpoch epoch;
};
struct LaneDied {
  LaneHandle lane;
  Error why;
};

// A lane is ready to receive a transfer's blocks, as many bytes of them as it says.
struct SlotOpened {
  LaneHandle lane;
  TransferHandle transfer;
  Bytes credit;
};
struct SlotRefused {  // a transfer finds no place in its lane
  TransferHandle transfer;
  Error why;
};

// The device of the packet backend, for good; each net worker says so once.
struct DeviceGone {};
using NetEvent = std::variant<PortsBound, KeyWanted, LaneDied, SlotOpened, SlotRefused, DeviceGone>;

// ---- control → io --------------------------------------------------------------------------------------------------

struct StartSource {
  TransferHandle transfer;
  TransferId id{};
  std::shared_ptr<TransferBoard> board;
  storage::ScanSpec scan;
  messages::TransferOptions options;
  // kManifestOnly: list, dry run. kGrowing: what is still being written, as far as Grown says that it is final; it never ends by itself.
  enum class Content : uint8_t { kWithData, kManifestOnly, kGrowing } content = Content::kWithData;
  // What a sink says to have: taken on its word, or, where the root is to be signed, proven (transfer/sender.h).
  enum class Held : uint8_t { kTaken, kProven } held = Held::kTaken;
};

// Whole leaves of a file below the source that will not change any more, as far as anybody knows: they go ahead (transfer/ahead_name.h).
struct GrownPart {
  ObjectName path;
  uint32_t leaf = 0, leaves = 0;
};
struct Grown {
  TransferHandle transfer;
  std::vector<GrownPart> parts;
};

// The sink took the transfer: blocks may go, in this slot and on any of these lanes.
struct SourceAccepted {
  TransferHandle transfer;
  SlotId slot;
  std::vector<LaneHandle> lanes;
  enum class Needed : uint8_t { kEverything, kPerPage } needed = Needed::kEverything;
};

// Takes away what was published below `root`: docs/trainers.md, retention. TransferDone says what came of it.
struct RemoveTree {
  TransferHandle transfer;
  TransferId id{};                  // names where it goes first
  std::shared_ptr<const storage::RootedDir> root;
  ObjectName name;                  // below `root`
  Hash256 tree_root{};              // as it was published
};

struct RepairOrder;

// One of the transfers that bring parts of one tree from several sources into one staging (engine/gather_path.h). The first one that
// comes says where; EndGather ends it.
using GatherHandle = Id<struct GatherHandleTag, uint32_t>;
struct GatherPart {
  GatherHandle gather;
  uint32_t source = 0, sources = 1;             // below kGatherSourcesMax; how many there are
  std::shared_ptr<GatherBoard> board;
};
struct EndGather {
  GatherHandle gather;
};

struct StartSink {
  TransferHandle transfer;
  TransferId id{};
  std::shared_ptr<TransferBoard> board;
  std::shared_ptr<const storage::RootedDir> root;
  ObjectName destination;                       // below the root
  messages::DestinationForm form = messages::DestinationForm::kAsGiven;
  std::string source_name;                      // last component: what a single file is called inside a directory
  messages::TransferOptions options;
  transfer::ReceiverLimits limits;
  uint32_t modes = 0777;                        // the most that modes of files may be
  StartSource::Content content = StartSource::Content::kWithData;
  std::string owner;                            // the peer whose staging it is; empty: it was asked for here
  std::string peer;                             // who sends it: what one's transfers name ahead of their data counts together; empty: nobody
  TransferId staging{};                         // names what is kept from run to run: id, and for whom
  uint64_t lease_epoch = 0;
  transfer::BootId boot{};                      // of this host
  std::shared_ptr<const RepairOrder> repair;    // set: nothing is published; damaged files of what was are mended
  enum class Base : uint8_t { kNone, kSibling } base = Base::kNone;  // what of an earlier checkpoint beside it need not be sent again
  TransferId ahead{};                           // names the staging of what went ahead of it, if anything did
  std::optional<GatherPart> gather = {};        // set: nothing is published, what comes stays in staging
};

using TransferMessage =
    std::variant<messages::ManifestPage, messages::Needs, messages::ManifestEnd, messages::ObjectEnds, messages::TransferRoot,
                 messages::BlocksDelivered, messages::SegmentsRejected, messages::PeerError, messages::ObjectsHeld, messages::BaseLeaves,
                 messages::SameLeaves, messages::Durable>;

struct FromPeer {
  TransferHandle transfer;
  TransferMessage message;
};
struct MessageTaken {  // one ToPeer went into the control channel: the transfer may say one more
  TransferHandle transfer;
};
enum class Leftovers : uint8_t { kKept, kRemoved };
struct EndTransfer {   // over, or given up: forget it
  TransferHandle transfer;
  Leftovers leftovers = Leftovers::kKept;  // of what was not published: another run may go on from there, if there is anything
};

using IoCommand = std::variant<StartSource, SourceAccepted, StartSink, FromPeer, MessageTaken, EndTransfer, RemoveTree, Grown, EndGather>;

// ---- io → control --------------------------------------------------------------------------------------------------

struct ToPeer {
  TransferHandle transfer;
  TransferMessage message;
  // Of a TransferRoot: whether each hash in it was read here, or is that of a tree that was published here. Only then may it be signed.
  enum class Root : uint8_t { kClaimed, kProven } root = Root::kClaimed;
};
struct PeerMessageTaken {  // one FromPeer was digested
  TransferHandle transfer;
};
struct SinkReady {
  TransferHandle transfer;
  SourceAccepted::Needed needed = SourceAccepted::Needed::kEverything;
  messages::PublishForm publish = messages::PublishForm::kRename;
};
struct EntryReported {     // failed or skipped here, or at the peer
  TransferHandle transfer;
  std::string path;        // for display; may be empty when `why` names it
  Error why;
};
struct EntryListed {       // of a transfer that only lists
  TransferHandle transfer;
  ManifestEntry entry;
};
// What a transfer came to. A source is done when it has said everything; its success is the sink's Published.
struct TransferDone {
  struct Outcome { Hash256 root{}; uint64_t entries = 0; Bytes bytes; };
  TransferHandle transfer;
  Result<Outcome> outcome;
};

using IoEvent =
    std::variant<ToPeer, PeerMessageTaken, SinkReady, EntryReported, EntryListed, TransferDone>;

// ---- blocks between net, cpu and io --------------------------------------------------------------------------------

// cpu → net.
struct BlockToSend {
  LaneHandle lane;
  TransferHandle transfer;
  PackedBlock block;
};
// net → cpu.
struct BlockReceived {
  LaneHandle lane;
  TransferHandle transfer;
  PackedBlock block;
  block::LeafHashes hashes = block::LeafHashes::kCompared;
};
// io → cpu.
struct BlockToPack {
  TransferHandle transfer;
  LaneHandle lane;
  block::EffortConfig effort;
  block::Pressure pressure = block::Pressure::kSteady;
  block::RawBlock block;
  std::vector<Hash128> base = {};   // one for each segment, or none: where all agree, the block is not sent
  enum class Use : uint8_t { kSend, kHash } use = Use::kSend;
};
// cpu → io: the hashes of what was packed; the block itself went on to the net worker, unless the sink has all of it, or it was only to
// be hashed.
struct BlockPacked {
  enum class Goes : uint8_t { kOut, kNowhere, kHashed } goes = Goes::kOut;
  TransferHandle transfer;
  LaneHandle lane;
  BlockKey key;
  std::vector<block::Segment> segments;
  uint32_t raw_size = 0, packed_size = 0;
};
// cpu → io.
struct BlockUnpacked {
  LaneHandle lane;
  TransferHandle transfer;
  Result<block::UnpackedBlock> block;
  BlockKey key;
  uint32_t packed_size = 0;
  enum class Behind : uint8_t { kNone, kMore } behind = Behind::kNone;  // waits for this cpu worker
};
// net → io. kStarted: its first packets may leave, so the next one may be read; kStartedLate: it had to wait for credit.
// kAcked: the peer has all of it, and the buffer is home.
struct BlockNotice {
  enum class Kind : uint8_t { kStarted, kStartedLate, kAcked };
  LaneHandle lane;
  TransferHandle transfer;
  BlockId block;
  Kind kind = Kind::kStarted;
};
// io → net: a received block's buffer is home again, and from now on the slot may hold so much credit in all its lanes.
struct BufferFreed {
  LaneHandle lane;
  SlotId slot;
  Bytes credit_max = Bytes::max();
};

}  // namespace tideway::engine
