// SPDX-License-Identifier: Apache-2.0
//
// All rings of an engine, one per pair of threads, and the bell of each thread. Rings that carry blocks, or notices of
// which there is one per buffer, hold as many as there are buffers and so are never full; a failed push is our bug.
// Command and event rings are bounded by what sessions may have under way.
// Thread: each ring's two ends, as named.
#pragma once
#include "base/spsc_ring.h"
#include "engine/commands.h"
#include "engine/doorbell.h"

#include <memory>
#include <vector>

namespace tideway::engine {

inline constexpr size_t kCommandsMax = 16'384;  // 64 transfers of 64 sessions with a few messages each
inline constexpr size_t kEventsMax = 16'384;

// Between one net worker and one cpu worker.
struct NetCpuRings {
  explicit NetCpuRings(size_t buffers) : received(buffers), to_send(buffers) {}
  SpscRing<BlockReceived> received;  // net → cpu
  SpscRing<BlockToSend> to_send;     // cpu → net
};

// Between the io worker and one cpu worker.
struct IoCpuRings {
  explicit IoCpuRings(size_t buffers) : to_pack(buffers), packed(buffers), unpacked(buffers) {}
  SpscRing<BlockToPack> to_pack;     // io → cpu
  SpscRing<BlockPacked> packed;      // cpu → io
  SpscRing<BlockUnpacked> unpacked;  // cpu → io
};

// Between the io worker and one net worker. Notices may wait while the buffers they speak of are used again, so their
// rings are several times as long.
struct IoNetRings {
  explicit IoNetRings(size_t buffers) : freed(4 * buffers), notices(8 * buffers) {}
  SpscRing<BufferFreed> freed;  // io → net
  SpscRing<BlockNotice> notices;  // net → io
};

// Between the control thread and one worker.
template <typename Command, typename Event>
struct ControlRings {
  SpscRing<Command> commands{kCommandsMax};
  SpscRing<Event> events{kEventsMax};
};

struct Rings {
  Rings(size_t net_workers, size_t cpu_workers, size_t buffers);

  std::vector<std::vector<std::unique_ptr<NetCpuRings>>> net_cpu;  // [net][cpu]
  std::vector<std::unique_ptr<IoCpuRings>> io_cpu;                 // [cpu]
  std::vector<std::unique_ptr<IoNetRings>> io_net;                 // [net]
  std::vector<std::unique_ptr<ControlRings<NetCommand, NetEvent>>> net_control;
  ControlRings<IoCommand, IoEvent> io_control;

  // Whoever waits for work; several workers may share one.
  std::vector<Doorbell*> net_bells, cpu_bells;
  Doorbell* io_bell = nullptr;
  Doorbell* control_bell = nullptr;
};

// Pushes where the ring cannot be full, and rings.
template <typename T>
void pass_on(SpscRing<T>& ring, T&& value, Doorbell& bell) {
  TIDEWAY_CHECK(ring.push(std::move(value)));
  bell.ring();
}

}  // namespace tideway::engine
