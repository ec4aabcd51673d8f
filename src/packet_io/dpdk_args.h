// SPDX-License-Identifier: Apache-2.0
//
// Arguments of EAL and of its virtual devices as text: checked before EAL sees them, because it prints its manual to
// stdout and ends with a number; and what its log says afterwards, turned into an error that a person can act on.
// Pure.
#pragma once
#include "packet_io/dpdk_config.h"
#include <tideway/result.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::packet_io {

// Where EAL puts the socket of its telemetry.
enum class RuntimeDir : uint8_t {
  kOwn,
  kShared,  // with all users, below /tmp: the first one's is the others' failure to start
};
struct EalPlace {
  std::vector<int> cpus;
  RuntimeDir runtime_dir = RuntimeDir::kOwn;
};

// The configured arguments, and what they leave open: virtual addresses for devices, no files, telemetry only in a folder
// of our own, and one EAL thread that may run on any of the cpus. Errors: config_invalid, naming the argument.
Result<std::vector<std::string>> eal_arguments(const DpdkConfig& config, const EalPlace& place);

// For ports that are joined in memory: any user, no huge pages, no devices, nothing left behind.
std::vector<std::string> eal_args_for_memory();

// Why rte_eal_init failed: no_hugepages or config_invalid. `log` is what it wrote, one message a line.
Error eal_failure(std::string_view cause, std::string_view log);
// Why there is no such port: `found` are those there are. A device that EAL could not start has left a line in `log`.
Error no_such_port(const std::string& device, std::span<const std::string> found, std::string_view log);

// Why a step of starting the port `name` failed. `log` is what was written meanwhile.
Error device_failure(const std::string& name, std::string_view step, std::string_view cause, std::string_view log);

// "0000:3b:00.0" of that or of "3b:00.0"; nothing for what is no PCI address.
std::optional<std::string> pci_address(std::string_view device);

// What the arguments of a net_af_packet device mean for packets.
struct AfPacketArgs {
  std::string interface;
  size_t frame_size = 2048;  // of its ring; a packet and 84 bytes of headers have to fit
};
AfPacketArgs parse_af_packet(std::string_view args);
// Errors: config_invalid, with the arguments to write.
Status check_af_packet(const AfPacketArgs& args, Bytes mtu, Bytes mtu_of_interface);

}  // namespace tideway::packet_io
