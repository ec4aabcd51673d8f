// SPDX-License-Identifier: Apache-2.0
//
// A port that no kernel owns is a host by itself: it has addresses, answers those who ask for them, finds out where to
// send frames, and takes UDP datagrams out of what arrives. It answers ARP, neighbour solicitations and echo requests,
// at most 100 per second together, and nothing else: no "port unreachable", no reset. Whoever has the port
//
//   - gives it every received frame (on_frame), untouched: VLAN tags not stripped, IP header checksums not trusted;
//   - sends what write_frame has whenever next_deadline() is due, before it goes on;
//   - lets the device receive the multicast groups();
//   - holds one next hop per path, and builds the path's HeaderTemplate again when generation() has risen.
//
// A path without a MAC yet cannot send; its packets wait or are lost as on any network. Nothing is allocated after
// create() except by errors. Frames shorter than Ethernet's 60 bytes are left for the device to pad.
// Not here: duplicate address detection (an address conflict is counted), MLD reports for switches that snoop, ICMP
// errors (path MTU is probed), routing beyond one next hop per family.
// Thread: net worker; create() may run elsewhere. Pure.
#pragma once
#include "ip/host_stats.h"
#include "ip/ndp.h"
#include "ip/arp.h"
#include "ip/outbox.h"

namespace tideway::ip {

inline constexpr size_t kPrefixesMax = 8;
inline constexpr size_t kOwnFrameMax = 128;     // of questions and announcements; an IPv6 one with tag has 90 bytes
inline constexpr int kAnnouncements = 3;        // RFC 4861, 10; one frame may be lost while a switch learns
inline constexpr Duration kAnnounceInterval = std::chrono::seconds(1);

enum class IcmpEcho : uint8_t { kOff, kOn };

// A port with several workers is one host; each worker has a Host of its own to resolve what it sends to, and one of
// them speaks for all.
enum class Duties : uint8_t { kAll, kResolve };

struct HostConfig {
  MacAddress mac{};                         // of the device
  std::vector<Prefix> prefixes{};           // 1 to kPrefixesMax own addresses, of either family
  std::optional<IpAddress> next_hop_ipv4{};  // for remotes that are not on link
  std::optional<IpAddress> next_hop_ipv6{};
  uint16_t vlan = 0;                        // 0: frames have no tag
  IcmpEcho icmp_echo = IcmpEcho::kOn;
  UdpCheck udp_check = UdpCheck::kVerify;
  Duties duties = Duties::kAll;  // kResolve: neither answers nor announces
};

// Which hosts of a port a frame is for, judged by its types alone.
enum class Audience : uint8_t {
  kOne,    // the one that has the flow; also what nobody wants
  kFirst,  // the one that speaks for all: echo requests
  kEvery,  // about neighbours
};
Audience audience_of(std::span<std::byte> frame);

struct Datagram {
  Endpoint from, to;  // the peer's and ours; both ports set
  Ecn ecn = Ecn::kNotEct;
  std::span<std::byte> payload{};  // within the frame
};

class Host {
 public:
  // Errors: config_invalid, naming the key of [data_plane.dpdk].
  static Result<Host> create(Time now, HostConfig config);

  // A frame from the device, without FCS. A datagram for one of our addresses, of any port; nothing for frames that were
  // answered, learnt from, or dropped. The payload has not been authenticated in any way.
  std::optional<Datagram> on_frame(Time now, std::span<std::byte> frame);
  void on_link_up(Time now);  // announces and asks again: it may be another network

  // The next hop towards `remote`: itself on link, else the configured one. Takes a hold that release() gives back.
  // Errors: config_invalid (no next_hop, no own address of this family, not the address of another host), overloaded
  // (kNeighboursMax next hops are held).
  Result<NextHopId> next_hop_of(const IpAddress& remote);
  void release(NextHopId hop) { neighbours_.release(hop); }
  // Nothing: not known yet.
  std::optional<MacAddress> mac_of(NextHopId hop) const { return neighbours_.mac_of(hop); }
  uint64_t generation() const { return neighbours_.generation(); }  // rises when a MAC becomes known or changes

  // The next frame that the port sends on its own account; returns its size, 0: none is due. `out` has at least
  // kOwnFrameMax bytes; an echo reply that does not fit is dropped.
  size_t write_frame(Time now, std::span<std::byte> out);
  // When write_frame has something; in the past: now.
  Time next_deadline() const;

  // The own address to send from: one whose network holds `remote`, else the next hop, else the first of that family.
  std::optional<IpAddress> source_for(const IpAddress& remote) const;
  bool owns(const IpAddress& address) const;
  std::span<const MacAddress> groups() const { return groups_; }  // multicast, besides broadcast
  const HostConfig& config() const { return config_; }
  HostStats stats() const;

 private:
  Host(Time now, HostConfig config);

  std::nullopt_t drop(Drop why);
  std::optional<Drop> refusal(const EthernetFrame& frame) const;
  std::optional<Drop> refusal(const EthernetFrame& frame, const IpPacket& packet) const;
  std::optional<Datagram> on_ip(Time now, const EthernetFrame& frame, const Parsed<IpPacket>& parsed);
  std::optional<Datagram> on_udp(const EthernetFrame& frame, const IpPacket& packet);
  std::nullopt_t on_arp(Time now, const EthernetFrame& frame);
  std::nullopt_t on_ndp(Time now, const EthernetFrame& frame, const IpPacket& packet);
  std::nullopt_t on_solicitation(Time now, const EthernetFrame& frame, const NdpMessage& message);
  std::nullopt_t on_advertisement(Time now, const EthernetFrame& frame, const NdpMessage& message);
  std::nullopt_t on_echo(Time now, const EthernetFrame& frame, const IpPacket& packet);
  std::optional<std::span<std::byte>> reply_room(Time now, ReplyLimit::Use use);
  void push_reply(Time now, size_t size);
  size_t write_ethernet_to(const MacAddress& mac, EtherType type, std::span<std::byte> out) const;
  size_t write_ask(const NeighbourAsk& ask, std::span<std::byte> out) const;
  size_t write_announcement(Time now, std::span<std::byte> out);
  void announce(Time now);
  bool is_on_link(const IpAddress& remote) const;
  const std::optional<IpAddress>& configured_hop(const IpAddress& remote) const;

  HostConfig config_;               // set once, with the next
  std::vector<MacAddress> groups_;
  NeighbourTable neighbours_;
  Outbox outbox_;
  ReplyLimit reply_limit_;
  Time announce_at_ = kNever;
  size_t announce_next_ = 0;        // index of an own prefix
  int announce_rounds_ = 0;         // left, with the current one
  HostStats stats_;                 // all but neighbours
};

}  // namespace tideway::ip
