// SPDX-License-Identifier: Apache-2.0
#include "ip/host.h"

#include "ip/icmp_echo.h"

#include <algorithm>
#include <cstring>

namespace tideway::ip {
namespace {

// Of addresses, for each packet: as one comparison, where == of std::array takes the bytes one by one.
template <size_t kSize>
bool is_same(const std::array<std::byte, kSize>& a, const std::array<std::byte, kSize>& b) {
  return std::memcmp(a.data(), b.data(), kSize) == 0;
}

Error bad_config(std::string what, std::string next) {
  return {Fault::kConfigInvalid, std::move(what), std::move(next)};
}

std::optional<Error> fault_of_hop(const std::optional<IpAddress>& hop, const HostConfig& config, bool wants_ipv4) {
  if (!hop) return std::nullopt;
  const auto is_it = [&](const Prefix& prefix) { return prefix.address == *hop; };
  if (is_host_address(*hop) && is_ipv4(*hop) == wants_ipv4 && std::ranges::none_of(config.prefixes, is_it))
    return std::nullopt;
  return bad_config("next_hop " + to_string(*hop) + " of the port is no other " + (wants_ipv4 ? "IPv4" : "IPv6") + " host",
                    "set next_hop in [data_plane.dpdk] to the gateway's IP address");
}

std::optional<Error> fault_of(const HostConfig& config) {
  if (!config.mac.is_host())
    return bad_config("the port's device has MAC address " + to_string(config.mac) + ", which no host can have",
                      "give it one in the arguments of its vdev, or with `ip link set`");
  if (config.prefixes.empty() || config.prefixes.size() > kPrefixesMax)
    return bad_config("the port has " + std::to_string(config.prefixes.size()) + " addresses, not 1 to " +
                          std::to_string(kPrefixesMax),
                      "set address in [data_plane.dpdk], such as \"10.77.0.11/24\"");
  for (const Prefix& prefix : config.prefixes)
    if (!is_host_address(prefix.address) || prefix.length > 8 * wire_bytes(prefix.address).size())
      return bad_config(to_string(prefix) + " is not an address that the port can have",
                        "set address in [data_plane.dpdk], such as \"10.77.0.11/24\"");
  if (config.vlan > kVlanMax)
    return bad_config("VLAN " + std::to_string(config.vlan) + " does not exist",
                      "set vlan in [data_plane.dpdk] to a number from 1 to 4094, or to 0 for no tag");
  if (auto fault = fault_of_hop(config.next_hop_ipv4, config, true)) return fault;
  return fault_of_hop(config.next_hop_ipv6, config, false);
}

// Where neighbours of our IPv6 addresses ask for them, and announce themselves.
std::vector<MacAddress> groups_of(const HostConfig& config) {
  std::vector<MacAddress> groups;
  for (const Prefix& prefix : config.prefixes) {
    if (is_ipv4(prefix.address)) continue;
    for (const MacAddress& group : {multicast_mac(kAllNodes), multicast_mac(solicited_node(prefix.address))})
      if (std::ranges::find(groups, group) == groups.end()) groups.push_back(group);
  }
  return groups;
}

}  // namespace

Audience audience_of(std::span<std::byte> frame) {
  const auto parsed = parse_ethernet(frame);
  if (!parsed) return Audience::kOne;
  constexpr size_t kIpv4ProtocolAt = 9, kIpv6NextHeaderAt = 6, kIpv6HopLimitAt = 7;
  constexpr uint8_t kNdpFirst = 133, kNdpLast = 137, kFromThisLink = 255;  // RFC 4861, 4 and 7.1
  const auto byte_at = [&](size_t at) { return at < parsed->payload.size() ? std::to_integer<uint8_t>(parsed->payload[at]) : uint8_t{0}; };
  switch (static_cast<EtherType>(parsed->type)) {
    case EtherType::kArp: return Audience::kEvery;
    case EtherType::kIpv4: return byte_at(kIpv4ProtocolAt) == static_cast<uint8_t>(Protocol::kIcmp) ? Audience::kFirst : Audience::kOne;
    case EtherType::kIpv6: {
      if (byte_at(kIpv6NextHeaderAt) != static_cast<uint8_t>(Protocol::kIcmpv6)) return Audience::kOne;
      const uint8_t type = byte_at(kIpv6Size);
      const bool is_ndp = type >= kNdpFirst && type <= kNdpLast && byte_at(kIpv6HopLimitAt) == kFromThisLink;
      return is_ndp ? Audience::kEvery : Audience::kFirst;
    }
    case EtherType::kVlan: break;
  }
  return Audience::kOne;
}

Result<Host> Host::create(Time now, HostConfig config) {
  if (auto fault = fault_of(config)) return std::move(*fault);
  return Host(now, std::move(config));
}

Host::Host(Time now, HostConfig config) : config_(std::move(config)), groups_(groups_of(config_)) { announce(now); }

// ---- frames in ----

std::optional<Datagram> Host::on_frame(Time now, std::span<std::byte> frame) {
  ++stats_.frames_received;
  const auto parsed = parse_ethernet(frame);
  if (!parsed) return drop(parsed.why());
  if (const auto why = refusal(*parsed)) return drop(*why);
  switch (static_cast<EtherType>(parsed->type)) {
    case EtherType::kIpv4: return on_ip(now, *parsed, parse_ipv4(parsed->payload));
    case EtherType::kIpv6: return on_ip(now, *parsed, parse_ipv6(parsed->payload));
    case EtherType::kArp: return on_arp(now, *parsed);
    case EtherType::kVlan: break;
  }
  return drop(Drop::kEtherType);
}

std::nullopt_t Host::drop(Drop why) {
  ++stats_.dropped[static_cast<size_t>(why)];
  return std::nullopt;
}

std::optional<Drop> Host::refusal(const EthernetFrame& frame) const {
  if (is_same(frame.from.bytes, config_.mac.bytes)) return Drop::kOwnEcho;  // first: our broadcasts come back, too
  if (!frame.from.is_host()) return Drop::kBadSource;
  if (!is_same(frame.to.bytes, config_.mac.bytes) && frame.to != kBroadcastMac && std::ranges::find(groups_, frame.to) == groups_.end())
    return Drop::kForeignMac;
  if (config_.vlan == 0) return frame.vlan.value_or(0) == 0 ? std::nullopt : std::optional(Drop::kVlanWrong);
  if (frame.vlan.value_or(0) == 0) return Drop::kVlanMissing;
  return frame.vlan == config_.vlan ? std::nullopt : std::optional(Drop::kVlanWrong);
}

// Of a packet that must be for us alone. One sent to us in a frame for many is a mistake or a trick (RFC 1122, 3.3.6).
std::optional<Drop> Host::refusal(const EthernetFrame& frame, const IpPacket& packet) const {
  if (!is_same(frame.to.bytes, config_.mac.bytes)) return Drop::kForeignMac;
  if (!owns(packet.to)) return Drop::kForeignAddress;
  if (is_unspecified(packet.from)) return Drop::kBadSource;
  return std::nullopt;
}

std::optional<Datagram> Host::on_ip(Time now, const EthernetFrame& frame, const Parsed<IpPacket>& parsed) {
  if (!parsed) return drop(parsed.why());
  if (owns(parsed->from)) return drop(Drop::kBadSource);
  const bool is_v4 = is_ipv4(parsed->from);
  switch (static_cast<Protocol>(parsed->protocol)) {
    case Protocol::kUdp: return on_udp(frame, *parsed);
    case Protocol::kIcmp: return is_v4 ? on_echo(now, frame, *parsed) : drop(Drop::kProtocol);
    case Protocol::kIcmpv6:
      if (is_v4) return drop(Drop::kProtocol);
      return is_ndp(*parsed) ? on_ndp(now, frame, *parsed) : on_echo(now, frame, *parsed);
  }
  return drop(Drop::kProtocol);
}

std::optional<Datagram> Host::on_udp(const EthernetFrame& frame, const IpPacket& packet) {
  if (const auto why = refusal(frame, packet)) return drop(*why);
  const auto udp = parse_udp(packet, config_.udp_check);
  if (!udp) return drop(udp.why());
  if (udp->sum == UdpSum::kWrong) ++stats_.udp_checksum_wrong;
  if (udp->sum == UdpSum::kAbsent) ++stats_.udp_checksum_absent;
  ++stats_.datagrams_received;
  return Datagram{.from = {packet.from, udp->port_from}, .to = {packet.to, udp->port_to}, .ecn = packet.ecn,
                  .payload = udp->payload};
}

std::nullopt_t Host::on_arp(Time now, const EthernetFrame& frame) {
  const auto message = parse_arp(frame.payload);
  if (!message) return drop(Drop::kArpMalformed);
  ++stats_.arp_received;
  if (message->mac_from == config_.mac) return drop(Drop::kOwnEcho);
  if (owns(message->from)) return drop(Drop::kAddressConflict);
  const NeighbourClaim claim{.address = message->from, .mac = message->mac_from};
  const bool is_for_us = owns(message->to);
  if (message->operation == ArpOperation::kReply && is_for_us && frame.to == config_.mac) {
    neighbours_.on_answer(now, claim);
    return std::nullopt;
  }
  neighbours_.on_hint(now, claim);
  if (message->operation == ArpOperation::kReply || !is_for_us) return drop(Drop::kArpForeign);
  const auto room = reply_room(now, ReplyLimit::Use::kResolution);
  if (!room) return std::nullopt;
  const size_t head = write_ethernet_to(message->mac_from, EtherType::kArp, *room);
  push_reply(now, head + write_arp(arp_reply(*message, config_.mac), room->subspan(head)));
  ++stats_.arp_replies;
  return std::nullopt;
}

std::nullopt_t Host::on_ndp(Time now, const EthernetFrame& frame, const IpPacket& packet) {
  const auto message = parse_ndp(packet);
  if (!message) return drop(Drop::kNdpMalformed);
  ++stats_.ndp_received;
  if (message->mac == config_.mac) return drop(Drop::kOwnEcho);  // a copy with another sender, or a trick
  return message->type == NdpType::kSolicitation ? on_solicitation(now, frame, *message)
                                                 : on_advertisement(now, frame, *message);
}

std::nullopt_t Host::on_solicitation(Time now, const EthernetFrame& frame, const NdpMessage& message) {
  if (message.mac) neighbours_.on_hint(now, {.address = message.from, .mac = *message.mac});
  if (!owns(message.target) || !(owns(message.to) || message.to == solicited_node(message.target)))
    return drop(Drop::kNdpForeign);
  const auto room = reply_room(now, ReplyLimit::Use::kResolution);
  if (!room) return std::nullopt;
  // With its option the answer can be 8 bytes longer than the question. The hop limit says that the asker sits on our
  // own network, so nobody far away gains by it.
  const NdpMessage reply = ndp_advertisement(message, config_.mac);
  const MacAddress to = reply.is_solicited ? message.mac.value_or(frame.from) : multicast_mac(kAllNodes);
  const size_t head = write_ethernet_to(to, EtherType::kIpv6, *room);
  push_reply(now, head + write_ndp(reply, room->subspan(head)));
  ++stats_.ndp_replies;
  return std::nullopt;
}

std::nullopt_t Host::on_advertisement(Time now, const EthernetFrame& frame, const NdpMessage& message) {
  if (owns(message.target)) return drop(Drop::kAddressConflict);
  // An answer to a question for one alone may leave the option out (RFC 4861, 7.2.4).
  const NeighbourClaim claim{.address = message.target, .mac = message.mac.value_or(frame.from),
                             .may_replace = message.is_override};
  if (message.is_solicited && owns(message.to) && frame.to == config_.mac) {
    neighbours_.on_answer(now, claim);
    return std::nullopt;
  }
  if (message.to != kAllNodes && !owns(message.to)) return drop(Drop::kNdpForeign);
  neighbours_.on_hint(now, claim);
  return std::nullopt;
}

std::nullopt_t Host::on_echo(Time now, const EthernetFrame& frame, const IpPacket& packet) {
  if (const auto why = refusal(frame, packet)) return drop(*why);
  if (!is_echo_request(packet)) return drop(Drop::kIcmpOther);
  if (config_.icmp_echo == IcmpEcho::kOff) return drop(Drop::kEchoOff);
  const auto room = reply_room(now, ReplyLimit::Use::kEcho);
  if (!room) return std::nullopt;
  // Back to where it came from, so that answering needs no resolution that a stranger could make us do.
  const size_t head =
      write_ethernet_to(frame.from, is_ipv4(packet.from) ? EtherType::kIpv4 : EtherType::kIpv6, *room);
  const auto size = write_echo_reply(packet, room->subspan(head));
  if (!size) return drop(size.why());
  push_reply(now, head + *size);
  ++stats_.echo_replies;
  return std::nullopt;
}

// ---- frames out ----

std::optional<std::span<std::byte>> Host::reply_room(Time now, ReplyLimit::Use use) {
  if (config_.duties == Duties::kResolve) return std::nullopt;
  if (!reply_limit_.allows(now, use)) return drop(Drop::kReplyLimit);
  const auto room = outbox_.room();
  if (!room) return drop(Drop::kOutboxFull);
  return room;
}

void Host::push_reply(Time now, size_t size) {
  reply_limit_.on_reply(now);
  outbox_.push(size);
}

size_t Host::write_ethernet_to(const MacAddress& mac, EtherType type, std::span<std::byte> out) const {
  return write_ethernet({.to = mac, .from = config_.mac, .vlan = config_.vlan, .type = type}, out);
}

size_t Host::write_frame(Time now, std::span<std::byte> out) {
  TIDEWAY_CHECK(out.size() >= kOwnFrameMax);
  while (!outbox_.is_empty()) {
    const auto frame = outbox_.front();
    outbox_.pop();
    if (frame.size() <= out.size()) {
      std::ranges::copy(frame, out.begin());
      return frame.size();
    }
    drop(Drop::kEchoTooLong);
  }
  if (now >= announce_at_) return write_announcement(now, out);
  if (const auto ask = neighbours_.next_ask(now)) return write_ask(*ask, out);
  return 0;
}

Time Host::next_deadline() const {
  return outbox_.is_empty() ? std::min(announce_at_, neighbours_.next_deadline()) : Time{};
}

size_t Host::write_ask(const NeighbourAsk& ask, std::span<std::byte> out) const {
  const IpAddress from = source_for(ask.address).value_or(config_.prefixes.front().address);
  if (is_ipv4(ask.address)) {
    const size_t head = write_ethernet_to(ask.mac.value_or(kBroadcastMac), EtherType::kArp, out);
    return head + write_arp(arp_request(config_.mac, from, ask.address), out.subspan(head));
  }
  NdpMessage message = ndp_solicitation(config_.mac, from, ask.address);
  if (ask.mac) message.to = ask.address;
  const size_t head = write_ethernet_to(ask.mac.value_or(multicast_mac(message.to)), EtherType::kIpv6, out);
  return head + write_ndp(message, out.subspan(head));
}

void Host::announce(Time now) {
  if (config_.duties == Duties::kResolve) return;
  announce_at_ = now;
  announce_next_ = 0;
  announce_rounds_ = kAnnouncements;
}

size_t Host::write_announcement(Time now, std::span<std::byte> out) {
  const IpAddress& address = config_.prefixes[announce_next_].address;
  ++stats_.announcements_sent;
  if (++announce_next_ == config_.prefixes.size()) {
    announce_next_ = 0;
    announce_at_ = --announce_rounds_ > 0 ? now + kAnnounceInterval : kNever;
  }
  if (is_ipv4(address)) {
    const size_t head = write_ethernet_to(kBroadcastMac, EtherType::kArp, out);
    return head + write_arp(arp_announcement(config_.mac, address), out.subspan(head));
  }
  const size_t head = write_ethernet_to(multicast_mac(kAllNodes), EtherType::kIpv6, out);
  return head + write_ndp(ndp_announcement(config_.mac, address), out.subspan(head));
}

void Host::on_link_up(Time now) {
  announce(now);
  neighbours_.on_link_up(now);
}

// ---- where to ----

Result<NextHopId> Host::next_hop_of(const IpAddress& remote) {
  if (!is_host_address(remote) || owns(remote))
    return bad_config("the port cannot send to " + to_string(remote) + ", which is not the address of another host",
                      "correct the peer's address");
  const std::string family = is_ipv4(remote) ? "IPv4" : "IPv6";
  if (!source_for(remote))
    return bad_config("the port has no " + family + " address to reach " + to_string(remote) + " from",
                      "add one to address in [data_plane.dpdk]");
  const auto& hop = configured_hop(remote);
  if (!is_on_link(remote) && !hop)
    return bad_config(to_string(remote) + " is on no " + family + " network of the port, and no router is known",
                      "set next_hop in [data_plane.dpdk] to the gateway's " + family + " address");
  if (const auto held = neighbours_.hold(is_on_link(remote) ? remote : *hop)) return *held;
  return Error{Fault::kOverloaded, "the port sends to " + std::to_string(kNeighboursMax) + " neighbours already",
               "end transfers to some of them, or reach " + to_string(remote) + " through a router (next_hop)"};
}

std::optional<IpAddress> Host::source_for(const IpAddress& remote) const {
  const auto own_in_network_of = [&](const IpAddress& address) -> std::optional<IpAddress> {
    for (const Prefix& prefix : config_.prefixes)
      if (prefix.contains(address)) return prefix.address;
    return std::nullopt;
  };
  if (const auto own = own_in_network_of(remote)) return own;
  if (const auto& hop = configured_hop(remote); hop && !is_link_local(*hop))
    if (const auto own = own_in_network_of(*hop)) return own;
  std::optional<IpAddress> any;
  for (const Prefix& prefix : config_.prefixes) {
    if (is_ipv4(prefix.address) != is_ipv4(remote)) continue;
    // A link-local source reaches nobody behind a router.
    if (!any || (is_link_local(*any) && !is_link_local(remote))) any = prefix.address;
  }
  return any;
}

bool Host::owns(const IpAddress& address) const {
  return std::ranges::any_of(config_.prefixes, [&](const Prefix& prefix) { return is_same(prefix.address, address); });
}

bool Host::is_on_link(const IpAddress& remote) const {
  if (is_link_local(remote)) return true;
  return std::ranges::any_of(config_.prefixes, [&](const Prefix& prefix) { return prefix.contains(remote); });
}

const std::optional<IpAddress>& Host::configured_hop(const IpAddress& remote) const {
  return is_ipv4(remote) ? config_.next_hop_ipv4 : config_.next_hop_ipv6;
}

HostStats Host::stats() const {
  HostStats stats = stats_;
  stats.neighbours = neighbours_.stats();
  return stats;
}

}  // namespace tideway::ip
