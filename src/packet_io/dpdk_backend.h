// SPDX-License-Identifier: Apache-2.0
//
// The row "dpdk" of the registry.
#pragma once
#include "packet_io/registry.h"

namespace tideway::packet_io {

Status prepare_dpdk(const PacketIoConfig& config);
Result<PacketIos> make_dpdk(const PacketIoConfig& config, uint16_t workers);
Result<JoinedConfigs> join_dpdk(JoinedConfigs configs, uint16_t workers);
Bytes memory_of_dpdk(const PacketIoConfig& config, uint16_t workers);
std::vector<PortCounters> count_dpdk_ports();  // thread: any

}  // namespace tideway::packet_io
