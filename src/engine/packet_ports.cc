// SPDX-License-Identifier: Apache-2.0
#include "engine/packet_ports.h"

#include "base/clock.h"

#include <string>
#include <thread>

namespace tideway::engine {
namespace {

Status prepare(const packet_io::Backend& backend, const packet_io::PacketIoConfig& packets) {
  Status status = success();
  if (backend.prepare != nullptr) std::thread([&] { status = backend.prepare(packets); }).join();
  return status;
}

}  // namespace

Result<packet_io::PacketIos> make_packet_ios(std::string_view backend, packet_io::PacketIoConfig packets, uint32_t workers) {
  const auto row = packet_io::find_backend(backend);
  if (!row.ok()) return row.error();
  packets.dpdk.clock = read_clock;
  if (Status status = prepare(*row.value(), packets); !status.ok()) return std::move(status).error();
  return row.value()->make(packets, static_cast<uint16_t>(workers));
}

Result<packet_io::JoinedConfigs> join_packet_ios(std::string_view backend, packet_io::JoinedConfigs configs, uint32_t workers) {
  const auto row = packet_io::find_backend(backend);
  if (!row.ok() || row.value()->join == nullptr)
    return Error{Fault::kUnsupported, "this build has no packet backend \"" + std::string(backend) + "\" whose ports can be joined in memory",
                 "install DPDK (apt-get install libdpdk-dev dpdk), then configure and build again"};
  if (Status status = prepare(*row.value(), configs.first); !status.ok()) return std::move(status).error();
  return row.value()->join(std::move(configs), static_cast<uint16_t>(workers));
}

}  // namespace tideway::engine
