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

Result<std::unique_ptr<packet_io::CaptureFile>> capture_packets(const std::string& file, packet_io::PacketIos& ios) {
  // Taken once: a wall clock that is set meanwhile does not put packets out of order.
  const Duration utc_offset = std::chrono::system_clock::now().time_since_epoch() - read_clock().time_since_epoch();
  const auto workers = static_cast<uint32_t>(ios.size());
  auto capture = packet_io::CaptureFile::create({.file = file, .clock = read_clock, .utc_offset = utc_offset}, workers);
  if (!capture.ok()) return capture;
  for (uint32_t worker = 0; worker < workers; ++worker)
    ios[worker] = capture.value()->capture(worker, std::move(ios[worker]));
  return capture;
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
