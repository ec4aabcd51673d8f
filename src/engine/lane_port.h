// SPDX-License-Identifier: Apache-2.0
//
// A lane as the net worker sees it: the pure lane, plus what ties it to this host: paths, packets the backend did not
// take yet, blocks that wait for credit, and the ceiling on what we send, which its flows share.
// Thread: net worker.
#pragma once
#include "engine/board.h"
#include "engine/commands.h"
#include "engine/lane_gate.h"
#include "base/spsc_ring.h"
#include "flow/lane.h"
#include <tideway/packet_io.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace tideway::engine {

class LanePort {
 public:
  // What the lane stands on is the worker's and outlives it.
  struct Ground { BufferPool& pool; flow::FlowTable& table; flow::CreditPool& credit; };
  // Which gate stands before it: set once, before it sends.
  void put_gate(Time now, Gates& gates, size_t link, size_t net_worker) { gate_.emplace(now, gates, link, net_worker); }
  LanePort(Time now, const OpenLane& open, const Ground& ground);

  void add_flow(Time now, OpenFlow&& open, PathId path, std::unique_ptr<CongestionController> controller);
  Status open_slot(const OpenSlot& open);  // errors: overloaded, protocol_error (in use)
  void close_slot(const CloseSlot& close);
  void take_block(BlockToSend&& block);
  void on_buffer_free(const BufferFreed& freed);

  // The lane's own ceiling on what it sends, in bytes as the link is charged for them; and what its gate lets through all the same
  // while a training communicates.
  void set_ceiling(Rate ceiling, Rate in_bursts);
  // How much of a shared rate it could use, judged by what it sent since the last deal(); and its share until the next.
  Rate wanted_rate(Time now) const;
  // `of_link` is its share of what its link's lanes may send together, as Ethernet is charged for full packets; acks and what else
  // is smaller costs it a little more. Unlimited: nobody says.
  void deal(Time now, Rate share, Rate of_link = Rate::unlimited());
  // What it would be given at least if it wanted all: more than its share where it uses little.
  void tell_allowed(Rate rate) { board_->rate_allowed.set(std::min(rate, ceiling_).bytes_per_second()); }

  // Moves waiting blocks into the lane, one transfer after the other, as far as credit goes.
  bool start_blocks(LaneHandle handle, SpscRing<BlockNotice>& notices);
  Delivery delivery() const { return delivery_; }
  std::optional<size_t> link() const { return gate_ ? std::optional(gate_->link()) : std::nullopt; }
  std::optional<PathId> path_of(FlowId flow) const;
  std::vector<PathId> paths() const;

  // One turn of every flow. True: something was sent.
  bool transmit(Time now, PacketIo& io);
  Time next_deadline(Time now) const;
  bool has_unsent() const;  // packets that the backend did not take
  void tell_board();
  void close(Time now, PacketIo& io);  // with a word to the peer
  void drop(PacketIo& io);             // without

  flow::Lane& lane() { return lane_; }
  size_t flows() const { return ports_.size(); }
  TransferHandle transfer_of(SlotId slot, OpenSlot::Role role) const;
  block::LeafHashes hashes_of(SlotId receiving) const;
  void install(InstallKey&& install);
  std::vector<KeyWanted> take_wanted_keys(LaneHandle handle);  // each key once
  // Why the lane is of no use any more; told once.
  std::optional<Error> take_death(Time now);

 private:
  struct Port {
    FlowId id;
    flow::Flow* flow;
    Endpoint local, remote;
    PathId path;
    std::array<Packet, kBurstMax> unsent;  // from `first` on
    size_t first = 0, count = 0;
    uint64_t send_key_asked = 0, receive_key_asked = 0;
    uint64_t bytes_at_deal = 0;    // sent by then
    Rate share = Rate::unlimited();  // since then
  };
  struct Sending {
    TransferHandle transfer;
    std::deque<PackedBlock> waiting;  // bounded by the transfer's share of buffers
    bool is_held = false;             // the first of them has waited for credit
    Account account = Account::kOther;
  };
  struct Receiving {
    TransferHandle transfer;
    size_t lanes = 1;  // that it uses
    block::LeafHashes hashes = block::LeafHashes::kCompared;
  };
  bool flush(Port& port, PacketIo& io);
  bool write(Time now, Port& port, PacketIo& io);
  void follow_peer(Port& port, PacketIo& io);
  Rate wanted_rate(Time now, const Port& port) const;
  double payload_share() const;
  bool is_gate_open() const { return !gate_ || gate_->is_open(); }

  flow::Lane lane_;
  std::shared_ptr<LaneBoard> board_;
  const Delivery delivery_;
  const Dscp dscp_;
  const Time opened_at_;
  bool has_been_open_ = false, death_told_ = false;
  Rate ceiling_ = Rate::unlimited();
  std::optional<LaneGate> gate_;
  Time dealt_at_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::map<SlotId, Sending> sending_;
  std::map<SlotId, Receiving> receiving_;
  SlotId last_started_;
};

}  // namespace tideway::engine
