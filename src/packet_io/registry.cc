// SPDX-License-Identifier: Apache-2.0
#include "packet_io/registry.h"

#include "packet_io/udp_packet_io.h"

#ifdef TIDEWAY_HAS_DPDK
#include "packet_io/dpdk_backend.h"
#include "packet_io/dpdk_telemetry.h"
#endif

namespace tideway::packet_io {
namespace {

Result<PacketIos> make_udp(const PacketIoConfig& config, uint16_t workers) {
  PacketIos all;
  for (uint16_t worker = 0; worker < workers; ++worker) {
    auto made = UdpPacketIo::create(config.udp);
    if (!made.ok()) return std::move(made).error();
    all.push_back(std::move(made).value());
  }
  return all;
}

constexpr Backend kBackends[] = {
    {"udp", nullptr, make_udp, nullptr, nullptr, nullptr, nullptr},
#ifdef TIDEWAY_HAS_DPDK
    {"dpdk", prepare_dpdk, make_dpdk, join_dpdk, memory_of_dpdk, publish_dpdk_telemetry, count_dpdk_ports},
#endif
};

}  // namespace

std::span<const Backend> backends() { return kBackends; }

Result<const Backend*> find_backend(std::string_view name) {
  std::string names;
  for (const Backend& row : kBackends) {
    if (row.name == name) return &row;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  return Error{Fault::kConfigInvalid, "there is no packet backend \"" + std::string(name) + "\" in this build",
               "set backend in [data_plane] to one of: " + names};
}

}  // namespace tideway::packet_io
