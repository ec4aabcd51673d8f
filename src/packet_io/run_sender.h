// SPDX-License-Identifier: Apache-2.0
//
// Hands the packets of one socket to the kernel: runs as single messages with UDP_SEGMENT, all messages of a burst in
// one sendmmsg. When the kernel refuses a run, the same packets go one by one at once.
// Thread: net worker.
#pragma once
#include "packet_io/udp_socket.h"
#include "packet_io/udp_stats.h"

#include <memory>
#include <span>

namespace tideway::packet_io {

// Where the packets of a path go.
struct Route {
  SocketAddress remote;
  Dscp dscp = Dscp::kDefault;
};

struct SendProgress {
  size_t packets = 0;  // a prefix: with the kernel now, or lost for a cause that was counted
  bool is_full = false;
  bool is_gso_refused = false;  // send singly from now on; the rest of the burst may be offered again at once
};

class RunSender {
 public:
  explicit RunSender(UdpStats& stats);
  ~RunSender();

  // Shapes: 1 to kBurstMax packets, as many routes; `routes[i]` is that of `packets[i]`. The packets stay the
  // caller's: the kernel has copied those it took.
  SendProgress send(int fd, Gso gso, std::span<const Packet> packets, std::span<const Route* const> routes);

 private:
  struct Messages;
  SendProgress send_runs(int fd, size_t runs, std::span<const Packet> packets,
                         std::span<const Route* const> routes);
  SendProgress send_singly(int fd, std::span<const Packet> packets, std::span<const Route* const> routes);
  void count_lost(int cause, uint32_t packets);

  UdpStats& stats_;
  const std::unique_ptr<Messages> messages_;
};

}  // namespace tideway::packet_io
