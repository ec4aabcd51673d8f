// SPDX-License-Identifier: Apache-2.0
#include "engine/layout.h"

#include "engine/read_back.h"
#include "mem/budget.h"
#include "mem/buffer.h"

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr uint32_t kCpuWorkersMax = 32;
constexpr uint32_t kCoresPerNetWorker = 4;    // one moves 10 to 30 Gbit/s, which takes the others to read, hash and write
constexpr uint32_t kBuffersMin = 16;          // of each net worker: 6 to receive, 6 to send, the rest in cpu workers' hands
// Of each where nobody says how many there are to be: a peer with one lane finds no more, and every transfer reserves two.
constexpr uint32_t kBuffersWell = 128;
constexpr uint32_t kBuffersMax = 16'384;      // 64 GiB; blocks in flight of the fastest link we know of at 200 ms
constexpr Bytes kFlowState = 64_MiB;          // sent-packet rings and replay windows of a few dozen flows
constexpr Bytes kManifests = 128_MiB;         // entries, pages and directory listings of the active transfers
constexpr Bytes kSessions = 16_MiB;           // TLS, messages under way
constexpr Bytes kReadBack = kLeafSize * LeafBuffers::kCount;

}  // namespace

uint32_t net_workers_most(uint32_t cores) { return std::clamp(cores / kCoresPerNetWorker, 1U, kNetWorkersMax); }

static uint32_t net_workers_for(const LayoutOrder& order) {
  const Bytes each = order.packets_each + order.capture_each + Bytes(kBufferSize) * kBuffersWell;
  const Bytes shared = kFlowState + kManifests + kSessions + kReadBack;
  const uint64_t fit = order.memory > shared ? (order.memory - shared).count() / each.count() : 0;
  return static_cast<uint32_t>(std::clamp<uint64_t>(fit, 1, net_workers_most(order.cores)));
}

Result<Layout> plan_layout(const LayoutOrder& order) {
  Layout layout;
  layout.net_workers = order.net_workers == 0 ? net_workers_for(order) : order.net_workers;
  if (order.cores > 2) {
    layout.threads = Layout::Threads::kCpuApart;
    layout.cpu_workers = std::clamp(order.cores / 2 - 1, 1U, kCpuWorkersMax);
  }
  Budget budget(order.memory);
  struct Line { const char* holder; Bytes most; };
  for (const auto& [holder, most] : {Line{"packet buffers", order.packets_each * layout.net_workers}, Line{"capture", order.capture_each * layout.net_workers},
                                     Line{"flows", kFlowState}, Line{"manifests", kManifests}, Line{"sessions", kSessions}, Line{"leaves read back", kReadBack}})
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
