// SPDX-License-Identifier: Apache-2.0
//
// Everything one net worker here shares with one net worker there for one session: the blocks on their way, the credit
// for them, and the flows that carry them. Any flow carries any range, so a slow one takes less and a dying one loses
// nothing; only when all are dead is the lane dead, and its blocks go to another one.
// Thread: net worker. Pure.
#pragma once
#include "flow/credit.h"
#include "flow/flow.h"
#include "flow/flow_table.h"
#include "flow/reassembler.h"
#include "flow/send_window.h"

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace tideway::flow {

struct LaneStats {
  // Counters, bytes in flight, windows and rates are sums; RTTs and path MTU the smallest; the state is the best.
  FlowStats flows;
  CreditStats credit;
  size_t flows_usable = 0;       // neither dead nor closed
  size_t blocks_sending = 0, blocks_receiving = 0;
  uint64_t unacked_bytes = 0;
};

class Lane {
 public:
  static constexpr size_t kFlowsMax = 64;  // of a session, and so of a lane
  static constexpr Duration kDeadAfter = std::chrono::seconds(1);  // all flows dead for so long
  static constexpr Duration kRecallPeriod = std::chrono::milliseconds(10);  // unused credit is looked for so often

  // The pool and the table outlive the lane.
  Lane(const CreditConfig& config, BufferPool& pool, FlowTable& table);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // `config.local` is reserved in the table and belongs to the lane from now on.
  Flow& add_flow(Time now, const FlowConfig& config, std::unique_ptr<CongestionController> controller);
  // What was in flight on it goes back to the lane. The packets of its id are unknown from now on.
  void remove_flow(Time now, FlowId flow);
  std::span<const std::unique_ptr<Flow>> flows() const { return flows_; }

  // Transfers we receive. Errors: overloaded.
  Status open_receiving(SlotId slot, uint64_t blocks_ceiling = Credit::kNoCeiling);
  Bytes credit_given(SlotId slot) const;  // for TransferAccepted, in this lane
  void close_receiving(SlotId slot);      // partial blocks and finished ones that were not taken go home
  std::optional<PackedBlock> take_complete();
  void on_buffer_free(SlotId slot);       // stored or rejected; also of a slot that is closed by now
  void set_ceiling(SlotId slot, uint64_t blocks) { credit_.set_ceiling(slot, blocks); }  // of the credit it holds

  // Transfers we send.
  void open_sending(SlotId slot, Bytes credit);
  void close_sending(SlotId slot);        // blocks under way go home; the peer closes its side too
  // Starts a block. False: no credit yet, or the window is full; the block stays with the caller.
  bool offer(PackedBlock&& block);
  uint64_t unsent_bytes() const { return window_.unsent_bytes(); }  // of started blocks
  uint64_t unacked_bytes() const { return window_.unacked_bytes(); }  // of them, sent or not
  void abandon(BlockKey key);             // will not be finished; the peer is told. Ignored when it is done or not here
  std::optional<BlockKey> take_done();    // completely acked: the buffer is home
  // Blocks to offer to another lane, once this one is dead. The lane is of no use afterwards.
  std::optional<PackedBlock> take_back(Time now);

  // Packets of one of our flows; the table calls it.
  void on_burst(Time now, Flow& flow, std::span<const Packet> packets);
  // Once per turn of the worker, and at next_deadline().
  void on_turn(Time now);
  Time next_deadline() const;             // of all flows, and of the lane's own death
  bool is_dead(Time now) const;
  bool has_protocol_error() const;        // the session must end
  Duration rtt_longest() const;           // of its flows, smoothed; 0 when none is measured
  LaneStats stats() const;

 private:
  void settle_credit();
  bool has_usable_flow() const;

  CreditConfig config_;
  FlowTable& table_;
  SendWindow window_;
  Reassembler reassembler_;
  Credit credit_;
  LaneTrains trains_;
  struct Bound { FlowId id; ConnectionId local; };
  std::vector<Bound> bound_;                 // same order as flows_
  std::vector<std::unique_ptr<Flow>> flows_;  // after what they refer to
  std::vector<SlotId> receiving_;
  uint64_t credit_seen_ = 0;
  Time recall_at_ = Time::min();
  Time flowless_since_ = kNever;             // no flow is usable since then
  Time dies_at_ = kNever;                    // unless a flow comes back
};

}  // namespace tideway::flow
