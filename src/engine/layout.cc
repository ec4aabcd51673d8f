// SPDX-License-Identifier: Apache-2.0
#include "engine/layout.h"

#include "mem/budget.h"
#include "mem/buffer.h"

#include <sched.h>

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr uint32_t kCpuWorkersMax = 32;
constexpr uint32_t kCoresPerNetWorker = 4;    // one seals 30 to 60 Gbit/s, which takes the others to read and hash
constexpr uint32_t kBuffersMin = 16;          // of each net worker: 6 to receive, 6 to send, the rest in cpu workers' hands
constexpr uint32_t kBuffersMax = 16'384;      // 64 GiB; blocks in flight of the fastest link we know of at 200 ms
constexpr Bytes kPacketBuffers = 16_MiB;      // of one net worker: send and receive slices
constexpr Bytes kFlowState = 64_MiB;          // sent-packet rings and replay windows of a few dozen flows
constexpr Bytes kManifests = 128_MiB;         // entries, pages and directory listings of the active transfers
constexpr Bytes kSessions = 16_MiB;           // TLS, messages under way

}  // namespace

uint32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<uint32_t>(CPU_COUNT(&set));
}

Result<Layout> plan_layout(uint32_t cores, Bytes memory) {
  Layout layout;
  const Bytes of_net_worker = kPacketBuffers + Bytes(kBufferSize) * kBuffersMin;
  const Bytes shared = kFlowState + kManifests + kSessions;
  const uint64_t fit = memory > shared ? (memory - shared).count() / of_net_worker.count() : 0;
  const uint64_t net_workers_max = std::clamp<uint64_t>(fit, 1, kNetWorkersMax);
  layout.net_workers = std::clamp<uint32_t>(cores / kCoresPerNetWorker, 1, static_cast<uint32_t>(net_workers_max));
  if (cores > 2) {
    layout.threads = Layout::Threads::kCpuApart;
    layout.cpu_workers = std::clamp(cores / 2 - 1, 1U, kCpuWorkersMax);
  }
  Budget budget(memory);
  struct Line { const char* holder; Bytes most; };
  for (const auto& [holder, most] : {Line{"packet buffers", kPacketBuffers * layout.net_workers}, Line{"flows", kFlowState},
                                     Line{"manifests", kManifests}, Line{"sessions", kSessions}})
    if (Status status = budget.add(holder, most); !status.ok()) return status.error();
  const uint64_t fitting = budget.left().count() / kBufferSize;
  layout.buffers = static_cast<uint32_t>(std::clamp<uint64_t>(fitting, uint64_t{kBuffersMin} * layout.net_workers, kBuffersMax));
  if (Status status = budget.add("block buffers", Bytes(kBufferSize) * layout.buffers); !status.ok()) return status.error();
  const uint32_t divided = layout.buffers - 2 * std::min(layout.cpu_workers, layout.buffers / 8);
  layout.buffers_receiving = divided / 2;
  layout.buffers_sending = divided - layout.buffers_receiving;
  layout.memory_table = budget.table();
  return layout;
}

}  // namespace tideway::engine
