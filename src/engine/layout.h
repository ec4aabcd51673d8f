// SPDX-License-Identifier: Apache-2.0
//
// How many workers of which kind a machine gets, and how the memory it may use is divided. A starting point from
// the number of cores; two cores never both busy-poll.
// Pure.
#pragma once
#include <tideway/result.h>
#include <tideway/units.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace tideway::engine {

// Entries that the transfers which one peer pushes to here may name ahead of their data, all together, at up to 1 KiB each, and as many those that are
// pulled from it: as many as ten hostile transfers (transfer/receiver.h), or twenty honest ones of the largest trees, which is more than the jobs of a
// gateway pull from a peer at a time (daemon/places.h).
inline constexpr size_t kPeerEntriesMax = 20 << 16;

struct Layout {
  uint32_t net_workers = 1;
  uint32_t cpu_workers = 1;
  // On one or two cores the cpu worker shares the io worker's thread.
  enum class Threads : uint8_t { kCpuOnIo, kCpuApart } threads = Threads::kCpuOnIo;
  uint32_t buffers = 0;            // block buffers in all
  uint32_t buffers_receiving = 0;  // of these, what peers may fill
  uint32_t buffers_sending = 0;    // and what our own reads may hold
  size_t peer_entries_max = kPeerEntriesMax;
  std::string memory_table;        // who holds how much, for the log and doctor
};

inline constexpr uint32_t kNetWorkersMax = 16;
inline constexpr Bytes kPacketBuffers = 16_MiB;  // of one net worker: send and receive slices of kernel UDP

struct LayoutOrder {
  uint32_t cores = 2;
  Bytes memory;
  uint32_t net_workers = 0;  // 0: as the cores say and the memory allows
  Bytes packets_each = kPacketBuffers;  // for each net worker, as the next
  Bytes capture_each{};
};
// As many as such a machine has, where the memory allows.
uint32_t net_workers_most(uint32_t cores);

// Errors: config_invalid when `memory` is too small for the smallest gateway that works, or for so many net workers.
Result<Layout> plan_layout(const LayoutOrder& order);

}  // namespace tideway::engine
