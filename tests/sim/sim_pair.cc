// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_pair.h"

#include <algorithm>
#include <cstring>

namespace tideway::test {
namespace {

using flow::Flow;
using flow::Lane;

constexpr LaneId kLane{5};
constexpr size_t kSenderBuffers = 128;        // besides those the other end may fill
constexpr size_t kStepsAtOneTime = 20'000;    // more without time going on is a loop that never sleeps
constexpr size_t kConnectionIdAt = 4;

Endpoint endpoint(size_t end, size_t flow) {
  Endpoint made;
  made.address[10] = made.address[11] = std::byte{0xFF};
  made.address[12] = std::byte{10};
  made.address[15] = static_cast<std::byte>(1 + end);
  made.port = static_cast<uint16_t>(7000 + flow);
  return made;
}

uint64_t word_of(BlockKey key, size_t i) {
  return (uint64_t{key.slot.value()} << 40 | key.block.value()) * 0x9E3779B97F4A7C15 + i * 0xC2B2AE3D27D4EB4F;
}

}  // namespace

SimPair::SimPair(const SimPairConfig& config) : config_(config), random_(config.seed), dead_(config.flows) {
  for (size_t e = 0; e < ends_.size(); ++e) {
    End& end = ends_[e];
    end.pool = BufferPool::create(static_cast<uint32_t>(config.credit_blocks + kSenderBuffers)).value();
    end.table = std::make_unique<flow::FlowTable>(static_cast<uint8_t>(e + 1));
    end.lane = std::make_unique<Lane>(
        flow::CreditConfig{.lane = kLane, .unit = kBufferSize, .blocks_given_max = config.credit_blocks}, *end.pool,
        *end.table);
    for (size_t f = 0; f < config.flows; ++f) {
      const auto own = config.link_of.find(f);
      end.links.push_back(std::make_unique<wan::LinkModel>(
          now_, own == config.link_of.end() ? config.link : own->second, random_.next()));
    }
  }
  add_flows();
  give_keys();
}

SimPair::~SimPair() {
  for (End& end : ends_) end.lane.reset();
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
      made.mtu_max = 1500_B;
      made.rtt_initial = 2 * config_.link.delay;
      made.peer = endpoint(1 - e, f);
      made.replay_bits = flow::AckRanges::kBitsMin * 8;
      const Rate rate = ends_[e].links[f]->config().rate * 0.95;
      ends_[e].lane->add_flow(now_, made, std::make_unique<FixedController>(config_.window, rate));
    }
  }
}

void SimPair::give_keys() {
  for (size_t e = 0; e < ends_.size(); ++e) {
    if (!ends_[e].lane) continue;
    for (size_t f = 0; f < ends_[e].lane->flows().size(); ++f) {
      Flow& flow = *ends_[e].lane->flows()[f];
      const auto key = [&](size_t from, KeyEpoch epoch) {
        return std::make_unique<TestAead>(config_.seed * 77 + from * 0x10001 + f * 0x100003 +
                                          epoch.value() * 0x9000000007 + 1);
      };
      while (flow.needs_send_key()) flow.install_send_key(flow.next_send_key(), key(e, flow.next_send_key()));
      while (flow.needs_receive_key())
        flow.install_receive_key(flow.next_receive_key(), key(1 - e, flow.next_receive_key()));
    }
  }
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

void SimPair::fill(const PackedBlock& block) const {
  const auto bytes = block.bytes();
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    const uint64_t word = word_of(block.key, i);
    std::memcpy(bytes.data() + i, &word, 8);
  }
}

bool SimPair::is_right(const PackedBlock& block) const {
  const auto bytes = block.bytes();
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    const uint64_t word = word_of(block.key, i);
    if (std::memcmp(bytes.data() + i, &word, 8) != 0) return false;
  }
  return true;
}

void SimPair::send_blocks(Transfer& transfer) {
  End& end = ends_[transfer.spec.from];
  if (!transfer.is_open || !end.lane) return;
  for (;;) {
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
    if (!end.lane->offer(std::move(transfer.waiting))) return;
    transfer.under_way.insert(block);
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

Time SimPair::next_time() const {
  Time next = kNever;
  for (const End& end : ends_)
    if (end.lane) next = std::min(next, end.lane->next_deadline());
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
  for (auto& [slot, transfer] : transfers_) send_blocks(transfer);
  for (size_t e = 0; e < ends_.size(); ++e) poll(e);
  check();
}

void SimPair::run_events() {
  while (!events_.empty() && events_.top().at <= now_) {
    const auto run = events_.top().run;
    events_.pop();
    run();
  }
}

// ---- packets -------------------------------------------------------------------------------------------------------

void SimPair::deliver() {
  std::array<std::vector<InFlight>, 2> arrived;
  while (!wire_.empty() && wire_.top().at <= now_) {
    arrived[wire_.top().to].push_back(wire_.top());
    wire_.pop();
  }
  for (size_t e = 0; e < arrived.size(); ++e) {
    for (size_t first = 0; first < arrived[e].size(); first += kBurstMax) {
      std::vector<Packet> burst(std::min(kBurstMax, arrived[e].size() - first));
      for (size_t i = 0; i < burst.size(); ++i) {
        burst[i].bytes = arrived[e][first + i].bytes;
        burst[i].from = endpoint(1 - e, arrived[e][first + i].flow);
      }
      ends_[e].table->dispatch(now_, burst);
    }
  }
}

void SimPair::poll(size_t e) {
  if (!ends_[e].lane) return;
  ends_[e].lane->on_turn(now_);
  for (size_t f = 0; f < ends_[e].lane->flows().size(); ++f) {
    Flow& flow = *ends_[e].lane->flows()[f];
    const size_t wanted = flow.packets_wanted(now_);
    if (rooms_.size() < wanted) rooms_.resize(wanted);
    std::vector<Packet> packets(wanted);
    for (size_t i = 0; i < wanted; ++i) {
      rooms_[i].resize(flow.room_size().count());
      packets[i].bytes = rooms_[i];
    }
    const size_t written = flow.write_burst(now_, packets);
    for (size_t i = 0; i < written; ++i) transmit(e, f, packets[i].bytes);
  }
}

void SimPair::transmit(size_t e, size_t f, std::span<const std::byte> bytes) {
  if (dead_[f]) return;
  const wan::Fate fate = ends_[e].links[f]->offer(now_, Bytes(bytes.size() + 28) + wan::kEthernetHeader);
  if (fate.dropped) return;
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  if (fate.flip) wan::flip_bits(copy, *fate.flip);
  for (int n = 0; n < fate.copies; ++n) wire_.push({fate.deliver_at, turn_++, 1 - e, f, copy});
  if (!random_.happens(config_.stray)) return;
  copy[kConnectionIdAt + random_.below(8)] ^= std::byte{1};
  wire_.push({fate.deliver_at, turn_++, 1 - e, f, std::move(copy)});
}

void SimPair::check() {
  for (const End& end : ends_) {
    if (!end.lane) continue;
    if (end.lane->has_protocol_error()) fail("a flow saw a protocol error");
    const flow::LaneStats stats = end.lane->stats();
    if (stats.credit.blocks_promised > config_.credit_blocks) fail("more was promised than there is");
    if (stats.blocks_receiving > config_.credit_blocks) fail("more partial blocks than credit");
  }
}

}  // namespace tideway::test
