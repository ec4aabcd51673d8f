// SPDX-License-Identifier: Apache-2.0
//
// One received burst between its passes: parsed and placed, then opened, then acted upon.
// Thread: net worker. Pure.
#pragma once
#include "flow/flow.h"

#include <array>
#include <vector>

namespace tideway::flow {

struct Flow::Arrived {
  wire::PacketHeader header;
  std::span<const std::byte> sealed;
  std::span<std::byte> plain;     // in the block, or in the arena
  uint64_t epoch = 0;
  const Packet* packet = nullptr;  // until it was opened
  Verdict verdict = Verdict::kPlace;  // of DATA
  Endpoint from;
  Ecn ecn = Ecn::kNotEct;
  Time at = kNever;  // when it came to this host: a busy one looks later
  bool is_authentic = false;

  bool is_data() const { return header.type == wire::PacketType::kData; }
  DataPlace place() const {
    return {.key = {header.data.slot, header.data.block},
            .head_units = header.data.head_units,
            .is_last_in_block = (header.data.flags & wire::kLastInBlock) != 0,
            .offset = header.data.offset,
            .length = static_cast<uint32_t>(plain.size())};
  }
};

struct Flow::Incoming {
  // Where frames and duplicates are opened to. When it is full the burst is handled in two parts.
  static constexpr size_t kArenaSize = 64 << 10;

  std::array<Arrived, kBurstMax> packets;
  std::array<OpenJob, kBurstMax> jobs;
  std::array<size_t, kBurstMax> job_of;  // the packet of each job
  std::vector<std::byte> arena = std::vector<std::byte>(kArenaSize);
  size_t count = 0, arena_used = 0;

  bool has_room_for(size_t plain) const { return count < packets.size() && arena.size() - arena_used >= plain; }
  std::span<std::byte> take_room(size_t plain) {
    const auto room = std::span(arena).subspan(arena_used, plain);
    arena_used += plain;
    return room;
  }
};

}  // namespace tideway::flow
