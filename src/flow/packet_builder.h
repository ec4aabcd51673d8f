// SPDX-License-Identifier: Apache-2.0
//
// Lays out one burst: writes each header into the room the backend lent, lists a SealJob for each, and shortens the room
// to the packet. DATA is sealed straight from its block, so sealing is the only copy; frames are put together in a small
// arena first.
// Thread: net worker. Pure.
#pragma once
#include "flow/send_window.h"
#include "wire/frames.h"
#include "wire/packet_header.h"
#include <tideway/packet_io.h>

#include <array>
#include <vector>

namespace tideway::flow {

class PacketBuilder {
 public:
  // Room for the frames of one burst: an ACK, a CTRL, and padded probes up to 9,000 bytes. What does not fit leaves with
  // the next burst.
  static constexpr size_t kArenaSize = 24 << 10;

  PacketBuilder(FlowId flow, ConnectionId destination) : flow_(flow), destination_(destination), arena_(kArenaSize) {}

  struct Burst {
    std::span<Packet> rooms;  // at most kBurstMax
    KeyEpoch epoch;
    uint64_t first_number = 0;
    Ecn ecn = Ecn::kNotEct;
  };
  void begin(const Burst& burst);

  bool has_room() const { return count_ < burst_.rooms.size(); }
  size_t next_size() const { return burst_.rooms[count_].bytes.size(); }  // of the next room, a UDP payload

  // A writer for the frames of the next packet, of at most `packet_size` bytes as a UDP payload; as small as nothing when
  // the room or the arena is.
  Writer frames(size_t packet_size);
  // Makes them a packet; returns its size.
  size_t add_frames(wire::PacketType type, const Writer& frames);
  size_t add_data(const SendRange& data, uint8_t flags);
  bool has_data() const { return last_data_flags_ != nullptr; }
  void add_flags_to_last_data(uint8_t flags);  // of this burst, if there is one

  size_t count() const { return count_; }
  std::span<const SealJob> jobs() const { return {jobs_.data(), count_}; }

 private:
  size_t add(wire::PacketHeader header, std::span<const std::byte> plain);

  FlowId flow_;
  ConnectionId destination_;
  std::vector<std::byte> arena_;
  size_t arena_used_ = 0;
  Burst burst_;
  size_t count_ = 0;
  std::byte* last_data_flags_ = nullptr;
  std::array<SealJob, kBurstMax> jobs_{};
};

}  // namespace tideway::flow
