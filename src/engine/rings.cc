// SPDX-License-Identifier: Apache-2.0
#include "engine/rings.h"

namespace tideway::engine {

Rings::Rings(size_t net_workers, size_t cpu_workers, size_t buffers) {
  for (size_t net = 0; net < net_workers; ++net) {
    auto& row = net_cpu.emplace_back();
    for (size_t cpu = 0; cpu < cpu_workers; ++cpu) row.push_back(std::make_unique<NetCpuRings>(buffers));
    io_net.push_back(std::make_unique<IoNetRings>(buffers));
    net_control.push_back(std::make_unique<ControlRings<NetCommand, NetEvent>>());
  }
  for (size_t cpu = 0; cpu < cpu_workers; ++cpu) io_cpu.push_back(std::make_unique<IoCpuRings>(buffers));
}

}  // namespace tideway::engine
