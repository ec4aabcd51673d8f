// SPDX-License-Identifier: Apache-2.0
//
// The packet backends this build has, by the name the configuration uses. `sim` is not among them: it needs a wire,
// and tests give it one.
// Thread: any.
#pragma once
#include "packet_io/udp_socket.h"
#include <tideway/packet_io.h>

#include <memory>
#include <span>
#include <string_view>

namespace tideway::packet_io {

// One part per backend; each reads its own.
struct PacketIoConfig {
  UdpConfig udp;
};

struct Backend {
  std::string_view name;
  Result<std::unique_ptr<PacketIo>> (*make)(const PacketIoConfig& config);  // one per net worker
};

std::span<const Backend> backends();

// Errors: config_invalid for a name this build does not have, and whatever the backend's own make says.
Result<std::unique_ptr<PacketIo>> make_packet_io(std::string_view backend, const PacketIoConfig& config);

}  // namespace tideway::packet_io
