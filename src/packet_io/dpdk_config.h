// SPDX-License-Identifier: Apache-2.0
//
// What a DPDK port is started with. Names nothing of DPDK, so that configuration and engine can be built without it.
#pragma once
#include "ip/header_template.h"
#include "ip/host.h"
#include <tideway/time.h>

#include <memory>
#include <string>
#include <vector>

namespace tideway::packet_io {

class DpdkPort;

// How a net worker waits for packets, of which a port gives no notice.
enum class DpdkPoll : uint8_t {
  kAdaptive,  // sleeps longer the longer nothing comes
  kFull,      // never sleeps: a whole core, for the last microseconds
};

// Whether a device may be given memory without an IOMMU that confines it.
enum class DpdkDma : uint8_t { kConfined, kInsecure };

// What to do with a device that has fewer pairs of queues than there are to be net workers.
enum class DpdkQueues : uint8_t { kAtMost, kExactly };

struct DpdkPortConfig {
  std::string device;                     // name or PCI address; empty: the first that EAL found and nobody uses
  std::vector<ip::Prefix> addresses;      // owned by the port; the first is the one that peers are told
  std::vector<ip::IpAddress> next_hops;   // routers for who is not on link, one of each family at most
  Bytes mtu = Bytes(1500);
  uint16_t vlan = 0;                      // 0: no tag
  uint16_t udp_port = 7401;               // first of those that peers are told; the backend itself takes any
  DpdkQueues queues = DpdkQueues::kAtMost;
  ip::IcmpEcho icmp_echo = ip::IcmpEcho::kOn;
  ip::UdpChecksum udp_checksum = ip::UdpChecksum::kOffload;  // done in software where the port cannot
};

struct DpdkConfig {
  std::vector<std::string> eal_args;
  std::string file_prefix = "tideway";    // of what EAL leaves in the file system, unless eal_args say
  DpdkDma dma = DpdkDma::kConfined;
  DpdkPoll poll = DpdkPoll::kAdaptive;
  // Net workers are divided among them; each port has addresses of its own.
  std::vector<DpdkPortConfig> ports = std::vector<DpdkPortConfig>(1);
  std::shared_ptr<DpdkPort> opened{};     // taken instead of opening the first; it may serve one engine after the other
  Time (*clock)() = nullptr;              // for neighbours, announcements and the link; read once per receive
};

}  // namespace tideway::packet_io
