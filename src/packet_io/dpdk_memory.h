// SPDX-License-Identifier: Apache-2.0
//
// How much memory the packets of DPDK ports take, so that a port and whoever plans for it count alike; and what to do
// where it cannot be had. Names nothing of DPDK. Pure.
#pragma once
#include "packet_io/dpdk_config.h"
#include <tideway/result.h>

#include <optional>
#include <string>

namespace tideway::packet_io {

inline constexpr uint16_t kReceiveDescriptors = 2048, kSendDescriptors = 1024;
inline constexpr uint32_t kMbufs = 4095;       // of one pool: descriptors, and 1,023 in other hands; 2^n - 1 suits DPDK best
inline constexpr uint32_t kMbufsCached = 256;  // of these, per thread
inline constexpr uint32_t kInboxSlots = 1024;  // of a queue; as many as can be received while its worker is busy
inline constexpr size_t kXdpHeadroom = 256;    // net_af_xdp: the kernel keeps it free in front of each frame

// Of one queue's pool, where the port has so many queues: what other workers free stays in their caches of it, up to one
// and a half times their size, or in an inbox.
uint32_t mbufs_of_pool(uint16_t queues);
// Of an mbuf that is to take frames of this size, DPDK's headroom included.
uint32_t mbuf_room(size_t frame);
Bytes pool_memory(uint32_t mbufs, uint32_t room);

// The most that packets take for each of so many net workers; the ports' largest mtu, and the largest frame that
// eal_args give a net_af_packet.
Bytes packet_memory(const DpdkConfig& config, uint16_t workers);

// Of this host; nothing where EAL runs with --no-huge.
struct HugePages {
  uint64_t total = 0, free = 0;
};
inline constexpr Bytes kHugePage = 2_MiB;  // unless the kernel was told otherwise

// `what` needed `wanted` more than there is. The fault is no_hugepages, with how many to reserve, or no_memory.
Error out_of_packet_memory(const std::string& what, Bytes wanted, std::optional<HugePages> pages);

}  // namespace tideway::packet_io
