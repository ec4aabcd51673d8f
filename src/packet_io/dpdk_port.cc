// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_port.h"

#include "packet_io/dpdk_backend.h"

#include "base/log.h"
#include "packet_io/dpdk_args.h"
#include "packet_io/dpdk_eal.h"
#include "packet_io/dpdk_host.h"

#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace tideway::packet_io {
namespace {

constexpr size_t kEthernetMax = 22;                         // header, tag, and the checksum that some devices leave on
constexpr std::string_view kAfPacket = "net_af_packet", kAfXdp = "net_af_xdp";
constexpr uint16_t kXdpMtuMax = 3'400;   // an mbuf with its header is one chunk of UMEM: a page of 4 KiB, less what DPDK pads

std::optional<HugePages> huge_pages() {
  if (rte_eal_has_hugepages() == 0) return std::nullopt;
  const DpdkHost host = DpdkHost::look("");
  return HugePages{host.huge_pages, host.huge_pages_free};
}

std::string name_of(uint16_t port) {
  char name[RTE_ETH_NAME_MAX_LEN] = {};
  return rte_eth_dev_get_name_by_port(port, name) == 0 ? name : "";
}

// A port belongs to one user of this process; ethdev keeps the book.
bool claim(uint16_t port) {
  rte_eth_dev_owner owner{};
  if (rte_eth_dev_owner_new(&owner.id) != 0) return false;
  std::strncpy(owner.name, "tideway", sizeof owner.name - 1);
  return rte_eth_dev_owner_set(port, &owner) == 0;
}

// Why a device that exists is none of DPDK's ports. Nothing: it cannot be seen from here.
std::optional<Error> pci_trouble(const std::string& address) {
  const std::string folder = "/sys/bus/pci/devices/" + address;
  if (access(folder.c_str(), F_OK) != 0)
    return Error{Fault::kConfigInvalid, "there is no PCI device " + address + " on this host",
                 "set device in [data_plane.dpdk] to one that `dpdk-devbind.py --status-dev net` lists"};
  char target[256] = {};
  const ssize_t length = readlink((folder + "/driver").c_str(), target, sizeof target - 1);
  std::string driver = length > 0 ? target : "no";
  driver = driver.substr(driver.rfind('/') + 1);
  if (!driver.starts_with("vfio") && !driver.starts_with("mlx"))
    return Error{Fault::kConfigInvalid, "the PCI device " + address + " is bound to the driver " + driver + ", where DPDK cannot have it",
                 "dpdk-devbind.py --bind=vfio-pci " + address + " (the kernel loses the interface)"};
  if (access((folder + "/iommu_group").c_str(), F_OK) != 0)
    return Error{Fault::kConfigInvalid, "the PCI device " + address + " is behind no IOMMU",
                 "turn it on (intel_iommu=on or amd_iommu=on on the kernel's command line), or set insecure_dma = true in [data_plane.dpdk]"};
  return std::nullopt;
}

// Of the PCI devices that --allow names, the first in whose way something is.
std::optional<Error> trouble_of_allowed() {
  rte_devargs* devargs = nullptr;
  RTE_EAL_DEVARGS_FOREACH("pci", devargs) {
    if (devargs->policy != RTE_DEV_ALLOWED) continue;
    if (const auto address = pci_address(devargs->name))
      if (auto trouble = pci_trouble(*address)) return trouble;
  }
  return std::nullopt;
}

Result<uint16_t> find_port(const std::string& device) {
  const auto address = pci_address(device);
  const std::string wanted = address.value_or(device);
  std::vector<std::string> free;
  for (uint16_t port = rte_eth_find_next(0); port < RTE_MAX_ETHPORTS; port = rte_eth_find_next(static_cast<uint16_t>(port + 1))) {
    rte_eth_dev_owner owner{};
    if (rte_eth_dev_owner_get(port, &owner) != 0 || owner.id != RTE_ETH_DEV_NO_OWNER) continue;
    const std::string name = name_of(port);
    if (wanted.empty() || name == wanted) {
      if (claim(port)) return port;
      continue;
    }
    free.push_back(name);
  }
  if (address)
    if (auto trouble = pci_trouble(*address)) return std::move(*trouble);
  if (free.empty())
    if (auto trouble = trouble_of_allowed()) return std::move(*trouble);
  return no_such_port(wanted, free, eal_log());
}

// Some drivers leave their limit to the size of a frame.
uint16_t mtu_max_of(const rte_eth_dev_info& info) {
  if (info.driver_name == kAfXdp) return std::min(info.max_mtu, kXdpMtuMax);
  constexpr uint32_t kHeaderAndChecksum = 18;
  if (info.max_mtu != UINT16_MAX || info.max_rx_pktlen <= kHeaderAndChecksum) return info.max_mtu;
  return static_cast<uint16_t>(std::min<uint32_t>(info.max_rx_pktlen - kHeaderAndChecksum, UINT16_MAX));
}

}  // namespace

