// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_pair.h"

#include "congestion/registry.h"
#include "support/fixed_controller.h"

#include <algorithm>
#include <cstring>

namespace tideway::test {
namespace {

using flow::Flow;
using flow::Lane;

constexpr LaneId kPairLane{5};
constexpr size_t kSenderBuffers = 128;        // besides those the other end may fill
constexpr size_t kStepsAtOneTime = 20'000;    // more without time going on is a loop that never sleeps

uint64_t word_of(BlockKey key, size_t i) {
  return (uint64_t{key.slot.value()} << 40 | key.block.value()) * 0x9E3779B97F4A7C15 + i * 0xC2B2AE3D27D4EB4F;
}

void fill(const PackedBlock& block) {
  const auto bytes = block.bytes();
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    const uint64_t word = word_of(block.key, i);
    std::memcpy(bytes.data() + i, &word, 8);
  }
}

bool is_right(const PackedBlock& block) {
  const auto bytes = block.bytes();
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    const uint64_t word = word_of(block.key, i);
    if (std::memcmp(bytes.data() + i, &word, 8) != 0) return false;
  }
  return true;
}

}  // namespace

SimPair::SimPair(const SimPairConfig& config)
    : config_(config), random_(config.seed), keys_(config.seed, config.provider), forger_(config.seed + 1) {
  for (size_t e = 0; e < ends_.size(); ++e) make_end(e);
  add_flows();
  watch_frames();
  give_keys();
}

SimPair::~SimPair() {
  for (End& end : ends_) end.lane.reset();
}

void SimPair::make_end(size_t e) {
  End& end = ends_[e];
  end.pool = BufferPool::create(static_cast<uint32_t>(config_.credit_blocks + kSenderBuffers)).value();
  end.table = std::make_unique<flow::FlowTable>(static_cast<uint8_t>(e + 1));
  end.lane = std::make_unique<Lane>(
      flow::CreditConfig{.lane = kPairLane, .unit = kBufferSize, .blocks_given_max = config_.credit_blocks}, *end.pool,
      *end.table);
  end.moves.resize(config_.flows);
  end.rooms_at.resize(config_.flows);
  end.addresses.resize(config_.flows);
  for (size_t f = 0; f < config_.flows; ++f) {
    const auto own = config_.link_of.find(f);
    const bool is_shared = f > 0 && config_.paths == SimPairConfig::Paths::kShared;
    end.links.push_back(is_shared ? end.links[0]
                                  : std::make_shared<SimLink>(now_, own == config_.link_of.end() ? config_.link : own->second, random_.next()));
  }
}

std::unique_ptr<CongestionController> SimPair::make_controller(size_t e, size_t f) {
  const Rate rate = ends_[e].links[f]->config().rate * 0.95;
  if (config_.controller.empty()) return std::make_unique<FixedController>(config_.window, rate);
  congestion::ControllerConfig made;
  made.window_initial = Bytes((256 << 10) / config_.flows);
  made.rtt_initial = 2 * config_.link.delay;
  made.rate_contracted = rate * static_cast<double>(config_.flows);
  if (e == 0) made.rate_remembered = config_.rate_remembered * (1.0 / static_cast<double>(config_.flows));
  made.flows = static_cast<uint32_t>(config_.flows);
  made.seed = random_.next();
  return congestion::find_controller(config_.controller, made.rate_contracted).value().make(made);
}

void SimPair::add_flows() {
  for (size_t f = 0; f < config_.flows; ++f) {
    std::array<ConnectionId, 2> ids;
    for (size_t e = 0; e < ends_.size(); ++e) ids[e] = ends_[e].table->reserve(random_.next()).value();
    for (size_t e = 0; e < ends_.size(); ++e) {
      flow::FlowConfig made;
      made.id = FlowId(static_cast<uint16_t>(10 + f));
      made.local = ids[e];
      made.remote = ids[1 - e];
      made.first_packet_number = random_.next() >> 32;
      made.challenge_seed = random_.next();
      made.mtu_max = config_.mtu_max;
      made.rtt_initial = 2 * config_.link.delay;
      made.peer = endpoint(1 - e, f);
      made.replay_bits = flow::AckRanges::kBitsMin;
      made.key_limits = config_.key_limits;
      if (e == 1) made.address = config_.address;  // who dials knows from TCP where the other one is
      ends_[e].lane->add_flow(now_, made, make_controller(e, f));
      ends_[e].addresses[f].start(made.peer, made.address == flow::FlowConfig::Address::kProven);
    }
  }
}

