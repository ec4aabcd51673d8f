// SPDX-License-Identifier: Apache-2.0
//
// One Ethernet port of DPDK: found, checked against what the configuration wants of it, configured with one pair of
// queues and one mbuf pool per net worker, started, and stopped with its last user.
//
// Every local UDP port belongs to one queue's worker. What the device brings to another one goes to its owner through
// that queue's inbox, a ring of mbufs; where the device has flow rules, it is told to bring it to the right queue at once.
//
// A pool has mbufs of one size: the headroom and the largest frame. It is on the port's NUMA node, and large enough that
// full descriptor rings leave two bursts for each hand they pass through.
// Thread: open() from any; the rest as each says.
#pragma once
#include "packet_io/dpdk_memory.h"
#include "packet_io/kernel_interface.h"
#include <tideway/result.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

struct rte_flow;
struct rte_mbuf;
struct rte_mempool;
struct rte_ring;

namespace tideway::packet_io {

inline constexpr Duration kLinkPeriod = std::chrono::milliseconds(100);  // between two questions to the device

struct DpdkPortStats {
  uint64_t packets_received = 0, packets_sent = 0;
  uint64_t receive_missed = 0;   // the device had no descriptor: the worker came too late
  uint64_t receive_dry = 0;      // no mbuf was free
  uint64_t receive_errors = 0, send_errors = 0;
};

// What the port does so that we need not.
struct DpdkOffloads {
  bool ipv4_checksum = false, udp_checksum = false;  // on send
  bool udp_verify = false;                           // on receive
};

class DpdkPort {
 public:
  // Thread: any, after start_eal. Errors: config_invalid, naming the key or command that helps; no_hugepages, no_memory.
  static Result<std::shared_ptr<DpdkPort>> open(const DpdkPortConfig& config, uint16_t queues);
  ~DpdkPort();  // no packet is out, and no worker polls anymore
  DpdkPort(const DpdkPort&) = delete;
  DpdkPort& operator=(const DpdkPort&) = delete;

  // Set once.
  uint16_t id() const { return id_; }
  const std::string& name() const { return name_; }
  const DpdkPortConfig& config() const { return config_; }
  const DpdkOffloads& offloads() const { return offloads_; }
  const ip::MacAddress& mac() const { return mac_; }
  ip::HostConfig host_config() const;
  uint16_t queues() const { return static_cast<uint16_t>(pools_.size()); }
  rte_mempool* pool(uint16_t queue) const { return pools_[queue]; }

  // A local UDP port for the worker of `queue` alone, until it lets go. False: another worker has it. Thread: any net
  // worker.
  bool claim(uint16_t udp_port, uint16_t queue);
  void let_go(uint16_t udp_port);
  std::optional<uint16_t> owner_of(uint16_t udp_port) const;
  // Gives an mbuf to the worker of another queue. False: its inbox is full, and the mbuf is still the caller's.
  bool hand_over(uint16_t queue, rte_mbuf* mbuf);
  // What others gave to `queue`. Thread: its worker.
  size_t take_over(uint16_t queue, std::span<rte_mbuf*> out);

  // Lets the device receive these multicast groups, or everything where it cannot choose. Thread: any, once.
  void join(std::span<const ip::MacAddress> groups);
  // Asks the device for its link at most once per kLinkPeriod, and logs a change. Thread: the first queue's worker.
  void watch_link(Time now);
  bool is_link_up() const { return link_.load(std::memory_order_relaxed) == LinkState::kUp; }  // thread: any, as the next
  bool is_gone() const { return link_.load(std::memory_order_relaxed) == LinkState::kGone; }   // for good
  DpdkPortStats stats() const;                                                     // thread: any

 private:
  struct Wanted;
  DpdkPort(uint16_t id, std::string name, const DpdkPortConfig& config) : id_(id), name_(std::move(name)), config_(config) {}
  Status start(uint16_t queues);
  Status set_up_queues(uint16_t queues, const Wanted& wanted);
  Status set_mtu();
  void take_mac();
  Status make_inboxes(uint16_t queues);
  void steer(uint16_t udp_port, uint16_t queue);
  std::optional<LinkState> ask_link() const;
  Error device_error(const char* step, int cause) const;

  const uint16_t id_;
  const std::string name_;
  const DpdkPortConfig config_;
  DpdkOffloads offloads_;
  ip::MacAddress mac_;
  unsigned interface_ = 0;  // of the kernel, below the port; 0: none
  std::vector<rte_mempool*> pools_;
  std::vector<rte_ring*> inboxes_;                // none where there is one queue
  std::vector<std::atomic<uint16_t>> owners_;     // by UDP port: queue plus one; 0: nobody
  struct Rule { std::array<rte_flow*, 2> of_family{}; };  // IPv4, IPv6
  std::vector<Rule> rules_;                       // by UDP port; each touched by its owner only
  std::atomic<bool> can_steer_{false};            // until the device refuses a rule
  std::string log_before_;  // of DPDK, when this began to start
  bool is_started_ = false;
  std::atomic<LinkState> link_{LinkState::kUp};
  Time link_asked_at_{};
};

}  // namespace tideway::packet_io
