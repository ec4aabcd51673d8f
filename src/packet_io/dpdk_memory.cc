// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_memory.h"

#include "packet_io/dpdk_args.h"

#include <algorithm>

namespace tideway::packet_io {
namespace {

constexpr uint32_t kRoomSmall = 2'176, kRoomLarge = 9'728;
constexpr uint32_t kMbufHeadroom = 128;  // as Debian's DPDK is built
constexpr uint32_t kMbufRest = 256;      // DPDK's own part of an mbuf, and what it pads between two
constexpr uint64_t kSparePages = 16;     // for what is no packet

}  // namespace

uint32_t mbufs_of_pool(uint16_t queues) {
  return queues <= 1 ? kMbufs : kMbufs + (queues - 1U) * (kMbufsCached + kMbufsCached / 2) + kInboxSlots;
}

uint32_t mbuf_room(size_t frame) {
  const auto room = static_cast<uint32_t>(frame) + kMbufHeadroom;
  return room <= kRoomSmall ? kRoomSmall : std::max(room, kRoomLarge);
}

Bytes pool_memory(uint32_t mbufs, uint32_t room) { return Bytes(uint64_t{mbufs} * (room + kMbufRest)); }

Bytes packet_memory(const DpdkConfig& config, uint16_t workers) {
  size_t frame = 0;
  for (const DpdkPortConfig& port : config.ports) frame = std::max(frame, port.mtu.count() + kXdpHeadroom);
  for (const std::string& word : config.eal_args)
    if (word.find("net_af_packet") != word.npos) frame = std::max(frame, parse_af_packet(word).frame_size);
  const size_t queues = (workers + config.ports.size() - 1) / config.ports.size();
  return pool_memory(mbufs_of_pool(static_cast<uint16_t>(queues)), mbuf_room(frame));
}

Error out_of_packet_memory(const std::string& what, Bytes wanted, std::optional<HugePages> pages) {
  const std::string lack = what + " needs " + std::to_string((wanted.count() >> 20) + 1) + " MiB of packet memory";
  if (!pages) return {Fault::kNoMemory, lack + ", more than is left", "raise -m in eal_args of [data_plane.dpdk], such as to 1024"};
  const uint64_t needed = wanted.count() / kHugePage.count() + 1 + kSparePages;
  return {Fault::kNoHugepages, lack + ", and of " + std::to_string(pages->total) + " huge pages " + std::to_string(pages->free) + " are free",
          "reserve more: sysctl -w vm.nr_hugepages=" + std::to_string(pages->total + needed) + "; or add \"--no-huge\" to eal_args in [data_plane.dpdk]"};
}

}  // namespace tideway::packet_io
