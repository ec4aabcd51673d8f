// SPDX-License-Identifier: Apache-2.0
//
// The data plane over one pair of queues of a DPDK port. Room is an mbuf; headers go in front of it when it is sent. The
// port is a host by itself (ip/host.h), which this drives from receive(): answers, questions, announcements, the link.
//
// Packets towards a next hop that has not answered yet stay with the caller for kResolveTime, so that the first of a
// flow are not lost, and are dropped after that, so that they do not hold up others for ever.
// Thread: net worker; create() and the destructor may run elsewhere, when the worker has ended.
#pragma once
#include "base/thread_owner.h"
#include "packet_io/dpdk_port.h"
#include "packet_io/dpdk_stats.h"
#include <tideway/packet_io.h>

#include <array>
#include <memory>
#include <optional>
#include <vector>

struct rte_mbuf;

namespace tideway::packet_io {

inline constexpr size_t kDpdkPathsMax = 4096;                           // of one net worker: 64 flows each for 64 peers
inline constexpr Duration kResolveTime = std::chrono::milliseconds(1'500);  // three questions at 0, 250 and 750 ms, and time to answer

// One worker's part of a port.
struct DpdkQueue {
  std::shared_ptr<DpdkPort> port;
  uint16_t index = 0;
  Time (*clock)() = nullptr;
};

class DpdkPacketIo final : public PacketIo {
 public:
  // Errors: config_invalid, from ip::Host.
  static Result<std::unique_ptr<DpdkPacketIo>> create(DpdkQueue queue);
  ~DpdkPacketIo() override;  // all packets are home

  PacketIoLimits limits() const override;
  PacketIoLosses losses() const override;  // those of the device at the first queue's worker
  Result<Path> open_path(const PathSpec& spec) override;
  void close_path(PathId path) override;
  size_t allocate(PathId path, Bytes payload, std::span<Packet> out) override;
  size_t send(std::span<Packet> burst) override;
  size_t receive(std::span<Packet> out) override;

  const DpdkStats& stats() const { return stats_; }
  ip::HostStats host_stats() const { return host_.stats(); }
  const DpdkPort& port() const { return *queue_.port; }
  size_t packets_out() const { return packets_out_; }  // in the caller's hands

 private:
  struct PathRow {
    Endpoint local, remote;
    Dscp dscp = Dscp::kDefault;
    std::optional<ip::NextHopId> hop;
    std::optional<ip::HeaderTemplate> headers;
    std::optional<uint64_t> generation;  // of the host when `headers` were made
    std::optional<Time> waits_since;     // for its next hop
    uint16_t serial = 0;
    bool is_open = false;
  };
  enum class Fate : uint8_t { kSend, kWait, kClosed, kUnresolved };  // the last two: lost

  DpdkPacketIo(DpdkQueue queue, ip::Host host);
  void release(Packet& packet) override;
  PathRow* find(PathId path);
  Result<uint16_t> claim_any_port();
  Fate fate_of(PathRow* path);
  void write_headers(const PathRow& path, const Packet& packet);
  size_t hand_to_port(std::span<rte_mbuf*> mbufs);
  void live(Time now);
  bool send_own_frame(Time now);
  enum class Brought : uint8_t { kByDevice, kByWorker };
  std::optional<Packet> take(Time now, rte_mbuf* mbuf, Brought by);
  void hand_over(uint16_t queue, rte_mbuf* mbuf);
  void share_with_hosts(rte_mbuf* mbuf);
  size_t take_all(Time now, std::span<rte_mbuf*> mbufs, Brought by, std::span<Packet> out);

  const DpdkQueue queue_;         // set once, with the next two
  rte_mempool* const pool_;
  const Bytes payload_max_;
  ip::Host host_;
  std::vector<PathRow> paths_;
  std::vector<uint16_t> paths_of_port_;  // by local UDP port
  bool was_link_up_ = true;
  bool is_registered_ = false;
  Time now_{};                    // as of the last receive
  size_t packets_out_ = 0;
  DpdkStats stats_;
  ThreadOwner owner_;
};

}  // namespace tideway::packet_io