// What a device is asked for, once its limits are known.
struct DpdkPort::Wanted {
  rte_eth_dev_info info{};
  rte_eth_conf conf{};
  uint32_t room = 0;             // of an mbuf
  bool is_mtu_outside = false;   // net_af_packet: the interface's, which the administrator sets
};

Error DpdkPort::device_error(const char* step, int cause) const {
  std::string log = eal_log();
  if (log.starts_with(log_before_)) log.erase(0, log_before_.size());
  return device_failure(name_, step, rte_strerror(cause < 0 ? -cause : cause), log);
}

Result<std::shared_ptr<DpdkPort>> DpdkPort::open(const DpdkPortConfig& config, uint16_t queues) {
  const auto id = find_port(config.device);
  if (!id.ok()) return id.error();
  std::shared_ptr<DpdkPort> port(new DpdkPort(id.value(), name_of(id.value()), config));
  if (Status status = port->start(queues); !status.ok()) return std::move(status).error();
  log::info("dpdk_port", "device=" + port->name_ + " mac=" + to_string(port->mac_) + " queues=" + std::to_string(port->queues()) +
                             " mtu=" + std::to_string(config.mtu.count()));
  return port;
}

DpdkPort::~DpdkPort() {
  for (uint32_t udp_port = 0; udp_port < rules_.size(); ++udp_port) let_go(static_cast<uint16_t>(udp_port));
  if (is_started_ && rte_eth_dev_stop(id_) != 0) log::debug("dpdk_port_not_stopped", "device=" + name_);
  if (rte_eth_dev_close(id_) != 0) log::debug("dpdk_port_not_closed", "device=" + name_);
  for (rte_ring* inbox : inboxes_) {
    void* item = nullptr;
    while (rte_ring_dequeue(inbox, &item) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(item));
    rte_ring_free(inbox);
  }
  for (rte_mempool* pool : pools_) {
    // A ring or a driver that still has some would write into memory that is somebody else's by then.
    if (rte_mempool_full(pool) == 1) rte_mempool_free(pool);
    else log::debug("dpdk_pool_kept", "device=" + name_ + " missing=" + std::to_string(rte_mempool_in_use_count(pool)));
  }
}

