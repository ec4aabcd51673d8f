// SPDX-License-Identifier: Apache-2.0
//
// The seam for moving packets: udp | dpdk | sim, and streams over TLS where UDP is blocked. The same packets on all of them. One object per net
// worker; every call comes from that worker's thread. A burst is up to kBurstMax packets handled in one call.
//
// A backend lends room: the flow writes header, ciphertext and tag straight into it, so sealing is the only copy.
#pragma once
#include <tideway/ids.h>
#include <tideway/result.h>
#include <tideway/time.h>
#include <tideway/units.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace tideway {

inline constexpr size_t kBurstMax = 64;

// An IP address and UDP port. IPv4 is kept as an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2). A port of zero means
// "not set".
struct Endpoint {
  std::array<std::byte, 16> address{};
  uint16_t port = 0;

  bool is_set() const { return port != 0; }
  bool is_ipv4() const;
  auto operator<=>(const Endpoint&) const = default;

  // "10.0.0.1:7401" or "[fd00::1]:7401"; port 0 is allowed. Errors: config_invalid.
  static Result<Endpoint> parse(std::string_view text);
};
std::string to_string(const Endpoint& endpoint);

// What an IP packet adds to a UDP payload, without options or extensions.
constexpr Bytes ip_and_udp_headers(bool is_ipv4) { return is_ipv4 ? 28_B : 48_B; }

enum class Ecn : uint8_t { kNotEct = 0, kEct1 = 1, kEct0 = 2, kCe = 3 };

class PacketIo;

// Room for one packet, or one that arrived. Move-only; goes back to its backend by itself, on the worker's thread.
// `bytes` is the UDP payload. On the way out the owner shortens it to what it wrote.
struct Packet {
  Packet() = default;
  Packet(PacketIo* home, uint64_t token) : home_(home), token_(token) {}
  Packet(Packet&& other) noexcept { *this = std::move(other); }
  Packet& operator=(Packet&& other) noexcept;
  ~Packet() { reset(); }
  void reset();  // gives the room back now
  bool is_empty() const { return home_ == nullptr; }

  std::span<std::byte> bytes;
  PathId path;        // out: the path to take, set by allocate
  Endpoint from, to;  // in: the peer's address and ours
  Time arrived_at = kNever;  // in: at this host, if the backend knows; it may have waited for us since
  Ecn ecn = Ecn::kNotEct;  // in: as it arrived. out: ECT(0) from allocate; a flow that found ECN broken clears it

 private:
  friend class PacketIo;
  PacketIo* home_ = nullptr;
  uint64_t token_ = 0;  // the backend's own mark
};

enum class Delivery : uint8_t { kDatagram = 0, kStream = 1 };  // kStream: the carrier resends and paces

enum class Device : uint8_t { kPresent, kGone };  // kGone: nothing will be sent or received again

struct PacketIoLimits {
  uint32_t burst_max = kBurstMax;
  Bytes payload_max;   // largest UDP payload any path may carry
  int wait_fd = -1;    // readable when a packet may have arrived; -1: must be polled
  Delivery delivery = Delivery::kDatagram;
  Device device = Device::kPresent;  // the one limit that may change
};

// Packets that got no further for lack of something on this host, since the backend was made.
struct PacketIoLosses {
  uint64_t received = 0;  // no descriptor or buffer was free when they came: the worker is too late, or memory too small
  uint64_t sent = 0;      // the host or its device refused them
};

enum class Dscp : uint8_t { kDefault = 0, kLowerEffort = 1 };  // RFC 8622

// A pair of addresses. `local.port` zero lets the backend pick one. `remote` not set: a path that only receives, for
// a port whose number must be told to the peer before the peer's own is known; open the same local endpoint again
// with the remote set, then close the first.
struct PathSpec {
  Endpoint local, remote;
  Dscp dscp = Dscp::kLowerEffort;
};
struct Path {
  PathId id;
  Endpoint local;  // with the port that was picked
  Bytes mtu;       // largest IP packet that leaves this host whole, as far as it is known
};

class PacketIo {
 public:
  virtual ~PacketIo() = default;
  virtual PacketIoLimits limits() const = 0;
  // May ask kernel or device: some times a second, not more.
  virtual PacketIoLosses losses() const { return {}; }
  // Errors: config_invalid (address not ours, port in use), with the command or key that fixes it.
  virtual Result<Path> open_path(const PathSpec& spec) = 0;
  virtual void close_path(PathId path) = 0;
  // Fills a prefix of `out` with packets of `payload` bytes of room (a UDP payload: header, ciphertext and tag);
  // fewer when this backend's memory is used up.
  virtual size_t allocate(PathId path, Bytes payload, std::span<Packet> out) = 0;
  // Moves a prefix out and returns its length. The rest stays with the caller for the next poll. Never waits.
  virtual size_t send(std::span<Packet> burst) = 0;
  // Fills a prefix of `out`, at most burst_max; never waits. A packet that arrived keeps its room until it dies.
  virtual size_t receive(std::span<Packet> out) = 0;

 protected:
  friend struct Packet;
  // Called once when a packet that was not sent dies, and when a received one does.
  virtual void release(Packet& packet) = 0;
  static uint64_t token_of(const Packet& packet) { return packet.token_; }
  // Makes an empty packet ours, in place: a burst of them is filled for each turn.
  void lend(Packet& packet, uint64_t token) {
    packet.reset();
    packet.home_ = this;
    packet.token_ = token;
    packet.arrived_at = kNever;
  }
  // The packet's room now belongs to the wire: its death no longer calls release.
  static void disown(Packet& packet) { packet.home_ = nullptr; packet.bytes = {}; }
};

inline void Packet::reset() {
  if (home_ != nullptr) std::exchange(home_, nullptr)->release(*this);
  bytes = {};
}

inline Packet& Packet::operator=(Packet&& other) noexcept {
  if (this == &other) return *this;
  reset();
  bytes = std::exchange(other.bytes, {});
  path = other.path;
  from = other.from;
  to = other.to;
  arrived_at = other.arrived_at;
  ecn = other.ecn;
  home_ = std::exchange(other.home_, nullptr);
  token_ = other.token_;
  return *this;
}

}  // namespace tideway
