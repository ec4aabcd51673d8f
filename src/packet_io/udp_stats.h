// SPDX-License-Identifier: Apache-2.0
//
// What a UDP backend counts. Every packet the host refused has a cause with a name; such a packet is lost on the
// wire as far as its flow is concerned, and never a failure of the socket.
// Thread: net worker.
#pragma once
#include <cstdint>

namespace tideway::packet_io {

struct UdpStats {
  uint64_t packets_sent = 0, messages_sent = 0;          // a message is one run
  uint64_t packets_received = 0, messages_received = 0;  // a message is one GRO buffer
  uint64_t lost_unreachable = 0;   // no route to the peer's network or host
  uint64_t lost_refused = 0;       // the peer's host said that nobody listens
  uint64_t lost_denied = 0;        // a firewall rule of this host
  uint64_t lost_too_big = 0;       // larger than the interface's MTU; path MTU probes end here
  uint64_t lost_path_closed = 0;   // written for a path that has gone, or that has no remote
  uint64_t lost_other = 0;
  uint64_t send_full = 0;          // times the socket's queue was full and the rest stayed with the caller
  uint64_t send_dry = 0;           // times there was less room to write into than asked for
  uint64_t receive_dry = 0;        // times no receive buffer was free
  uint64_t receive_dropped = 0;    // messages cut short by the kernel
  uint64_t gso_refused = 0;        // sockets that went over to single packets
};

}  // namespace tideway::packet_io
