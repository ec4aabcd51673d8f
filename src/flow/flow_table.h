// SPDX-License-Identifier: Apache-2.0
//
// The flows of one net worker, of all its lanes and sessions, found by connection id: worker (8 bits) | flow slot (16)
// | random (40). The slot is an index and all 64 bits are compared, so a packet costs one look-up, and a stranger who
// does not see our packets has to guess 40 bits to make us try a key.
// Thread: net worker. Pure.
#pragma once
#include <tideway/ids.h>
#include <tideway/packet_io.h>
#include <tideway/time.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tideway::flow {

class Flow;
class Lane;

struct FlowTableStats {
  uint64_t packets_short = 0;     // too short for a connection id
  uint64_t packets_unknown = 0;   // of no flow here
  uint64_t packets_foreign = 0;   // of another worker
};

class FlowTable {
 public:
  static constexpr size_t kFlowsMax = 4096;  // 64 sessions of 64 flows end at one worker at most

  explicit FlowTable(uint8_t worker);

  // A connection id nobody else has; packets that carry it count as unknown until it is bound. `random` gives its low
  // 40 bits. Nothing: kFlowsMax are out.
  std::optional<ConnectionId> reserve(uint64_t random);
  void bind(ConnectionId id, Lane& lane, Flow& flow);
  void release(ConnectionId id);

  // Hands each packet to its flow, those of one flow together and in their order, and gives their rooms back. Packets
  // of other workers are moved to the front; returns how many, for the caller to hand over.
  size_t dispatch(Time now, std::span<Packet> packets);

  static uint8_t worker_of(ConnectionId id) { return static_cast<uint8_t>(id.value() >> 56); }
  // Nothing: too short to carry one.
  static std::optional<ConnectionId> id_of(const Packet& packet);
  const FlowTableStats& stats() const { return stats_; }

 private:
  struct Entry {
    ConnectionId id;
    bool is_reserved = false;
    Lane* lane = nullptr;  // with `flow`: bound
    Flow* flow = nullptr;
  };
  Entry* find(ConnectionId id);
  Entry* only_flow_of(std::span<const Packet> packets);
  void hand_on(Time now, std::span<Packet> packets);
  static void hand_to(Time now, Entry* entry, std::span<Packet> burst);

  const uint8_t worker_;
  std::vector<Entry> entries_;
  size_t next_ = 0;  // where to look for a free entry: the one that was free longest, so late packets meet nobody
  FlowTableStats stats_;
};

}  // namespace tideway::flow
