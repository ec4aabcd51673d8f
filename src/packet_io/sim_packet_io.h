// SPDX-License-Identifier: Apache-2.0
//
// A port without a kernel or a NIC: it moves packets to and from a wire object it was given. Tests put a simulated
// link there; quiet_wire() is one that loses nothing. Its limits are those of a port with that MTU, one packet per
// room, and its pool is bounded, so a flow meets the same shortages as on DPDK.
// Thread: net worker.
#pragma once
#include "base/thread_owner.h"
#include <tideway/packet_io.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace tideway::packet_io {

// A packet on the wire. `bytes` is the UDP payload, whoever holds it.
struct SimFrame {
  Endpoint from, to;
  Ecn ecn = Ecn::kNotEct;
  std::span<const std::byte> bytes;
};

// One end of a wire, as a port sees it.
class SimWire {
 public:
  virtual ~SimWire() = default;
  // False: the port's queue is full, and the packet stays with its sender. Otherwise the wire has its own copy.
  virtual bool offer(const SimFrame& frame) = 0;
  // The next packet for this end, which is then gone from the wire; nothing: none has arrived. Its bytes are the
  // wire's and stay until the next call.
  virtual std::optional<SimFrame> take() = 0;
};

// Two ends of a wire without delay, loss or reordering, that holds up to `capacity` packets each way.
std::pair<std::unique_ptr<SimWire>, std::unique_ptr<SimWire>> quiet_wire(size_t capacity);

struct SimConfig {
  Endpoint address;                      // the port's only address; its `port` means nothing
  Bytes payload_max = Bytes(1'472);      // an IPv4 packet of 1,500 bytes
  uint32_t rooms = 1024;                 // of payload_max each, for both directions, as one mbuf pool is
};

struct SimStats {
  uint64_t packets_sent = 0, packets_received = 0;
  uint64_t send_full = 0;            // times the wire took no more
  uint64_t dropped_not_ours = 0;     // no open path has that local endpoint
  uint64_t dropped_no_room = 0;      // the pool was dry, as when a NIC misses packets
  uint64_t dropped_too_big = 0;      // beyond payload_max
  uint64_t lost_path_closed = 0;
};

class SimPacketIo final : public PacketIo {
 public:
  // `wire` is the caller's and outlives this.
  SimPacketIo(const SimConfig& config, SimWire& wire);
  ~SimPacketIo() override { TIDEWAY_DCHECK(free_.size() == config_.rooms); }  // all packets are home

  PacketIoLimits limits() const override;
  Result<Path> open_path(const PathSpec& spec) override;
  void close_path(PathId path) override;
  size_t allocate(PathId path, Bytes payload, std::span<Packet> out) override;
  size_t send(std::span<Packet> burst) override;
  size_t receive(std::span<Packet> out) override;

  const SimStats& stats() const { return stats_; }
  size_t rooms_free() const { return free_.size(); }

 private:
  struct PathRow { PathId id; Endpoint local, remote; };
  void release(Packet& packet) override;
  const PathRow* find(PathId path) const;
  bool is_open(const Endpoint& local) const;
  uint16_t pick_port();
  Packet take_room(size_t size);

  const SimConfig config_;
  SimWire& wire_;
  std::vector<PathRow> paths_;
  uint32_t path_last_ = 0;   // ids are never used twice
  uint16_t port_last_ = 0;
  const std::unique_ptr<std::byte[]> memory_;
  std::vector<uint32_t> free_;
  SimStats stats_;
  ThreadOwner owner_;
};

}  // namespace tideway::packet_io
