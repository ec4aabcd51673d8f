// SPDX-License-Identifier: Apache-2.0
//
// One UDP socket as the data plane wants it: bound to one local endpoint, never connected (a rebound peer must still
// be heard), never blocking, never fragmenting, with ECN told per packet and large buffers where the host allows
// them. Also the two ways an address is written: ours and the kernel's.
// Thread: net worker.
#pragma once
#include "base/descriptor.h"
#include "packet_io/gso_runs.h"
#include <tideway/packet_io.h>

#include <sys/socket.h>

#include <string>

namespace tideway::packet_io {

enum class Gro : uint8_t { kOff, kOn };

struct UdpConfig {
  Bytes payload_max = Bytes(8'972);    // an IPv4 packet of 9,000 bytes, the top of the path MTU ladder
  uint32_t send_buffers = 64;          // 64 KiB each; a run of one path at a time, so one per flow that may wait
  uint32_t receive_buffers = 128;      // 64 KiB each; a full batch read ahead, and as much in the caller's hands
  Bytes socket_send = 16_MiB;          // in the kernel, per socket
  Bytes socket_receive = 16_MiB;       // 130 ms at 1 Gbit/s
  Gso gso = Gso::kOn;
  Gro gro = Gro::kOn;
};

// What the host granted; `doctor` and the start log read it.
struct UdpNotes {
  Bytes send_wanted, send_granted;        // of the kernel's socket buffers
  Bytes receive_wanted, receive_granted;
  Bytes interface_mtu;                    // of the interface that has the address; zero: unknown (wildcard)
  Gso gso = Gso::kOff;                    // what the kernel offers and the configuration wants
  Gro gro = Gro::kOff;

  // The commands that lift a limit of the host, one a line; empty when all was granted.
  std::string advice() const;
};

// An address in the kernel's form.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
SocketAddress to_socket_address(const Endpoint& endpoint);
Endpoint to_endpoint(const sockaddr_storage& address);

class UdpSocket {
 public:
  // Errors: config_invalid (address not ours, port in use or reserved, no such protocol), overloaded (out of
  // descriptors).
  static Result<UdpSocket> open(const Endpoint& local, const UdpConfig& config);

  int fd() const { return fd_.get(); }
  const Endpoint& local() const { return local_; }  // with the port that was picked
  const UdpNotes& notes() const { return notes_; }
  uint64_t receive_overflows() const;  // packets the kernel dropped because the socket's buffer was full

 private:
  UdpSocket(Descriptor fd, const Endpoint& local) : fd_(std::move(fd)), local_(local) {}
  Descriptor fd_;
  Endpoint local_;
  UdpNotes notes_;
};

// Opens a socket on `local` for a moment (any free port when its port is zero) to learn what the host grants.
Result<UdpNotes> probe_udp(const Endpoint& local, const UdpConfig& config);

}  // namespace tideway::packet_io
