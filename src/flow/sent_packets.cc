// SPDX-License-Identifier: Apache-2.0
#include "flow/sent_packets.h"

#include "wire/version.h"

#include <algorithm>

namespace tideway::flow {
namespace {

constexpr size_t kBurstsStart = 256;

}  // namespace

Bytes SentPacket::size() const {
  return Bytes(kind == PacketKind::kData ? length + wire::kDataOverhead : length);
}

SentPackets::SentPackets(uint64_t first_number)
    : packets_(kPacketsStart), interest_(kPacketsStart / 64), bursts_(kBurstsStart), first_(first_number), next_(first_number),
      tail_(first_number) {}

bool SentPackets::reserve(size_t packets) {
  // A burst's record lives as long as one of its packets is of interest.
  const auto bursts_used = [&] { return tail_ == next_ ? 0 : burst_next_ - burst_number(tail_); };
  while (next_ + packets - tail_ > packets_.size() || bursts_used() + 1 > bursts_.size()) {
    const bool is_short_of_packets = next_ + packets - tail_ > packets_.size();
    if (is_short_of_packets && packets_.size() < kPacketsMax) {
      grow_packets();
    } else if (!is_short_of_packets && bursts_.size() < kBurstsMax) {
      grow_bursts();
    } else {
      if (entry(tail_).where() == PacketState::kInFlight) return false;
      clear_bit(tail_);
      entry(tail_).set(PacketState::kGone);
      advance_tail();
    }
  }
  return true;
}

void SentPackets::begin_burst(const BurstRecord& record, BurstIs is) {
  if (burst_next_ != 0 && newest_burst().first_packet == next_) --burst_next_;  // the last one stayed empty
  const uint64_t train = is == BurstIs::kMoreOfTrain && burst_next_ != 0 ? newest_burst().train : burst_next_;
  ++burst_next_;
  newest_burst() = record;
  newest_burst().first_packet = next_;
  newest_burst().train = train;
}

// A burst's record may be gone before the last packet of its train is.
Bytes SentPackets::train_size(const BurstRecord& of) const {
  const BurstRecord& first = bursts_[of.train & (bursts_.size() - 1)];
  return first.train == of.train ? first.train_size : Bytes();
}

void SentPackets::add(const SentPacket& packet) {
  TIDEWAY_DCHECK(next_ - tail_ < packets_.size());
  SentPacket& added = entry(next_);
  added = packet;
  added.burst = static_cast<uint16_t>(burst_next_ - 1);
  if (packet.kind == PacketKind::kUntracked) {
    added.set(PacketState::kGone);
    if (tail_ == next_) ++tail_;
  } else {
    added.set(PacketState::kInFlight);
    interest_[(next_ & (packets_.size() - 1)) >> 6] |= uint64_t{1} << (next_ & 63);
    in_flight_ += added.size();
    ++packets_in_flight_;
    if (BurstRecord& first = burst(newest_burst().train); first.train == newest_burst().train) first.train_size += added.size();
  }
  ++next_;
}

uint64_t SentPackets::burst_number(uint64_t number) const {
  const auto behind = static_cast<uint16_t>(static_cast<uint16_t>(burst_next_ - 1) - at(number).burst);
  return burst_next_ - 1 - behind;
}

const BurstRecord& SentPackets::burst_of(uint64_t number) const { return bursts_[burst_number(number) & (bursts_.size() - 1)]; }

uint64_t SentPackets::find(uint64_t from, uint64_t end) const {
  while (from < end) {
    const uint64_t word = interest_[(from & (packets_.size() - 1)) >> 6] >> (from & 63);
    if (word != 0) return std::min(end, from + static_cast<uint64_t>(std::countr_zero(word)));
    from = (from | 63) + 1;
  }
  return end;
}

SentPacket SentPackets::on_acked(uint64_t number) {
  const SentPacket was = at(number);
  if (was.where() == PacketState::kInFlight) {
    in_flight_ -= was.size();
    --packets_in_flight_;
  }
  entry(number).set(PacketState::kGone);
  clear_bit(number);
  if (number == tail_) advance_tail();
  return was;
}

void SentPackets::on_lost(uint64_t number) {
  SentPacket& packet = entry(number);
  TIDEWAY_DCHECK(packet.where() == PacketState::kInFlight);
  packet.set(PacketState::kLost);
  in_flight_ -= packet.size();
  --packets_in_flight_;
}

void SentPackets::forget_lost(Time sent_before) {
  while (tail_ < next_ && entry(tail_).where() != PacketState::kInFlight && burst_of(tail_).sent_at < sent_before) {
    clear_bit(tail_);
    entry(tail_).set(PacketState::kGone);
    advance_tail();
  }
}

void SentPackets::advance_tail() { tail_ = find(tail_, next_); }

void SentPackets::grow_packets() {
  std::vector<SentPacket> packets(packets_.size() * 2);
  std::vector<uint64_t> interest(packets.size() / 64);
  for (uint64_t number = tail_; number < next_; ++number) {
    packets[number & (packets.size() - 1)] = at(number);
    if (at(number).where() != PacketState::kGone) interest[(number & (packets.size() - 1)) >> 6] |= uint64_t{1} << (number & 63);
  }
  packets_ = std::move(packets);
  interest_ = std::move(interest);
}

void SentPackets::grow_bursts() {
  std::vector<BurstRecord> bursts(bursts_.size() * 2);
  const uint64_t oldest = burst_next_ - std::min<uint64_t>(burst_next_, bursts_.size());
  for (uint64_t burst = oldest; burst < burst_next_; ++burst) bursts[burst & (bursts.size() - 1)] = bursts_[burst & (bursts_.size() - 1)];
  bursts_ = std::move(bursts);
}

}  // namespace tideway::flow
