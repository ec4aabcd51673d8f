// SPDX-License-Identifier: Apache-2.0
//
// The packet backends this build has, by the name the configuration uses. `sim` is not among them: it needs a wire,
// and tests give it one.
// Thread: any.
#pragma once
#include "packet_io/dpdk_config.h"
#include "packet_io/telemetry.h"
#include "packet_io/udp_socket.h"
#include <tideway/packet_io.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tideway::packet_io {

// One part per backend; each reads its own.
struct PacketIoConfig {
  UdpConfig udp;
  DpdkConfig dpdk;
};

using PacketIos = std::vector<std::unique_ptr<PacketIo>>;

// What two backends of one process are made from.
using JoinedConfigs = std::pair<PacketIoConfig, PacketIoConfig>;

// What a device counts of one of its ports, since it was started.
struct PortCounters {
  std::string port;  // the device's name
  uint64_t received = 0, sent = 0;  // packets
  uint64_t received_bytes = 0, sent_bytes = 0;
  uint64_t missed = 0;          // came when no descriptor was free
  uint64_t dry = 0;             // came when no buffer was free
  uint64_t receive_errors = 0, send_errors = 0;
};

struct Backend {
  std::string_view name;
  // Once per process, before the first make; null: nothing to do. It may pin its caller to a core, so call it from a
  // throw-away thread.
  Status (*prepare)(const PacketIoConfig& config);
  // One for each of `workers` net workers, at once, because they may share a port; fewer, at least one, where that has
  // fewer queues and the configuration does not insist.
  Result<PacketIos> (*make)(const PacketIoConfig& config, uint16_t workers);
  // The same configurations, with ports for so many workers that are joined in memory, so that what one makes reaches
  // what the other makes and nobody else; after prepare. Null: this backend has none. The ports live as long as either configuration, or a
  // backend made from it, and serve one at a time.
  Result<JoinedConfigs> (*join)(JoinedConfigs configs, uint16_t workers);
  // The most that packets take for each of so many workers made from it. Null: no more than any backend does.
  Bytes (*memory)(const PacketIoConfig& config, uint16_t workers);
  // Shows a table to whoever asks the backend's tools, from then on; after prepare. Null: it has none.
  void (*publish)(TelemetryCommand command);
  // Of all its ports; after prepare. Null: the kernel counts them.
  std::vector<PortCounters> (*ports)();
};

std::span<const Backend> backends();

// Errors: config_invalid for a name this build does not have.
Result<const Backend*> find_backend(std::string_view name);

}  // namespace tideway::packet_io
