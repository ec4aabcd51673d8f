// SPDX-License-Identifier: Apache-2.0
//
// Two DPDK ports joined by rings in memory (net_ring): all of a port but the wire, for tests and the self-test. Works for
// an ordinary user with EAL's --no-huge --no-pci. Both ports lie in one process; an mbuf crosses as it is, so either
// side's packets live in the other's pool.
// Thread: any, after start_eal.
#pragma once
#include "packet_io/dpdk_port.h"

#include <memory>
#include <utility>
#include <vector>

struct rte_ring;

namespace tideway::packet_io {

// What one queue of the one port sends, the same queue of the other receives.
struct DpdkRings {
  uint32_t slots = 0;   // of each ring, a power of two; one less is how many packets wait in it
  uint16_t queues = 1;
};

class DpdkRingPair {
 public:
  // `device` of the two is set here. Errors: those of DpdkPort::open; no_memory.
  static Result<std::unique_ptr<DpdkRingPair>> create(std::pair<DpdkPortConfig, DpdkPortConfig> configs, const DpdkRings& rings);
  ~DpdkRingPair();  // nobody else has the ports anymore
  DpdkRingPair(const DpdkRingPair&) = delete;
  DpdkRingPair& operator=(const DpdkRingPair&) = delete;

  const std::shared_ptr<DpdkPort>& a() const { return ports_[0]; }
  const std::shared_ptr<DpdkPort>& b() const { return ports_[1]; }
  // Pulls the cable of `a`, or plugs it in.
  void set_link(bool is_up);
  // A frame put before a queue of `a` as if it had arrived, in one mbuf per part. False: the ring is full.
  bool inject_a(std::span<const std::span<const std::byte>> parts, uint16_t queue = 0);

 private:
  DpdkRingPair() = default;
  Status make_rings(size_t index, const DpdkRings& rings);
  Status make_port(size_t index, DpdkPortConfig config);
  std::vector<rte_ring*> rings_[2];  // from a to b, from b to a; by queue
  std::shared_ptr<DpdkPort> ports_[2];
  std::string names_[2];     // of the devices
};

}  // namespace tideway::packet_io