void SimPair::give_keys() {
  for (size_t e = 0; e < ends_.size(); ++e) {
    if (!ends_[e].lane) continue;
    for (size_t f = 0; f < ends_[e].lane->flows().size(); ++f) {
      Flow& flow = *ends_[e].lane->flows()[f];
      while (flow.needs_send_key())
        flow.install_send_key(flow.next_send_key(), keys_.sealing({e, f}, flow.next_send_key()));
      while (flow.needs_receive_key())
        flow.install_receive_key(flow.next_receive_key(), keys_.opening({1 - e, f}, flow.next_receive_key()));
    }
  }
}

// Challenges are sealed by who sends the way, responses arrive at its other end.
void SimPair::watch_frames() {
  keys_.on_sealed = [this](SimWay way, std::span<const std::byte> plain) {
    ends_[way.from].addresses[way.flow].on_sealed(plain);
  };
  keys_.on_opened = [this](SimWay way, std::span<const std::byte> plain) {
    ends_[1 - way.from].addresses[way.flow].on_opened(plain);
  };
}

bool SimPair::has_proven(size_t end, size_t flow, const Endpoint& address) const {
  return ends_[end].addresses[flow].was_proven(address);
}

// ---- transfers -----------------------------------------------------------------------------------------------------

void SimPair::open(const SimTransfer& spec) {
  Lane& to = *ends_[1 - spec.from].lane;
  if (const Status opened = to.open_receiving(spec.slot); !opened.ok()) return fail(opened.error().what);
  ends_[spec.from].lane->open_sending(spec.slot, to.credit_given(spec.slot));
  transfers_[spec.slot.value()].spec = spec;
  events_.push({now_, turn_++, [] {}});  // its first blocks are offered now, not at the next deadline
}

void SimPair::close(SlotId slot) {
  Transfer& transfer = transfers_.at(slot.value());
  transfer.is_open = false;
  transfer.waiting.buffer.reset();
  Lane* const from = ends_[transfer.spec.from].lane.get();
  Lane* const to = ends_[1 - transfer.spec.from].lane.get();
  if (from != nullptr) from->close_sending(slot);
  if (to != nullptr) to->close_receiving(slot);
  for (Buffer& buffer : transfer.stuck) {
    buffer.reset();
    if (to != nullptr) to->on_buffer_free(slot);
  }
  transfer.stuck.clear();
}

void SimPair::abandon_under_way(SlotId slot, size_t count) {
  Transfer& transfer = transfers_.at(slot.value());
  while (count-- > 0 && !transfer.under_way.empty()) {
    const uint32_t block = *transfer.under_way.begin();
    ends_[transfer.spec.from].lane->abandon({slot, BlockId(block)});
    transfer.under_way.erase(block);
    transfer.abandoned.insert(block);
  }
}

void SimPair::send_blocks(Transfer& transfer) {
  End& end = ends_[transfer.spec.from];
  if (!transfer.is_open || !end.lane) return;
  while (end.lane->unsent_bytes() < config_.unsent_max) {
    if (transfer.waiting.buffer.is_empty()) {
      if (transfer.next == transfer.spec.blocks) return;
      Buffer buffer = end.pool->free() > config_.credit_blocks ? end.pool->take() : Buffer();
      if (buffer.is_empty()) return;
      const auto head = static_cast<uint8_t>(1 + transfer.next % 3);
      transfer.waiting = {.key = {transfer.spec.slot, BlockId(transfer.next++)},
                          .head_units = head,
                          .length = transfer.spec.length + head * static_cast<uint32_t>(kHeadUnit),
                          .buffer = std::move(buffer)};
      fill(transfer.waiting);
    }
    const uint32_t block = transfer.waiting.key.block.value();
    transfer.started_max = std::max(transfer.started_max, ends_[1 - transfer.spec.from].lane
                                        ? ends_[1 - transfer.spec.from].lane->credit_given(transfer.spec.slot).count() / kBufferSize
                                        : 0);
    if (!end.lane->offer(std::move(transfer.waiting))) return;
    transfer.under_way.insert(block);
    if (++transfer.started > transfer.started_max) fail("a block was started without credit");
  }
}

void SimPair::receive_blocks(size_t e) {
  Lane* const lane = ends_[e].lane.get();
  if (lane == nullptr) return;
  while (const auto done = lane->take_done()) {
    Transfer& transfer = transfers_.at(done->slot.value());
    transfer.under_way.erase(done->block.value());
    if (!transfer.done.insert(done->block.value()).second) fail("a block was done twice");
  }
  while (auto block = lane->take_complete()) store(e, std::move(*block));
}

void SimPair::store(size_t e, PackedBlock block) {
  Transfer& transfer = transfers_.at(block.key.slot.value());
  if (block.length != transfer.spec.length + block.head_units * kHeadUnit) return fail("a block has a wrong length");
  if (!is_right(block)) return fail("a block has wrong bytes");
  if (transfer.spec.store == SimTransfer::Store::kStuck) {
    transfer.stuck.push_back(std::move(block.buffer));
    return;
  }
  storing_.push_back({now_ + transfer.spec.store_delay, e, std::move(block)});
}

