// SPDX-License-Identifier: Apache-2.0
//
// The packet backends of an engine, from their registry, and the file that their packets are captured to. Starting a
// backend may pin its thread to a core, so that happens on a thread of its own.
// Thread: control.
#pragma once
#include "packet_io/capture_file.h"
#include "packet_io/registry.h"

#include <memory>
#include <string>
#include <string_view>

namespace tideway::engine {

// One for each of `workers` net workers. Errors: config_invalid, and those of the backend.
Result<packet_io::PacketIos> make_packet_ios(std::string_view backend, packet_io::PacketIoConfig packets, uint32_t workers);

// Puts a capture to `file` around each of `ios`. Errors: config_invalid.
Result<std::unique_ptr<packet_io::CaptureFile>> capture_packets(const std::string& file, packet_io::PacketIos& ios);

// Configurations for two engines of this process whose packets reach each other in memory (registry.h). Errors:
// unsupported, when this build has no such backend or it cannot; and those of the backend.
Result<packet_io::JoinedConfigs> join_packet_ios(std::string_view backend, packet_io::JoinedConfigs configs, uint32_t workers);

}  // namespace tideway::engine
