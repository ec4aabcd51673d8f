// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_ring_pair.h"

#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <atomic>
#include <cstring>

namespace tideway::packet_io {
namespace {

std::atomic<uint32_t> pairs_made{0};  // names are process-wide

void drain(rte_ring* ring) {
  void* item = nullptr;
  while (ring != nullptr && rte_ring_dequeue(ring, &item) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(item));
}

}  // namespace

Result<std::unique_ptr<DpdkRingPair>> DpdkRingPair::create(std::pair<DpdkPortConfig, DpdkPortConfig> configs, const DpdkRings& rings) {
  std::unique_ptr<DpdkRingPair> pair(new DpdkRingPair);
  const std::string number = std::to_string(++pairs_made);
  pair->names_[0] = "tw" + number + "a";
  pair->names_[1] = "tw" + number + "b";
  for (const size_t index : {size_t{0}, size_t{1}})
    if (Status status = pair->make_rings(index, rings); !status.ok()) return std::move(status).error();
  if (Status status = pair->make_port(0, std::move(configs.first)); !status.ok()) return std::move(status).error();
  if (Status status = pair->make_port(1, std::move(configs.second)); !status.ok()) return std::move(status).error();
  return pair;
}

Status DpdkRingPair::make_rings(size_t index, const DpdkRings& rings) {
  for (uint16_t queue = 0; queue < rings.queues; ++queue) {
    const std::string name = names_[index] + std::to_string(queue);
    rte_ring* ring = rte_ring_create(name.c_str(), rings.slots, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == nullptr)
      return Error{Fault::kNoMemory, "a ring of " + std::to_string(rings.slots) + " packets cannot be made: " + rte_strerror(rte_errno),
                   "raise -m in eal_args"};
    rings_[index].push_back(ring);
  }
  return success();
}

Status DpdkRingPair::make_port(size_t index, DpdkPortConfig config) {
  std::vector<rte_ring*>& out = rings_[index];
  std::vector<rte_ring*>& in = rings_[1 - index];
  const auto queues = static_cast<uint16_t>(out.size());
  if (rte_eth_from_rings(names_[index].c_str(), in.data(), queues, out.data(), queues, 0) < 0)
    return Error{Fault::kConfigInvalid, std::string("DPDK makes no port of rings: ") + rte_strerror(rte_errno),
                 "install the driver net_ring: apt-get install dpdk"};
  config.device = "net_ring_" + names_[index];
  auto port = DpdkPort::open(config, queues);
  if (!port.ok()) return std::move(port).error();
  ports_[index] = std::move(port).value();
  return success();
}

DpdkRingPair::~DpdkRingPair() {
  for (const auto& rings : rings_)  // what lies there belongs to the pools of the ports
    for (rte_ring* ring : rings) drain(ring);
  for (auto& port : ports_) port.reset();
  for (const std::string& name : names_) rte_vdev_uninit(("net_ring_" + name).c_str());
  for (const auto& rings : rings_)
    for (rte_ring* ring : rings) rte_ring_free(ring);
}

void DpdkRingPair::set_link(bool is_up) {
  TIDEWAY_CHECK((is_up ? rte_eth_dev_set_link_up(a()->id()) : rte_eth_dev_set_link_down(a()->id())) == 0);
}

bool DpdkRingPair::inject_a(std::span<const std::span<const std::byte>> parts, uint16_t queue) {
  rte_mbuf* first = nullptr;
  for (const auto part : parts) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(b()->pool(queue));
    TIDEWAY_CHECK(mbuf != nullptr && part.size() <= rte_pktmbuf_tailroom(mbuf));
    std::memcpy(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(part.size())), part.data(), part.size());
    if (first == nullptr) first = mbuf;
    else TIDEWAY_CHECK(rte_pktmbuf_chain(first, mbuf) == 0);
  }
  if (first != nullptr && rte_ring_enqueue(rings_[1][queue], first) == 0) return true;
  rte_pktmbuf_free(first);
  return false;
}

}  // namespace tideway::packet_io
