// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_backend.h"

#include "packet_io/dpdk_eal.h"
#include "packet_io/dpdk_packet_io.h"
#include "packet_io/dpdk_ring_pair.h"

#include <algorithm>

namespace tideway::packet_io {
namespace {

constexpr uint32_t kRingSlots = 1'024;  // in each direction: what 2 ms of 6 Gbit/s are; less than the mbufs of a port

using Ports = std::vector<std::shared_ptr<DpdkPort>>;

Result<Ports> ports_of(const DpdkConfig& config, uint16_t workers) {
  if (config.opened != nullptr) return Ports{config.opened};
  const size_t queues = std::max<size_t>(1, workers / config.ports.size());
  Ports ports;
  for (const DpdkPortConfig& wanted : config.ports) {
    auto port = DpdkPort::open(wanted, static_cast<uint16_t>(queues));
    if (!port.ok()) return std::move(port).error();
    ports.push_back(std::move(port).value());
  }
  return ports;
}

}  // namespace

Status prepare_dpdk(const PacketIoConfig& config) { return start_eal(config.dpdk); }

// Worker i works at port i modulo their number.
Result<PacketIos> make_dpdk(const PacketIoConfig& config, uint16_t workers) {
  auto made = ports_of(config.dpdk, workers);
  if (!made.ok()) return std::move(made).error();
  const Ports& ports = made.value();
  size_t count = std::max<size_t>(workers, ports.size());
  for (const auto& port : ports) count = std::min(count, port->queues() * ports.size());
  PacketIos all;
  for (size_t worker = 0; worker < count; ++worker) {
    auto io = DpdkPacketIo::create({ports[worker % ports.size()], static_cast<uint16_t>(worker / ports.size()), config.dpdk.clock});
    if (!io.ok()) return std::move(io).error();
    all.push_back(std::move(io).value());
  }
  return all;
}

Bytes memory_of_dpdk(const PacketIoConfig& config, uint16_t workers) { return packet_memory(config.dpdk, workers); }

// Either port holds both: a ring between them may hold packets of the other's pool.
Result<JoinedConfigs> join_dpdk(JoinedConfigs configs, uint16_t workers) {
  auto made = DpdkRingPair::create({configs.first.dpdk.ports.front(), configs.second.dpdk.ports.front()}, {.slots = kRingSlots, .queues = workers});
  if (!made.ok()) return std::move(made).error();
  const std::shared_ptr<DpdkRingPair> pair = std::move(made).value();
  configs.first.dpdk.opened = {pair, pair->a().get()};
  configs.second.dpdk.opened = {pair, pair->b().get()};
  return configs;
}

}  // namespace tideway::packet_io
