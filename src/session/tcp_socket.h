// SPDX-License-Identifier: Apache-2.0
//
// Non-blocking TCP sockets as the control channel wants them.
// Thread: control.
#pragma once
#include "base/descriptor.h"
#include <tideway/packet_io.h>
#include <tideway/result.h>
#include <tideway/time.h>

#include <optional>

namespace tideway::session {

using Socket = Descriptor;

inline bool has_address(const Endpoint& endpoint) { return endpoint.address != Endpoint{}.address; }

// Listens on exactly this address; port zero lets the kernel pick one. Errors: config_invalid (address not ours, port
// in use or forbidden).
Result<Socket> listen_on(const Endpoint& local);

inline constexpr Duration kConnectTime = std::chrono::seconds(5);  // for TCP alone; a first contact fails within 10 s in all

// Begins a connection; poll for POLLOUT, then ask take_error(). `local` gives the address to use, and the kernel
// chooses one when its address is all zeros. Errors: peer_unreachable, config_invalid (local address not ours).
Result<Socket> begin_connect(const Endpoint& remote, const Endpoint& local);

struct AcceptedSocket {
  Socket socket;  // not open: `error` says why, EAGAIN when nobody waits
  Endpoint remote;
  int error = 0;
};
AcceptedSocket accept_from(const Socket& listener);

// TCP_NODELAY, bounds on unacknowledged data and on retransmissions in time and on unsent data in bytes, and BBR where the kernel offers it.
void tune_control_socket(const Socket& socket);

int take_error(const Socket& socket);  // SO_ERROR: zero, or why a connection failed
Endpoint local_endpoint_of(const Socket& socket);
std::optional<Duration> tcp_rtt_of(const Socket& socket);  // smoothed by the kernel; nothing before the first ack

}  // namespace tideway::session
