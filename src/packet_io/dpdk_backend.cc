// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_backend.h"

#include "packet_io/dpdk_eal.h"
#include "packet_io/dpdk_packet_io.h"

namespace tideway::packet_io {

Status prepare_dpdk(const PacketIoConfig& config) { return start_eal(config.dpdk); }

Result<PacketIos> make_dpdk(const PacketIoConfig& config, uint16_t workers) {
  auto port = DpdkPort::open(config.dpdk.port, workers);
  if (!port.ok()) return std::move(port).error();
  PacketIos all;
  for (uint16_t worker = 0; worker < workers; ++worker) {
    auto made = DpdkPacketIo::create({port.value(), worker, config.dpdk.clock});
    if (!made.ok()) return std::move(made).error();
    all.push_back(std::move(made).value());
  }
  return all;
}

}  // namespace tideway::packet_io
