// SPDX-License-Identifier: Apache-2.0
#include "flow/lane.h"

#include <tideway/check.h>

#include <algorithm>

namespace tideway::flow {
namespace {

bool is_usable(const Flow& flow) { return flow.state() != FlowState::kDead && flow.state() != FlowState::kClosed; }

// How much use a flow in this state is, for the best state of a lane.
int rank(FlowState state) {
  switch (state) {
    case FlowState::kOpen: return 4;
    case FlowState::kProbing: return 3;
    case FlowState::kResting: return 2;
    case FlowState::kDead: return 1;
    case FlowState::kClosed: return 0;
  }
  return 0;
}

// The smaller one; zero means not measured.
Duration min_measured(Duration a, Duration b) {
  if (a == Duration{} || b == Duration{}) return std::max(a, b);
  return std::min(a, b);
}

void add(FlowStats& sum, const FlowStats& flow) {
  for (uint64_t FlowStats::*counter :
       {&FlowStats::packets_sent, &FlowStats::bytes_sent, &FlowStats::packets_received,
        &FlowStats::bytes_received, &FlowStats::packets_lost, &FlowStats::packets_spurious,
        &FlowStats::packets_duplicate, &FlowStats::probe_timeouts, &FlowStats::dropped_auth,
        &FlowStats::dropped_replay, &FlowStats::dropped_refused, &FlowStats::dropped_malformed,
        &FlowStats::key_changes})
    sum.*counter += flow.*counter;
  sum.rtt_smoothed = min_measured(sum.rtt_smoothed, flow.rtt_smoothed);
  sum.rtt_min = min_measured(sum.rtt_min, flow.rtt_min);
  sum.path_mtu = sum.path_mtu == Bytes() ? flow.path_mtu : std::min(sum.path_mtu, flow.path_mtu);
  sum.in_flight += flow.in_flight;
  sum.window += flow.window;
  sum.delivery_rate = sum.delivery_rate + flow.delivery_rate;
  sum.pacing_rate = sum.pacing_rate + flow.pacing_rate;
  if (rank(flow.state) > rank(sum.state)) sum.state = flow.state;
}

}  // namespace

Lane::Lane(const CreditConfig& config, BufferPool& pool, FlowTable& table)
    : config_(config), table_(table), reassembler_({.blocks_max = config.blocks_given_max}, pool), credit_(config) {
  flows_.reserve(kFlowsMax);
  bound_.reserve(kFlowsMax);
}

Lane::~Lane() {
  for (const Bound& bound : bound_) table_.release(bound.local);
}

// ---- flows ---------------------------------------------------------------------------------------------------------

Flow& Lane::add_flow(Time now, const FlowConfig& config, std::unique_ptr<CongestionController> controller) {
  TIDEWAY_CHECK(flows_.size() < kFlowsMax);
  const LaneParts parts{window_, reassembler_, credit_, trains_};
  flows_.push_back(std::make_unique<Flow>(now, config, std::move(controller), parts));
  bound_.push_back({config.id, config.local});
  table_.bind(config.local, *this, *flows_.back());
  flowless_since_ = dies_at_ = kNever;
  return *flows_.back();
}

void Lane::remove_flow(Time now, FlowId flow) {
  const auto at = std::find_if(bound_.begin(), bound_.end(), [flow](const Bound& bound) { return bound.id == flow; });
  if (at == bound_.end()) return;
  table_.release(at->local);
  const auto gone = flows_.begin() + (at - bound_.begin());
  if ((*gone)->state() != FlowState::kClosed) (*gone)->close(now);
  flows_.erase(gone);
  bound_.erase(at);
}

bool Lane::has_usable_flow() const {
  return std::any_of(flows_.begin(), flows_.end(), [](const auto& flow) { return is_usable(*flow); });
}

bool Lane::has_protocol_error() const {
  return std::any_of(flows_.begin(), flows_.end(), [](const auto& flow) { return flow->has_protocol_error(); });
}

void Lane::on_burst(Time now, Flow& flow, std::span<const Packet> packets) {
  flow.on_burst(now, packets);
  settle_credit();
}

void Lane::on_turn(Time now) {
  if (has_usable_flow() || flows_.empty()) flowless_since_ = dies_at_ = kNever;
  else if (flowless_since_ == kNever) dies_at_ = (flowless_since_ = now) + kDeadAfter;
  else if (now >= dies_at_) dies_at_ = kNever;  // it has, and nobody needs to be woken for it again
  if (now < recall_at_) return;
  recall_at_ = now + kRecallPeriod;
  if (const Duration rtt = rtt_longest(); rtt != Duration{}) credit_.recall_unused(now, rtt);
}

Duration Lane::rtt_longest() const {
  Duration rtt{};
  for (const auto& flow : flows_) rtt = std::max(rtt, flow->rtt());
  return rtt;
}

Time Lane::next_deadline() const {
  Time at = dies_at_;
  for (const auto& flow : flows_) at = std::min(at, flow->next_deadline());
  return at;
}

bool Lane::is_dead(Time now) const { return flowless_since_ != kNever && now >= flowless_since_ + kDeadAfter; }

// ---- receiving -----------------------------------------------------------------------------------------------------

// What the packets of a burst did to the credit of their slots. The reassembler hears of every rise before a frame can
// tell the peer.
void Lane::settle_credit() {
  while (const auto slot = reassembler_.take_started()) credit_.on_block_started(*slot);
  while (const auto key = credit_.take_abandoned()) {
    const bool is_free = reassembler_.abandon(*key);
    while (const auto slot = reassembler_.take_started()) credit_.on_block_started(*slot);
    if (is_free) credit_.on_buffer_free(key->slot);
  }
  if (credit_.generation() == credit_seen_) return;
  credit_seen_ = credit_.generation();
  for (const SlotId slot : receiving_) reassembler_.on_credit(slot, credit_.blocks_allowed(slot));
}

Status Lane::open_receiving(SlotId slot, uint64_t blocks_ceiling) {
  if (auto status = credit_.open_receiving(slot, blocks_ceiling); !status.ok()) return status;
  reassembler_.open_slot(slot);
  receiving_.push_back(slot);
  settle_credit();
  return success();
}

Bytes Lane::credit_given(SlotId slot) const { return Bytes(credit_.blocks_allowed(slot) * config_.unit); }

void Lane::close_receiving(SlotId slot) {
  if (std::erase(receiving_, slot) == 0) return;
  settle_credit();
  const size_t freed = reassembler_.close_slot(slot);
  credit_.close_receiving(slot);
  for (size_t i = 0; i < freed; ++i) credit_.on_buffer_free(slot);
}

std::optional<PackedBlock> Lane::take_complete() { return reassembler_.take_complete(); }

void Lane::on_buffer_free(SlotId slot) {
  credit_.on_buffer_free(slot);
  settle_credit();
}

// ---- sending -------------------------------------------------------------------------------------------------------

void Lane::open_sending(SlotId slot, Bytes credit) { credit_.open_sending(slot, credit.count()); }

void Lane::close_sending(SlotId slot) {
  window_.abandon_slot(slot);
  credit_.close_sending(slot);
}

bool Lane::offer(PackedBlock&& block) {
  if (window_.is_full() || !credit_.try_start(block.key.slot)) return false;
  return window_.offer(std::move(block));
}

void Lane::abandon(BlockKey key) {
  if (window_.abandon(key)) credit_.abandon_started(key);
}

std::optional<BlockKey> Lane::take_done() { return window_.take_done(); }

std::optional<PackedBlock> Lane::take_back(Time now) {
  TIDEWAY_CHECK(is_dead(now));
  return window_.take_back();
}

LaneStats Lane::stats() const {
  LaneStats stats;
  stats.flows.state = FlowState::kClosed;
  for (const auto& flow : flows_) {
    add(stats.flows, flow->stats());
    if (is_usable(*flow)) ++stats.flows_usable;
  }
  stats.credit = credit_.stats();
  stats.blocks_sending = window_.blocks();
  stats.blocks_receiving = reassembler_.partial_blocks();
  stats.unacked_bytes = window_.unacked_bytes();
  return stats;
}

}  // namespace tideway::flow
