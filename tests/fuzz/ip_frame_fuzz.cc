// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as frames from a network, to a port with and to one without a tag. Two hosts see each input: as it is, and
// with its checksums made right, so that what lies behind them is tested, too. What is handed on lies within the frame,
// and what goes out comes from us and is no longer than it may be.
#include "base/cursor.h"
#include "ip/host.h"

#include <algorithm>
#include <vector>

namespace {

using namespace tideway;
using namespace tideway::ip;
using namespace std::chrono_literals;

constexpr MacAddress kMac = {{std::byte{2}, {}, {}, {}, {}, std::byte{0x11}}};

HostConfig config_for(uint16_t vlan) {
  return {.mac = kMac,
          .prefixes = {Prefix::parse("10.77.0.11/24").value(), Prefix::parse("fd00::11/64").value()},
          .vlan = vlan};
}

void put_u16(std::span<std::byte> bytes, size_t at, uint16_t value) {
  if (at + 2 <= bytes.size()) Writer(bytes.subspan(at, 2)).write_u16(value);
}

void repair_ipv4(std::span<std::byte> bytes) {
  if (bytes.size() < kIpv4Size) return;
  const size_t size = (static_cast<size_t>(bytes[0]) & 15) * 4;
  if (size < kIpv4Size || size > bytes.size()) return;
  put_u16(bytes, 10, 0);
  put_u16(bytes, 10, Checksum().add(bytes.first(size)).value());
}

void repair_icmp(const IpPacket& packet) {
  const bool is_v4 = is_ipv4(packet.from);
  if (packet.protocol != static_cast<uint8_t>(is_v4 ? Protocol::kIcmp : Protocol::kIcmpv6)) return;
  put_u16(packet.payload, 2, 0);
  Checksum sum = is_v4 ? Checksum() : checksum_of({packet.from, packet.to, packet.protocol, packet.payload.size()});
  put_u16(packet.payload, 2, sum.add(packet.payload).value());
}

void repair(std::span<std::byte> bytes) {
  const auto frame = parse_ethernet(bytes);
  if (!frame) return;
  const bool is_v4 = frame->type == static_cast<uint16_t>(EtherType::kIpv4);
  if (is_v4) repair_ipv4(frame->payload);
  const auto packet = is_v4 ? parse_ipv4(frame->payload) : parse_ipv6(frame->payload);
  if (packet) repair_icmp(*packet);
}

void check_host(uint16_t vlan, std::span<std::byte> frame) {
  const Time now{100s};
  Host host = Host::create(Time{}, config_for(vlan)).value();
  std::vector<std::byte> out(kOutboxFrameMax);
  const auto drain = [&](size_t size_max) {
    while (const size_t size = host.write_frame(now, out)) {
      TIDEWAY_CHECK(size >= kEthernetSize && size <= size_max);
      TIDEWAY_CHECK(std::equal(kMac.bytes.begin(), kMac.bytes.end(), out.begin() + 6));
    }
  };
  const auto hop = host.next_hop_of(Prefix::parse("10.77.0.22/24").value().address);
  TIDEWAY_CHECK(hop.ok() && host.next_hop_of(Prefix::parse("fd00::22/64").value().address).ok());
  for (int round = 0; round < kAnnouncements + 1; ++round) drain(kOwnFrameMax);  // now there are questions open

  const auto datagram = host.on_frame(now, frame);
  if (datagram) {
    TIDEWAY_CHECK(host.owns(datagram->to.address) && datagram->from.is_set() && datagram->to.is_set());
    TIDEWAY_CHECK(datagram->payload.data() >= frame.data());
    TIDEWAY_CHECK(datagram->payload.data() + datagram->payload.size() <= frame.data() + frame.size());
  }
  drain(std::max(frame.size(), kOwnFrameMax));
  const auto mac = host.mac_of(hop.value());
  TIDEWAY_CHECK(!mac || (mac->is_host() && *mac != kMac));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  for (const uint16_t vlan : {uint16_t{0}, uint16_t{7}}) {
    std::vector<std::byte> frame(input.begin(), input.end());
    check_host(vlan, frame);
    repair(frame);
    check_host(vlan, frame);
  }
  return 0;
}
