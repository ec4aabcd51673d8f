// SPDX-License-Identifier: Apache-2.0
#include "packet_io/registry.h"

#include "packet_io/udp_packet_io.h"

namespace tideway::packet_io {
namespace {

Result<std::unique_ptr<PacketIo>> make_udp(const PacketIoConfig& config) {
  auto made = UdpPacketIo::create(config.udp);
  if (!made.ok()) return std::move(made).error();
  return std::unique_ptr<PacketIo>(std::move(made).value());
}

constexpr Backend kBackends[] = {
    {"udp", make_udp},
};

}  // namespace

std::span<const Backend> backends() { return kBackends; }

Result<std::unique_ptr<PacketIo>> make_packet_io(std::string_view backend, const PacketIoConfig& config) {
  std::string names;
  for (const Backend& row : kBackends) {
    if (row.name == backend) return row.make(config);
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  return Error{Fault::kConfigInvalid, "there is no packet backend \"" + std::string(backend) + "\" in this build",
               "set backend in [data_plane] to one of: " + names};
}

}  // namespace tideway::packet_io
