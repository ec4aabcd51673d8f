// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_backend.h"

#include "packet_io/dpdk_eal.h"
#include "packet_io/dpdk_packet_io.h"
#include "packet_io/dpdk_ring_pair.h"

#include <algorithm>

namespace tideway::packet_io {
namespace {

constexpr uint32_t kRingSlots = 1'024;  // in each direction: what 2 ms of 6 Gbit/s are; less than the mbufs of a port

Result<std::shared_ptr<DpdkPort>> port_of(const PacketIoConfig& config, uint16_t workers) {
  const std::shared_ptr<DpdkPort>& opened = config.dpdk.opened;
  if (opened == nullptr) return DpdkPort::open(config.dpdk.port, workers);
  return opened;
}

}  // namespace

Status prepare_dpdk(const PacketIoConfig& config) { return start_eal(config.dpdk); }

Result<PacketIos> make_dpdk(const PacketIoConfig& config, uint16_t workers) {
  auto port = port_of(config, workers);
  if (!port.ok()) return std::move(port).error();
  PacketIos all;
  for (uint16_t worker = 0; worker < std::min(workers, port.value()->queues()); ++worker) {
    auto made = DpdkPacketIo::create({port.value(), worker, config.dpdk.clock});
    if (!made.ok()) return std::move(made).error();
    all.push_back(std::move(made).value());
  }
  return all;
}

// Either port holds both: a ring between them may hold packets of the other's pool.
Result<JoinedConfigs> join_dpdk(JoinedConfigs configs, uint16_t workers) {
  auto made = DpdkRingPair::create({configs.first.dpdk.port, configs.second.dpdk.port}, {.slots = kRingSlots, .queues = workers});
  if (!made.ok()) return std::move(made).error();
  const std::shared_ptr<DpdkRingPair> pair = std::move(made).value();
  configs.first.dpdk.opened = {pair, pair->a().get()};
  configs.second.dpdk.opened = {pair, pair->b().get()};
  return configs;
}

}  // namespace tideway::packet_io
