// SPDX-License-Identifier: Apache-2.0
//
// What is in flight on one flow: 16 bytes per packet in a ring indexed by packet number, one record per burst for what
// all packets of a burst share, and one bit per packet that is still of interest (in flight, or declared lost and perhaps
// only late). An ACK touches the bits of its ranges and the entries of news, nothing else.
//
//        tail                       loss_head                 next
//   ─────┴──── lost, or in flight ─────┴───── in flight ────────┴──▶ packet number
//
// The rings grow by doubling while a window grows, up to kPacketsMax; then nothing more is sent until acks come.
// Thread: net worker. Pure.
#pragma once
#include "flow/send_window.h"
#include <tideway/units.h>

#include <bit>
#include <cstdint>
#include <vector>

namespace tideway::flow {

enum class PacketKind : uint8_t {
  kUntracked,  // ACK: not acked, not congestion controlled
  kData,
  kControl,
  kProbe,
  kMtuProbe,   // `offset` is the IP MTU it tries; its loss says nothing about congestion
};
enum class BurstIs : uint8_t { kTrain, kMoreOfTrain };  // what leaves back to back, over one burst or several
enum class PacketState : uint8_t { kGone, kInFlight, kLost };

struct SentPacket {
  uint32_t block = 0;
  uint32_t offset = 0;
  uint16_t slot = 0;
  uint16_t length = 0;   // of the payload range for DATA, of the UDP payload for all others
  uint16_t burst = 0;    // low bits of the burst's number
  PacketKind kind = PacketKind::kUntracked;
  uint8_t state = 0;     // PacketState, and kCarriesState, kIsEcnMarked

  static constexpr uint8_t kStateMask = 0x03;
  static constexpr uint8_t kCarriesState = 0x10;  // CTRL with credit frames: its loss makes them go out again
  static constexpr uint8_t kIsEcnMarked = 0x20;

  PacketState where() const { return static_cast<PacketState>(state & kStateMask); }
  void set(PacketState next) { state = static_cast<uint8_t>((state & ~kStateMask) | static_cast<uint8_t>(next)); }
  Range range() const { return {{SlotId(slot), BlockId(block)}, offset, length}; }
  Bytes size() const;    // as a UDP payload
};
static_assert(sizeof(SentPacket) == 16);

// What a rate sample needs to know of the time a packet left (delivery_rate.h).
struct BurstRecord {
  Time sent_at;
  Time first_sent_at;      // start of the flight it belongs to
  Time delivered_at;       // of the newest ack at that time
  Bytes delivered;         // acked until then
  Bytes in_flight;         // with this burst
  uint64_t first_packet = 0;
  uint64_t train = 0;      // its number: that of the burst it began with
  Bytes train_size{};      // of what will be acked of it; only the burst it began with knows
  bool is_app_limited = false;
};

class SentPackets {
 public:
  static constexpr size_t kPacketsStart = 4096;
  static constexpr size_t kPacketsMax = size_t{1} << 20;  // 1.4 GB of 1,408-byte packets: 10 Gbit/s over more than a second
  static constexpr size_t kBurstsMax = size_t{1} << 16;   // what the 16 bits of an entry tell apart

  explicit SentPackets(uint64_t first_number);

  // Makes sure that a burst of `packets` fits; lost packets that stand in the way are forgotten. False: the rings are
  // full of packets in flight.
  bool reserve(size_t packets);
  // reserve() was true; a burst without a packet is taken back by the next.
  void begin_burst(const BurstRecord& record, BurstIs is = BurstIs::kTrain);
  void add(const SentPacket& packet);           // the next number

  uint64_t next_number() const { return next_; }
  uint64_t tail() const { return tail_; }  // nothing below is of interest
  uint64_t first_number() const { return first_; }
  Bytes in_flight() const { return in_flight_; }
  uint64_t packets_in_flight() const { return packets_in_flight_; }

  BurstRecord& newest_burst() { return bursts_[(burst_next_ - 1) & (bursts_.size() - 1)]; }
  const BurstRecord& burst_of(uint64_t number) const;
  Bytes train_size(const BurstRecord& burst) const;  // as far as it has left; zero: forgotten
  const SentPacket& at(uint64_t number) const { return packets_[number & (packets_.size() - 1)]; }

  // The first number in [from, end) that is of interest; `end` if none. `end` is at most next_number().
  uint64_t find(uint64_t from, uint64_t end) const;
  // In flight or lost → gone. Returns what it was.
  SentPacket on_acked(uint64_t number);
  void on_lost(uint64_t number);    // in flight → lost
  void forget_lost(Time sent_before);  // moves the tail over lost packets that would have come by now

 private:
  void grow_packets();
  void grow_bursts();
  void advance_tail();
  SentPacket& entry(uint64_t number) { return packets_[number & (packets_.size() - 1)]; }
  void clear_bit(uint64_t number) { interest_[(number & (packets_.size() - 1)) >> 6] &= ~(uint64_t{1} << (number & 63)); }
  uint64_t burst_number(uint64_t number) const;
  BurstRecord& burst(uint64_t burst_number) { return bursts_[burst_number & (bursts_.size() - 1)]; }

  std::vector<SentPacket> packets_;
  std::vector<uint64_t> interest_;
  std::vector<BurstRecord> bursts_;
  uint64_t first_, next_, tail_;
  uint64_t burst_next_ = 0;
  uint64_t packets_in_flight_ = 0;
  Bytes in_flight_;
};

}  // namespace tideway::flow
