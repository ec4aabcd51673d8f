// SPDX-License-Identifier: Apache-2.0
#include "sim/flow_sim.h"

#include <algorithm>

namespace tideway::test {
namespace {

using flow::Flow;
using flow::FlowState;

constexpr SlotId kSlot{3};
constexpr LaneId kLane{0};
constexpr Endpoint endpoint(uint8_t host, uint16_t port) {
  Endpoint made;
  made.address[10] = made.address[11] = std::byte{0xFF};
  made.address[12] = std::byte{10};
  made.address[15] = std::byte{host};
  made.port = port;
  return made;
}
constexpr Endpoint kSecondEnd = endpoint(2, 2000);
constexpr Endpoint kStranger = endpoint(66, 6666);
constexpr size_t kStepsAtOneTime = 20'000;  // more without time going on is a loop that never sleeps
constexpr uint64_t kFlowFirst = 100;

ConnectionId connection_of(size_t end, size_t flow) { return ConnectionId(0xA000 + end * 0x100 + flow); }

}  // namespace

FlowSim::FlowSim(const FlowSimConfig& config)
    : config_(config), random_(config.seed), dead_(config.flows), finished_at_(Time() + std::chrono::hours(1)) {
  make_end(0);
  make_end(1);
  End& to = ends_[1];
  TIDEWAY_CHECK(to.credit->open_receiving(kSlot).ok());
  to.reassembler->open_slot(kSlot);
  to.reassembler->on_credit(kSlot, to.credit->blocks_allowed(kSlot));
  ends_[0].credit->open_sending(kSlot, to.credit->blocks_allowed(kSlot) * kBufferSize);
}

FlowSim::~FlowSim() {
  stored_.clear();
  for (End& end : ends_) {
    end.flows.clear();
    end.window.reset();
    end.reassembler.reset();
  }
}

void FlowSim::make_end(size_t index) {
  End& end = ends_[index];
  end.pool = BufferPool::create(static_cast<uint32_t>(config_.credit_blocks + 16)).value();
  end.window = std::make_unique<flow::SendWindow>();
  end.reassembler = std::make_unique<flow::Reassembler>(flow::ReassemblerConfig{}, *end.pool);
  end.credit = std::make_unique<flow::Credit>(
      flow::CreditConfig{.lane = kLane, .unit = kBufferSize, .blocks_given_max = config_.credit_blocks});
  end.link = std::make_unique<wan::LinkModel>(now_, index == 0 ? config_.there : config_.back, random_.next());
  for (size_t f = 0; f < config_.flows; ++f) {
    flow::FlowConfig made;
    made.id = FlowId(static_cast<uint16_t>(kFlowFirst + f));
    made.local = connection_of(index, f);
    made.remote = connection_of(1 - index, f);
    made.first_packet_number = random_.next() >> 32;
    made.challenge_seed = random_.next();
    made.mtu_max = config_.mtu_max;
    made.rtt_initial = config_.rtt_initial;
    made.peer = index == 0 ? kSecondEnd : endpoint(1, static_cast<uint16_t>(source_port_ + f));
    // The first end dialled, so it knows where the peer is.
    made.address = index == 0 ? flow::FlowConfig::Address::kProven : config_.address;
    made.key_limits = config_.key_limits;
    made.replay_bits = flow::AckRanges::kBitsMin * 8;
    end.flows.push_back(std::make_unique<Flow>(now_, made, config_.controllers(),
                                               flow::LaneParts{*end.window, *end.reassembler, *end.credit}));
  }
}

uint64_t FlowSim::key_of(size_t end, size_t flow, KeyEpoch epoch) const {
  return config_.seed * 0x1234567 + end * 0x10001 + flow * 0x100003 + epoch.value() * 0x9000000007 + 1;
}

void FlowSim::give_keys() {
  for (size_t e = 0; e < ends_.size(); ++e) {
    for (size_t f = 0; f < config_.flows; ++f) {
      Flow& flow = *ends_[e].flows[f];
      while (flow.needs_send_key())
        flow.install_send_key(flow.next_send_key(), std::make_unique<TestAead>(key_of(e, f, flow.next_send_key())));
      while (flow.needs_receive_key())
        flow.install_receive_key(flow.next_receive_key(),
                                 std::make_unique<TestAead>(key_of(1 - e, f, flow.next_receive_key())));
    }
  }
}

void FlowSim::put_blocks(std::vector<uint32_t> lengths) {
  for (const uint32_t length : lengths) bytes_put_ += length;
  lengths_.insert(lengths_.end(), lengths.begin(), lengths.end());
}

void FlowSim::at(Duration when, std::function<void()> event) { events_.push({Time() + when, turn_++, std::move(event)}); }

bool FlowSim::is_done() const {
  return delivered_.size() == lengths_.size() && offered_ == lengths_.size() && ends_[0].window->blocks() == 0;
}

bool FlowSim::run(Duration at_most) {
  const Time end = now_ + at_most;
  while (now_ < end && problem_.empty()) {
    if (is_done()) {
      finished_at_ = now_;
      return true;
    }
    step();
  }
  return false;
}

void FlowSim::run_for(Duration length) {
  const Time end = now_ + length;
  events_.push({end, turn_++, [] {}});
  while (now_ < end && problem_.empty()) step();
}

Time FlowSim::next_time() const {
  Time next = kNever;
  for (const End& end : ends_)
    for (const auto& flow : end.flows) next = std::min(next, flow->next_deadline());
  if (!wire_.empty()) next = std::min(next, wire_.top().at);
  if (!events_.empty()) next = std::min(next, events_.top().at);
  for (const Stored& stored : stored_) next = std::min(next, stored.free_at);
  return next;
}

void FlowSim::step() {
  const Time before = now_;
  now_ = std::max(now_, next_time());
  steps_at_now_ = now_ == before ? steps_at_now_ + 1 : 0;
  if (steps_at_now_ > kStepsAtOneTime) return fail("time stands still: a deadline is always due");
  while (!events_.empty() && events_.top().at <= now_) {
    const auto run = events_.top().run;
    events_.pop();
    run();
  }
  give_keys();
  deliver();
  receive_blocks();
  offer_blocks();
  for (size_t e = 0; e < ends_.size(); ++e)
    for (size_t f = 0; f < config_.flows; ++f) poll_flow(e, f);
  check_step();
}

void FlowSim::deliver() {
  // All that has arrived by now for one flow comes as bursts, as from a real port.
  std::vector<std::vector<InFlight>> arrived(2 * config_.flows);
  while (!wire_.empty() && wire_.top().at <= now_) {
    const InFlight& top = wire_.top();
    arrived[top.to * config_.flows + top.flow].push_back(std::move(const_cast<InFlight&>(top)));
    wire_.pop();
  }
  for (size_t i = 0; i < arrived.size(); ++i) {
    std::vector<Packet> burst;
    for (InFlight& in : arrived[i]) {
      Packet& packet = burst.emplace_back();
      packet.bytes = in.bytes;
      packet.from = in.from;
      packet.ecn = in.ecn;
    }
    if (!burst.empty()) ends_[i / config_.flows].flows[i % config_.flows]->on_burst(now_, burst);
  }
}

std::byte FlowSim::byte_of(uint64_t seed, uint32_t block, uint32_t offset) {
  return static_cast<std::byte>((seed + block * 0x9E3779B9U + (offset >> 3) * 0x85EBCA6BU) >> 13);
}

PackedBlock FlowSim::make_block(uint32_t number, uint32_t length) {
  PackedBlock block;
  block.buffer = ends_[0].pool->take();
  if (block.buffer.is_empty()) return block;
  block.key = {kSlot, BlockId(number)};
  block.head_units = static_cast<uint8_t>(1 + number % 3);
  block.length = length + block.head_units * static_cast<uint32_t>(kHeadUnit);
  const auto bytes = block.bytes();
  for (uint32_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_of(config_.seed, number, i);
  return block;
}

void FlowSim::offer_blocks() {
  End& from = ends_[0];
  while (const auto done = from.window->take_done())
    if (!done_.insert(done->block.value()).second) fail("a block was done twice");
  while (offered_ < lengths_.size() && !from.window->is_full() && from.pool->free() > 0) {
    if (!from.credit->try_start(kSlot)) return;
    auto block = make_block(static_cast<uint32_t>(offered_), lengths_[offered_]);
    TIDEWAY_CHECK(from.window->offer(std::move(block)));
    ++offered_;
  }
}

void FlowSim::receive_blocks() {
  End& to = ends_[1];
  while (const auto slot = to.reassembler->take_started()) to.credit->on_block_started(*slot);
  while (auto block = to.reassembler->take_complete()) {
    const uint32_t number = block->key.block.value();
    if (!delivered_.insert(number).second) fail("block " + std::to_string(number) + " was delivered twice");
    if (number >= lengths_.size() || block->length != lengths_[number] + block->head_units * kHeadUnit) {
      fail("block " + std::to_string(number) + " has a wrong length");
    } else {
      const auto bytes = block->bytes();
      for (uint32_t i = 0; i < bytes.size(); ++i)
        if (bytes[i] != byte_of(config_.seed, number, i))
          return fail("block " + std::to_string(number) + " differs at byte " + std::to_string(i));
    }
    stored_.push_back({now_ + config_.store_delay, std::move(*block)});
  }
  std::erase_if(stored_, [&](const Stored& stored) {
    if (stored.free_at > now_) return false;
    to.credit->on_buffer_free(kSlot);
    return true;
  });
  to.reassembler->on_credit(kSlot, to.credit->blocks_allowed(kSlot));
}

bool FlowSim::poll_flow(size_t e, size_t f) {
  Flow& flow = *ends_[e].flows[f];
  const size_t wanted = flow.packets_wanted(now_);
  const size_t room = flow.room_size().count();
  if (rooms_.size() < wanted) rooms_.resize(wanted);
  std::vector<Packet> packets(wanted);
  for (size_t i = 0; i < wanted; ++i) {
    rooms_[i].resize(room);
    packets[i].bytes = rooms_[i];
  }
  const size_t written = flow.write_burst(now_, packets);
  if (written > wanted) fail("a flow filled more rooms than it was given");
  for (size_t i = 0; i < written; ++i) transmit(e, f, packets[i]);
  return written > 0;
}

void FlowSim::transmit(size_t e, size_t f, const Packet& packet) {
  const Bytes ip = Bytes(packet.bytes.size() + 28);
  if (e == 0 && (std::to_integer<uint8_t>(packet.bytes[0]) & 0x0F) == 1) data_bytes_sent_ += packet.bytes.size();
  inject(e, f, packet.bytes);
  if (dead_[f] || ip > mtu_now_) return;
  // A peer that has moved is reached only at its new address.
  const Endpoint source = e == 0 ? endpoint(1, static_cast<uint16_t>(source_port_ + f)) : kSecondEnd;
  if (e == 1 && ends_[1].flows[f]->peer() != endpoint(1, static_cast<uint16_t>(source_port_ + f))) return;
  const wan::Fate fate = ends_[e].link->offer(now_, ip + wan::kEthernetHeader);
  if (fate.dropped) return;
  std::vector<std::byte> bytes(packet.bytes.begin(), packet.bytes.end());
  if (fate.flip) wan::flip_bits(bytes, *fate.flip);
  const Ecn ecn = fate.is_ce_marked && packet.ecn != Ecn::kNotEct ? Ecn::kCe : packet.ecn;
  for (int copy = 1; copy < fate.copies; ++copy) arrive(fate.deliver_at, e, f, bytes, ecn, source);
  arrive(fate.deliver_at, e, f, std::move(bytes), ecn, source);
}

void FlowSim::inject(size_t e, size_t f, std::span<const std::byte> bytes) {
  const Duration later(static_cast<int64_t>(random_.below(100'000'000)));
  if (random_.happens(config_.forged)) {
    std::vector<std::byte> forged(bytes.begin(), bytes.end());
    // Sometimes garbage, mostly a real packet with one bit changed, which passes every check but the last.
    if (random_.happens(0.1)) for (std::byte& byte : forged) byte = static_cast<std::byte>(random_.next());
    else forged[random_.below(forged.size())] ^= static_cast<std::byte>(1 << random_.below(8));
    ++stranger_packets_;
    arrive(now_ + later / 4, e, f, std::move(forged), Ecn::kNotEct, kStranger);
  }
  if (random_.happens(config_.replayed)) {
    ++stranger_packets_;
    // Never before the original: a copy that overtakes it is the peer as far as anyone can tell.
    arrive(now_ + std::chrono::seconds(1) + later, e, f, {bytes.begin(), bytes.end()}, Ecn::kNotEct, kStranger);
  }
}

void FlowSim::arrive(Time at, size_t e, size_t f, std::vector<std::byte> bytes, Ecn ecn, Endpoint from) {
  wire_.push({at, turn_++, 1 - e, f, from, ecn, std::move(bytes)});
}

void FlowSim::check_step() {
  for (const End& end : ends_)
    for (const auto& flow : end.flows)
      if (flow->has_protocol_error()) fail("a flow saw a protocol error");
  if (ends_[1].reassembler->partial_blocks() > config_.credit_blocks) fail("more partial blocks than credit");
  if (ends_[1].pool->free() < 16) fail("more buffers out than credit");
}

}  // namespace tideway::test
