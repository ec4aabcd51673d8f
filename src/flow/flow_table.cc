// SPDX-License-Identifier: Apache-2.0
#include "flow/flow_table.h"

#include "base/cursor.h"
#include "flow/lane.h"

#include <tideway/check.h>

#include <algorithm>

namespace tideway::flow {
namespace {

constexpr size_t kConnectionIdAt = 4;  // in every packet (docs/protocol.md, "Packet header")
constexpr uint64_t kRandomMask = (uint64_t{1} << 40) - 1;

size_t slot_of(ConnectionId id) { return static_cast<size_t>(id.value() >> 40 & 0xFFFF); }

}  // namespace

FlowTable::FlowTable(uint8_t worker) : worker_(worker), entries_(kFlowsMax) {}

std::optional<ConnectionId> FlowTable::reserve(uint64_t random) {
  for (size_t tried = 0; tried < kFlowsMax; ++tried) {
    const size_t slot = next_;
    next_ = (next_ + 1) % kFlowsMax;
    if (entries_[slot].is_reserved) continue;
    const ConnectionId id(uint64_t{worker_} << 56 | uint64_t{slot} << 40 | (random & kRandomMask));
    entries_[slot] = {.id = id, .is_reserved = true};
    return id;
  }
  return std::nullopt;
}

FlowTable::Entry* FlowTable::find(ConnectionId id) {
  const size_t slot = slot_of(id);
  if (slot >= kFlowsMax || !entries_[slot].is_reserved || entries_[slot].id != id) return nullptr;
  return &entries_[slot];
}

void FlowTable::bind(ConnectionId id, Lane& lane, Flow& flow) {
  Entry* const entry = find(id);
  TIDEWAY_CHECK(entry != nullptr && entry->flow == nullptr);
  entry->lane = &lane;
  entry->flow = &flow;
}

void FlowTable::release(ConnectionId id) {
  if (Entry* const entry = find(id)) *entry = {};
}

std::optional<ConnectionId> FlowTable::id_of(const Packet& packet) {
  Reader in(packet.bytes);
  in.read_bytes(kConnectionIdAt);
  const auto id = in.read_u64();
  if (!id) return std::nullopt;
  return ConnectionId(*id);
}

// The one flow that all packets are of, as most bursts have: then none of them needs to move.
FlowTable::Entry* FlowTable::only_flow_of(std::span<const Packet> packets) {
  const auto id = packets.empty() ? std::nullopt : id_of(packets.front());
  Entry* const entry = id ? find(*id) : nullptr;
  if (entry == nullptr || entry->flow == nullptr) return nullptr;
  const bool is_only = std::ranges::all_of(packets, [&](const Packet& packet) { return id_of(packet) == id; });
  return is_only ? entry : nullptr;
}

size_t FlowTable::dispatch(Time now, std::span<Packet> packets) {
  TIDEWAY_CHECK(packets.size() <= kBurstMax);
  if (Entry* const entry = only_flow_of(packets)) [[likely]] {
    hand_to(now, entry, packets);
    return 0;
  }
  size_t foreign = 0, known = 0;
  std::array<Packet, kBurstMax> ours;
  for (Packet& packet : packets) {
    const auto id = id_of(packet);
    if (id && worker_of(*id) != worker_) {
      ++stats_.packets_foreign;
      std::swap(packets[foreign++], packet);
    } else if (id && find(*id) != nullptr && find(*id)->flow != nullptr) {
      ours[known++] = std::move(packet);
    } else {
      ++(id ? stats_.packets_unknown : stats_.packets_short);
      packet.reset();
    }
  }
  hand_on(now, std::span(ours).first(known));
  return foreign;
}

// A stable sort by flow, flow by flow: bursts hold few flows, often one.
void FlowTable::hand_on(Time now, std::span<Packet> packets) {
  std::array<ConnectionId, kBurstMax> ids;
  for (size_t i = 0; i < packets.size(); ++i) ids[i] = *id_of(packets[i]);
  for (size_t first = 0; first < packets.size();) {
    size_t end = first + 1;
    for (size_t i = end; i < packets.size(); ++i) {
      if (ids[i] != ids[first]) continue;
      if (i != end) {
        const auto moved = packets.subspan(end, i + 1 - end);
        std::rotate(moved.begin(), moved.end() - 1, moved.end());
        std::rotate(ids.begin() + end, ids.begin() + i, ids.begin() + i + 1);
      }
      ++end;
    }
    hand_to(now, find(ids[first]), packets.subspan(first, end - first));
    first = end;
  }
}

void FlowTable::hand_to(Time now, Entry* entry, std::span<Packet> burst) {
  if (entry != nullptr && entry->flow != nullptr) entry->lane->on_burst(now, *entry->flow, burst);
  for (Packet& packet : burst) packet.reset();
}

}  // namespace tideway::flow