Status DpdkPort::start(uint16_t queues) {
  log_before_ = eal_log();
  Wanted wanted;
  if (const int failure = rte_eth_dev_info_get(id_, &wanted.info); failure != 0) return device_error("asking what it can do", failure);
  const rte_eth_dev_info& info = wanted.info;
  const std::string_view driver = info.driver_name;
  interface_ = info.if_index;
  const uint16_t queues_max = std::min(info.max_rx_queues, info.max_tx_queues);
  if (queues_max > 0 && config_.queues == DpdkQueues::kAtMost) queues = std::min(queues, queues_max);
  if (queues_max < queues)
    return Error{Fault::kConfigInvalid,
                 "the DPDK port " + name_ + " has " + std::to_string(queues_max) +
                     " queue pairs, fewer than queues in [data_plane.dpdk]: " + std::to_string(queues),
                 driver == kAfPacket ? "add qpairs=" + std::to_string(queues) + " to its --vdev in eal_args"
                                     : "lower queues, or take a device that has more"};
  size_t frame = config_.mtu.count() + kEthernetMax;
  if (driver == kAfPacket) {
    const rte_devargs* devargs = rte_dev_devargs(info.device);
    const AfPacketArgs args = parse_af_packet(devargs != nullptr && devargs->args != nullptr ? devargs->args : "");
    if (Status status = check_af_packet(args, config_.mtu, mtu_of_interface(args.interface)); !status.ok()) return status;
    frame = std::max(frame, args.frame_size);  // it copies what arrives without a look at the mbuf's size
    wanted.is_mtu_outside = true;
  }
  wanted.info.max_mtu = mtu_max_of(info);
  if (driver == kAfXdp) frame += kXdpHeadroom;
  if (!wanted.is_mtu_outside && (config_.mtu.count() > info.max_mtu || config_.mtu.count() < info.min_mtu))
    return Error{Fault::kConfigInvalid,
                 "the DPDK port " + name_ + " carries packets of " + std::to_string(info.min_mtu) + " to " + std::to_string(info.max_mtu) +
                     " bytes, and mtu in [data_plane.dpdk] is " + std::to_string(config_.mtu.count()),
                 "set mtu to " + std::to_string(std::clamp<size_t>(config_.mtu.count(), info.min_mtu, info.max_mtu))};
  wanted.room = driver == kAfXdp ? std::max(static_cast<uint32_t>(frame) + RTE_PKTMBUF_HEADROOM, mbuf_room(0)) : mbuf_room(frame);
  // FAST_FREE excludes MULTI_SEGS, which we have no use for: a packet is one mbuf of its queue's pool.
  const uint64_t send = info.tx_offload_capa & (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
                                                RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
  const uint64_t receive = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
  offloads_ = {(send & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0, (send & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0, receive != 0};
  wanted.conf.txmode.offloads = send;
  wanted.conf.rxmode.offloads = receive;
  if (!wanted.is_mtu_outside) wanted.conf.rxmode.mtu = static_cast<uint32_t>(config_.mtu.count());
  if (const uint64_t hashed = info.flow_type_rss_offloads & RTE_ETH_RSS_UDP; queues > 1 && hashed != 0) {
    wanted.conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    wanted.conf.rx_adv_conf.rss_conf.rss_hf = hashed;
  }
  if (Status status = set_up_queues(queues, wanted); !status.ok()) return status;
  if (!wanted.is_mtu_outside)
    if (Status status = set_mtu(); !status.ok()) return status;
  take_mac();
  if (Status status = make_inboxes(queues); !status.ok()) return status;
  if (const int failure = rte_eth_dev_start(id_); failure != 0) return device_error("starting", failure);
  is_started_ = true;
  return success();
}

Status DpdkPort::set_up_queues(uint16_t queues, const Wanted& wanted) {
  if (const int failure = rte_eth_dev_configure(id_, queues, queues, &wanted.conf); failure != 0) return device_error("configuring", failure);
  uint16_t receive = kReceiveDescriptors, send = kSendDescriptors;
  if (const int failure = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &receive, &send); failure != 0) return device_error("sizing its rings", failure);
  const int node = rte_eth_dev_socket_id(id_);
  // A device that insists on more descriptors needs more than was planned.
  const uint32_t mbufs = mbufs_of_pool(queues) - kMbufs + std::max<uint32_t>(kMbufs, receive + send + 1023U);
  for (uint16_t queue = 0; queue < queues; ++queue) {
    const std::string pool = "tw_" + std::to_string(id_) + '_' + std::to_string(queue);
    rte_mempool* made = rte_pktmbuf_pool_create(pool.c_str(), mbufs, kMbufsCached, 0, static_cast<uint16_t>(wanted.room), node);
    if (made == nullptr) {
      const Bytes wanted_more = pool_memory(mbufs, wanted.room) * (queues - queue);
      return out_of_packet_memory("the DPDK port " + name_, wanted_more, huge_pages());
    }
    pools_.push_back(made);
    const auto socket = static_cast<unsigned>(node);
    if (const int failure = rte_eth_rx_queue_setup(id_, queue, receive, socket, nullptr, made); failure != 0)
      return device_error("setting up a queue to receive", failure);
    rte_eth_txconf send_conf = wanted.info.default_txconf;
    send_conf.offloads = wanted.conf.txmode.offloads;
    if (const int failure = rte_eth_tx_queue_setup(id_, queue, send, socket, &send_conf); failure != 0)
      return device_error("setting up a queue to send", failure);
  }
  return success();
}

// Many devices took it with the configuration; a virtual one may want to be told, or cannot be.
Status DpdkPort::set_mtu() {
  const int failure = rte_eth_dev_set_mtu(id_, static_cast<uint16_t>(config_.mtu.count()));
  uint16_t now = 0;
  if (failure == 0 || (failure == -ENOTSUP && rte_eth_dev_get_mtu(id_, &now) == 0 && now >= config_.mtu.count())) return success();
  return Error{Fault::kConfigInvalid,
               "the DPDK port " + name_ + " refuses an mtu of " + std::to_string(config_.mtu.count()) + " (" + rte_strerror(-failure) + ')',
               "lower mtu in [data_plane.dpdk]"};
}

void DpdkPort::take_mac() {
  rte_ether_addr address{};
  if (rte_eth_macaddr_get(id_, &address) != 0 || rte_is_zero_ether_addr(&address) != 0) {
    // net_ring has none: a random one of the locally administered range, which it need not know.
    rte_eth_random_addr(address.addr_bytes);
    if (rte_eth_dev_default_mac_addr_set(id_, &address) != 0) rte_eth_promiscuous_enable(id_);
  }
  std::memcpy(mac_.bytes.data(), address.addr_bytes, mac_.bytes.size());
}

// ---- several queues ------------------------------------------------------------------------------------------------

Status DpdkPort::make_inboxes(uint16_t queues) {
  if (queues == 1) return success();
  owners_ = std::vector<std::atomic<uint16_t>>(65'536);
  rules_.resize(owners_.size());
  can_steer_ = true;
  for (uint16_t queue = 0; queue < queues; ++queue) {
    const std::string name = "tw_in_" + std::to_string(id_) + '_' + std::to_string(queue);
    rte_ring* inbox = rte_ring_create(name.c_str(), kInboxSlots, rte_eth_dev_socket_id(id_), RING_F_SC_DEQ);
    if (inbox == nullptr) return out_of_packet_memory("a ring of " + std::to_string(kInboxSlots) + " packets", Bytes(kInboxSlots * sizeof(void*)), huge_pages());
    inboxes_.push_back(inbox);
  }
  return success();
}

bool DpdkPort::claim(uint16_t udp_port, uint16_t queue) {
  if (owners_.empty()) return true;
  uint16_t nobody = 0;
  if (!owners_[udp_port].compare_exchange_strong(nobody, static_cast<uint16_t>(queue + 1), std::memory_order_acquire)) return false;
  if (can_steer_.load(std::memory_order_relaxed)) steer(udp_port, queue);
  return true;
}

void DpdkPort::let_go(uint16_t udp_port) {
  if (owners_.empty()) return;
  for (rte_flow*& rule : rules_[udp_port].of_family) {
    rte_flow_error why{};
    if (rule != nullptr && rte_flow_destroy(id_, rule, &why) != 0) log::debug("dpdk_rule_not_removed", "device=" + name_);
    rule = nullptr;
  }
  owners_[udp_port].store(0, std::memory_order_release);
}

std::optional<uint16_t> DpdkPort::owner_of(uint16_t udp_port) const {
  const uint16_t owner = owners_.empty() ? 0 : owners_[udp_port].load(std::memory_order_relaxed);
  return owner == 0 ? std::nullopt : std::optional(static_cast<uint16_t>(owner - 1));
}

// One rule per family: UDP to this port goes to this queue. A device that knows none is not asked again; RSS then
// spreads, and the inboxes put right what it cannot know.
void DpdkPort::steer(uint16_t udp_port, uint16_t queue) {
  rte_flow_attr attr{};
  attr.ingress = 1;
  rte_flow_item_udp wanted{}, mask{};
  wanted.hdr.dst_port = rte_cpu_to_be_16(udp_port);
  mask.hdr.dst_port = 0xFFFF;
  rte_flow_action_queue to{};
  to.index = queue;
  rte_flow_action actions[2]{};
  actions[0].type = RTE_FLOW_ACTION_TYPE_QUEUE;
  actions[0].conf = &to;
  actions[1].type = RTE_FLOW_ACTION_TYPE_END;
  for (const size_t family : {size_t{0}, size_t{1}}) {
    rte_flow_item items[4]{};
    items[0].type = RTE_FLOW_ITEM_TYPE_ETH;
    items[1].type = family == 0 ? RTE_FLOW_ITEM_TYPE_IPV4 : RTE_FLOW_ITEM_TYPE_IPV6;
    items[2].type = RTE_FLOW_ITEM_TYPE_UDP;
    items[2].spec = &wanted;
    items[2].mask = &mask;
    items[3].type = RTE_FLOW_ITEM_TYPE_END;
    rte_flow_error why{};
    rte_flow*& rule = rules_[udp_port].of_family[family];
    rule = rte_flow_create(id_, &attr, items, actions, &why);
    if (rule != nullptr || !can_steer_.exchange(false, std::memory_order_relaxed)) continue;
    log::info("dpdk_port_not_steered", "device=" + name_ + " why=\"" + (why.message != nullptr ? why.message : "no flow rules") +
                                           "\" next=\"packets that reach another worker are handed over in memory\"");
  }
}

bool DpdkPort::hand_over(uint16_t queue, rte_mbuf* mbuf) { return rte_ring_enqueue(inboxes_[queue], mbuf) == 0; }

size_t DpdkPort::take_over(uint16_t queue, std::span<rte_mbuf*> out) {
  if (inboxes_.empty()) return 0;
  return rte_ring_dequeue_burst(inboxes_[queue], reinterpret_cast<void**>(out.data()), static_cast<unsigned>(out.size()), nullptr);
}

ip::HostConfig DpdkPort::host_config() const {
  ip::HostConfig host{.mac = mac_, .prefixes = config_.addresses, .vlan = config_.vlan, .icmp_echo = config_.icmp_echo,
                      .udp_check = offloads_.udp_verify ? ip::UdpCheck::kSkip : ip::UdpCheck::kVerify};
  for (const ip::IpAddress& hop : config_.next_hops) (ip::is_ipv4(hop) ? host.next_hop_ipv4 : host.next_hop_ipv6) = hop;
  return host;
}

void DpdkPort::join(std::span<const ip::MacAddress> groups) {
  if (groups.empty()) return;
  std::vector<rte_ether_addr> addresses(groups.size());
  for (size_t i = 0; i < groups.size(); ++i) std::memcpy(addresses[i].addr_bytes, groups[i].bytes.data(), sizeof addresses[i].addr_bytes);
  if (rte_eth_dev_set_mc_addr_list(id_, addresses.data(), static_cast<uint32_t>(addresses.size())) == 0) return;
  if (rte_eth_allmulticast_enable(id_) == 0 || rte_eth_promiscuous_enable(id_) == 0) return;
  log::debug("dpdk_port_multicast", "device=" + name_ + " cannot be told which groups to receive");
}

std::optional<LinkState> DpdkPort::ask_link() const {
  if (rte_eth_dev_is_removed(id_) == 1) return LinkState::kGone;
  if (interface_ != 0)
    if (const auto link = link_of_interface(interface_); link && *link != LinkState::kUp) return link;
  rte_eth_link link{};
  if (rte_eth_link_get_nowait(id_, &link) != 0) return std::nullopt;
  return link.link_status == RTE_ETH_LINK_UP ? LinkState::kUp : LinkState::kDown;
}

void DpdkPort::watch_link(Time now) {
  if (now < link_asked_at_ + kLinkPeriod || is_gone()) return;
  link_asked_at_ = now;
  const auto link = ask_link();
  if (!link || link_.exchange(*link, std::memory_order_relaxed) == *link) return;
  switch (*link) {
    case LinkState::kUp: return log::info("dpdk_link_up", "device=" + name_);
    case LinkState::kDown: return log::warning("dpdk_link_down", "device=" + name_ + " next=\"look at cable, switch or peer; the port goes on by itself\"");
    case LinkState::kGone: return log::warning("dpdk_port_gone", "device=" + name_ + " next=\"bring the device back and start the gateway again\"");
  }
}

DpdkPortStats DpdkPort::stats() const {
  rte_eth_stats stats{};
  if (rte_eth_stats_get(id_, &stats) != 0) return {};
  return {.packets_received = stats.ipackets, .packets_sent = stats.opackets, .receive_missed = stats.imissed,
          .receive_dry = stats.rx_nombuf, .receive_errors = stats.ierrors, .send_errors = stats.oerrors};
}

std::vector<PortCounters> count_dpdk_ports() {
  std::vector<PortCounters> all;
  for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; ++id) {
    if (rte_eth_dev_is_valid_port(id) == 0) continue;
    std::array<char, RTE_ETH_NAME_MAX_LEN> name{};
    rte_eth_stats stats{};
    if (rte_eth_dev_get_name_by_port(id, name.data()) != 0 || rte_eth_stats_get(id, &stats) != 0) continue;
    all.push_back({.port = name.data(), .received = stats.ipackets, .sent = stats.opackets, .received_bytes = stats.ibytes, .sent_bytes = stats.obytes, .missed = stats.imissed, .dry = stats.rx_nombuf,
                   .receive_errors = stats.ierrors, .send_errors = stats.oerrors});
  }
  return all;
}

}  // namespace tideway::packet_io