void SimPair::finish_storing() {
  for (Storing& storing : storing_) {
    if (storing.done_at > now_) continue;
    const BlockKey key = storing.block.key;
    if (!transfers_.at(key.slot.value()).stored.insert(key.block.value()).second) fail("a block was delivered twice");
    storing.block.buffer.reset();
    if (ends_[storing.end].lane) ends_[storing.end].lane->on_buffer_free(key.slot);
  }
  std::erase_if(storing_, [](const Storing& storing) { return storing.block.buffer.is_empty(); });
}

bool SimPair::is_done(const Transfer& transfer) const {
  return transfer.next == transfer.spec.blocks && transfer.waiting.buffer.is_empty() && transfer.under_way.empty() &&
         transfer.done.size() + transfer.abandoned.size() == transfer.spec.blocks &&
         std::includes(transfer.stored.begin(), transfer.stored.end(), transfer.done.begin(), transfer.done.end());
}

bool SimPair::is_home() const {
  return std::all_of(ends_.begin(), ends_.end(), [](const End& end) { return end.pool->free() == end.pool->size(); });
}

// ---- faults --------------------------------------------------------------------------------------------------------

void SimPair::set_flow_dead(size_t flow, bool is_dead) {
  for (End& end : ends_) end.links[flow]->set_dead(is_dead);
}

void SimPair::set_mtu(size_t flow, Bytes mtu) {
  for (End& end : ends_) end.links[flow]->set_mtu(mtu);
}

void SimPair::set_detour(size_t flow, Duration more) {
  for (End& end : ends_) end.links[flow]->set_detour(more);
}

void SimPair::rebind(size_t end, size_t flow) { ++ends_[end].moves[flow]; }

// ---- time ----------------------------------------------------------------------------------------------------------

void SimPair::at(Duration when, std::function<void()> event) {
  events_.push({Time() + when, turn_++, std::move(event)});
}

bool SimPair::run_until_done(const std::vector<SlotId>& slots, Duration at_most) {
  const Time end = now_ + at_most;
  while (now_ < end && problem_.empty()) {
    if (std::all_of(slots.begin(), slots.end(), [this](SlotId slot) { return is_done(transfers_.at(slot.value())); }))
      return true;
    step();
  }
  if (problem_.empty()) fail("the time is over");
  return false;
}

bool SimPair::run_for(Duration length) {
  const Time end = now_ + length;
  events_.push({end, turn_++, [] {}});
  while (now_ < end && problem_.empty()) step();
  return problem_.empty();
}

// A flow that waits for rooms has had its timers fired; what it has to send is not due before the rooms are there.
Time SimPair::next_deadline(const End& end) const {
  const Time at = end.lane->next_deadline();
  if (at > now_) return at;
  Time next = kNever;
  for (size_t f = 0; f < end.rooms_at.size(); ++f) {
    const Time due = end.lane->flows()[f]->next_deadline();
    next = std::min(next, due <= now_ ? std::max(due, end.rooms_at[f]) : due);
  }
  return next;
}

Time SimPair::next_time() const {
  Time next = ends_[0].lane ? turn_at(std::max(now_, gate_at_), config_.run_every) : kNever;
  for (const End& end : ends_) {
    if (end.lane) next = std::min(next, turn_at(std::max(now_, next_deadline(end)), config_.run_every));
  }
  if (!wire_.empty()) next = std::min(next, wire_.top().at);
  if (!events_.empty()) next = std::min(next, events_.top().at);
  for (const Storing& storing : storing_) next = std::min(next, storing.done_at);
  return next;
}

void SimPair::step() {
  const Time before = now_;
  now_ = std::max(now_, next_time());
  if (now_ == kNever) return fail("nothing will ever happen again");
  steps_at_now_ = now_ == before ? steps_at_now_ + 1 : 0;
  if (steps_at_now_ > kStepsAtOneTime) return fail("time stands still: a deadline is always due");
  run_events();
  give_keys();
  deliver();
  for (size_t e = 0; e < ends_.size(); ++e) receive_blocks(e);
  finish_storing();
  check_watches();
  for (auto& [slot, transfer] : transfers_) send_blocks(transfer);
  const size_t first = random_.below(2);
  for (size_t i = 0; i < ends_.size(); ++i) poll((first + i) % 2);
  check();
}

void SimPair::run_events() {
  while (!events_.empty() && events_.top().at <= now_) {
    const auto run = events_.top().run;
    events_.pop();
    run();
  }
}

}  // namespace tideway::test
