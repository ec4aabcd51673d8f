// SPDX-License-Identifier: Apache-2.0
#include "ip/host.h"

#include "base/random.h"
#include "frames.h"

#include <gtest/gtest.h>

#include <map>

namespace tideway::ip {
namespace {

using namespace frames;
using namespace std::chrono_literals;

HostConfig config() {
  return {.mac = kOurMac, .prefixes = {Prefix::parse("10.77.0.11/24").value(), Prefix::parse("fd00::11/64").value()}};
}

Host make(const HostConfig& wanted = config()) { return Host::create(at(0s), wanted).value(); }

Octets next_frame(Host& host, Time now) {
  Octets room(2048);
  room.resize(host.write_frame(now, room));
  return room;
}

// A host that has made its announcements and has nothing to say.
Host quiet(const HostConfig& wanted = config()) {
  Host host = make(wanted);
  while (host.next_deadline() != kNever) static_cast<void>(next_frame(host, host.next_deadline()));
  return host;
}

std::optional<Datagram> give(Host& host, Octets& frame, Time now = at(10s)) { return host.on_frame(now, frame); }

// Gives a frame that is no datagram, and says what it was dropped for; kDrops: nothing.
size_t dropped_for(Host& host, Octets frame, Time now = at(10s)) {
  const HostStats before = host.stats();
  EXPECT_FALSE(host.on_frame(now, frame));
  for (size_t i = 0; i < kDrops; ++i)
    if (host.stats().dropped[i] != before.dropped[i]) return i;
  return kDrops;
}
#define EXPECT_DROP(host, frame, why) EXPECT_EQ(dropped_for(host, frame), static_cast<size_t>(Drop::why))

// ---- what is for us ----

TEST(Host, HandsOnADatagramOfEitherFamily) {
  Host host = quiet();
  Octets v4 = kUdp4, v6 = kUdp6;
  const auto a = give(host, v4), b = give(host, v6);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->from, Endpoint::parse("10.77.0.22:7401").value());
  EXPECT_EQ(a->to, Endpoint::parse("10.77.0.11:7402").value());
  EXPECT_EQ(a->ecn, Ecn::kEct0);
  EXPECT_EQ(to_hex(a->payload), to_hex(text_bytes("tideway")));
  EXPECT_EQ(a->payload.data(), v4.data() + 42);  // in place
  EXPECT_EQ(b->from, Endpoint::parse("[fd00::22]:7401").value());
  EXPECT_EQ(b->ecn, Ecn::kCe);
  EXPECT_EQ(host.stats().datagrams_received, 2U);
  EXPECT_EQ(host.stats().udp_checksum_wrong, 0U);
}

TEST(Host, AWrongUdpChecksumIsCountedAndTheDatagramHandedOn) {
  Host host = quiet();
  Octets wrong = with(kUdp4, kUdp4.size() - 1, 'x'), absent = kUdp4Zero;
  EXPECT_TRUE(give(host, wrong));
  EXPECT_TRUE(give(host, absent));
  EXPECT_EQ(host.stats().udp_checksum_wrong, 1U);
  EXPECT_EQ(host.stats().udp_checksum_absent, 1U);
}

TEST(Host, DropsItsOwnFramesThatTheDeviceHandsBack) {
  Host host = make();
  for (Time now = at(0s); host.next_deadline() != kNever; now = std::max(now, host.next_deadline()))
    EXPECT_DROP(host, next_frame(host, now), kOwnEcho);
  EXPECT_DROP(host, kUdp4Out, kOwnEcho);
  EXPECT_EQ(host.stats().dropped_for(Drop::kAddressConflict), 0U);
}

TEST(Host, DropsWhatIsForOthers) {
  Host host = quiet();
  EXPECT_DROP(host, with(kUdp4, 5, 0x12), kForeignMac);
  Octets group = kUdp4, elsewhere = kUdp6;
  std::ranges::copy(kBroadcastMac.bytes, group.begin());
  EXPECT_DROP(host, group, kForeignMac);  // an address of ours in a frame for all
  EXPECT_DROP(host, with(kUdp6, 53, 0x12), kForeignAddress);
  EXPECT_DROP(host, with(kUdp4, 6, 0x01), kBadSource);  // a group as sender
  std::ranges::copy(kOurs6, elsewhere.begin() + 22);
  EXPECT_DROP(host, elsewhere, kBadSource);  // our own address as source
  EXPECT_DROP(host, with(kUdp4, 13, 0x01), kEtherType);
  EXPECT_DROP(host, kUdp4Fragment, kFragment);
  EXPECT_DROP(host, with(kUdp6, 20, 6), kProtocol);  // TCP
}

TEST(Host, TagsDecideWhoseFrameItIs) {
  Host plain = quiet();
  HostConfig wanted = config();
  wanted.vlan = 7;
  Host tagged = quiet(wanted);
  EXPECT_DROP(plain, kUdp4Vlan, kVlanWrong);
  EXPECT_DROP(tagged, kUdp4, kVlanMissing);
  EXPECT_DROP(tagged, with(kUdp4Vlan, 15, 8), kVlanWrong);
  EXPECT_DROP(tagged, with(kUdp4Vlan, 15, 0), kVlanMissing);  // a priority only
  Octets seven = kUdp4Vlan, zero = with(kUdp4Vlan, 15, 0);
  EXPECT_TRUE(give(tagged, seven));
  EXPECT_TRUE(give(plain, zero));
}

// ---- answers ----

TEST(Host, AnswersWhoAsksForItsIpv4Address) {
  Host host = quiet();
  EXPECT_EQ(dropped_for(host, kArpRequest), kDrops);
  EXPECT_LE(host.next_deadline(), at(0s));
  EXPECT_EQ(to_hex(next_frame(host, at(10s))), "0200000000aa" "020000000011" "0806" "0001080006040002"
                                               "0200000000110a4d000b" "0200000000aa0a4d0016");
  EXPECT_EQ(host.next_deadline(), kNever);
  EXPECT_DROP(host, with(kArpRequest, 41, 12), kArpForeign);
  EXPECT_TRUE(next_frame(host, at(10s)).empty());
}

TEST(Host, AnswersWhoAsksForItsIpv6Address) {
  Host host = quiet();
  EXPECT_EQ(dropped_for(host, kNs), kDrops);
  Octets reply = next_frame(host, at(10s));
  ASSERT_EQ(reply.size(), 86U);
  EXPECT_EQ(hex_of(reply, 0, 14), "0200000000aa" "020000000011" "86dd");
  const auto packet = parse_ipv6(std::span(reply).subspan(14));
  ASSERT_TRUE(packet);
  const auto message = parse_ndp(*packet);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->to, kPeer6);
  EXPECT_EQ(message->target, kOurs6);
  EXPECT_EQ(message->mac, kOurMac);
  EXPECT_TRUE(message->is_solicited && message->is_override);
}

TEST(Host, DefendsItsIpv6AddressAgainstAProbe) {
  Host host = quiet();
  EXPECT_EQ(dropped_for(host, kNsDad), kDrops);
  EXPECT_EQ(to_hex(next_frame(host, at(10s))), to_hex(kNaAnnounce));
}

TEST(Host, AnswersPingsWithTheBytesThatAnotherProgramDid) {
  Host host = quiet();
  EXPECT_EQ(dropped_for(host, kEcho4), kDrops);
  EXPECT_EQ(dropped_for(host, kEcho6), kDrops);
  EXPECT_EQ(to_hex(next_frame(host, at(10s))), to_hex(kEcho4Reply));
  EXPECT_EQ(to_hex(next_frame(host, at(10s))), to_hex(kEcho6Reply));
  EXPECT_EQ(host.stats().echo_replies, 2U);
}

TEST(Host, AnswersNoPingWhenEchoIsOffOrSentToMany) {
  HostConfig wanted = config();
  wanted.icmp_echo = IcmpEcho::kOff;
  Host silent = quiet(wanted), host = quiet();
  EXPECT_DROP(silent, kEcho4, kEchoOff);
  Octets broadcast = kEcho4;
  std::ranges::copy(kBroadcastMac.bytes, broadcast.begin());
  EXPECT_DROP(host, broadcast, kForeignMac);
  EXPECT_DROP(host, with(kEcho4, 34, 3), kIcmpOther);  // "unreachable"
  EXPECT_TRUE(next_frame(host, at(10s)).empty());
}

TEST(Host, AnswersAtMostAHundredTimesPerSecond) {
  Host host = quiet();
  int replies = 0;
  for (Duration time = 0s; time < 1s; time += 100us) {
    Octets ping = kEcho4, question = kArpRequest;
    give(host, ping, at(10s + time));
    give(host, question, at(10s + time));
    while (!next_frame(host, at(10s + time)).empty()) ++replies;
  }
  EXPECT_LE(replies, 100);
  EXPECT_GE(replies, 90);
  EXPECT_GT(host.stats().dropped_for(Drop::kReplyLimit), 19'000U);
}

TEST(Host, AnswersThatNobodyFetchesFillTheOutboxAndNoMore) {
  Host host = quiet();
  for (Duration time = 0s; time < 1s; time += 20ms) {
    Octets question = kArpRequest;
    give(host, question, at(10s + time));
  }
  EXPECT_EQ(host.stats().arp_replies, kOutboxFrames);
  EXPECT_EQ(host.stats().dropped_for(Drop::kOutboxFull), 50U - kOutboxFrames);
}

TEST(Host, AnEchoThatTheDeviceHasNoRoomForIsDropped) {
  Host host = quiet();
  Octets ping = kEcho4, data(200);
  ping.insert(ping.end(), data.begin(), data.end());
  put_u16(ping, 16, static_cast<uint16_t>(ping.size() - 14));
  put_u16(ping, 24, 0);
  put_u16(ping, 24, Checksum().add(std::span(ping).subspan(14, 20)).value());
  put_u16(ping, 36, 0);
  put_u16(ping, 36, Checksum().add(std::span(ping).subspan(34)).value());
  ASSERT_EQ(dropped_for(host, ping), kDrops);
  std::array<std::byte, kOwnFrameMax> room{};
  EXPECT_EQ(host.write_frame(at(10s), room), 0U);
  EXPECT_EQ(host.stats().dropped_for(Drop::kEchoTooLong), 1U);
}

// ---- announcements and neighbours ----

TEST(Host, AnnouncesEachAddressThreeTimesAtStartAndAfterLinkUp) {
  Host host = make();
  std::map<std::string, int> seen;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(host.next_deadline(), at(round * 1s));
    for (Octets frame; !(frame = next_frame(host, at(round * 1s))).empty();) ++seen[to_hex(frame)];
  }
  EXPECT_EQ(host.next_deadline(), kNever);
  EXPECT_EQ(seen[to_hex(kNaAnnounce)], 3);
  EXPECT_EQ(seen["ffffffffffff" "020000000011" "0806" "0001080006040001" "0200000000110a4d000b" "0000000000000a4d000b"], 3);
  EXPECT_EQ(seen.size(), 2U);
  host.on_link_up(at(60s));
  EXPECT_EQ(host.next_deadline(), at(60s));
  EXPECT_FALSE(next_frame(host, at(60s)).empty());
}

TEST(Host, ResolvesAnIpv4NeighbourAndSaysWhenItsMacChanges) {
  Host host = quiet();
  const NextHopId hop = host.next_hop_of(kPeer4).value();
  EXPECT_FALSE(host.mac_of(hop));
  EXPECT_EQ(to_hex(next_frame(host, at(10s))), "ffffffffffff" "020000000011" "0806" "0001080006040001"
                                               "0200000000110a4d000b" "0000000000000a4d0016");
  const uint64_t before = host.generation();
  EXPECT_EQ(dropped_for(host, kArpReply), kDrops);
  EXPECT_EQ(host.mac_of(hop), kPeerMac);
  EXPECT_NE(host.generation(), before);
  // The refresh asks that one alone.
  EXPECT_EQ(host.next_deadline(), at(40s));
  EXPECT_EQ(hex_of(next_frame(host, at(40s)), 0, 6), "0200000000aa");
}

TEST(Host, ResolvesAnIpv6Neighbour) {
  Host host = quiet();
  const NextHopId hop = host.next_hop_of(kPeer6).value();
  EXPECT_EQ(to_hex(next_frame(host, at(10s))), to_hex(kNsAsk));
  EXPECT_EQ(dropped_for(host, kNa), kDrops);
  EXPECT_EQ(host.mac_of(hop), kPeerMac);
  const Octets refresh = next_frame(host, at(40s));
  EXPECT_EQ(hex_of(refresh, 0, 6), "0200000000aa");
  EXPECT_EQ(hex_of(refresh, 38, 16), to_hex(kPeer6));
}

TEST(Host, AnUnaskedAnswerIsNotAdoptedButMakesItAsk) {
  Host host = quiet();
  const NextHopId hop = host.next_hop_of(kPeer4).value();
  static_cast<void>(next_frame(host, at(10s)));
  EXPECT_EQ(dropped_for(host, kArpReply), kDrops);
  Octets forged = kArpReply;
  std::ranges::copy(kOtherMac.bytes, forged.begin() + 6);
  std::ranges::copy(kOtherMac.bytes, forged.begin() + 22);
  EXPECT_EQ(dropped_for(host, forged, at(20s)), kDrops);
  EXPECT_EQ(host.mac_of(hop), kPeerMac);
  EXPECT_EQ(hex_of(next_frame(host, at(20s)), 0, 6), "ffffffffffff");
  EXPECT_EQ(host.stats().neighbours.hints_received, 1U);
}

TEST(Host, AnAnswerInAFrameForAllIsAnAnnouncementOnly) {
  Host host = quiet();
  const NextHopId hop = host.next_hop_of(kPeer4).value();
  static_cast<void>(next_frame(host, at(10s)));
  Octets broadcast = kArpReply;
  std::ranges::copy(kBroadcastMac.bytes, broadcast.begin());
  EXPECT_DROP(host, broadcast, kArpForeign);
  EXPECT_FALSE(host.mac_of(hop));
}

TEST(Host, CountsWhoClaimsItsAddress) {
  Host host = quiet();
  Octets arp = kArpRequest, na = kNa;
  std::ranges::copy(wire_bytes(kOurs4), arp.begin() + 28);
  EXPECT_DROP(host, arp, kAddressConflict);
  // fd00::22 becomes fd00::11 as the target; the checksum rises by what the target fell.
  na[77] = std::byte{0x11};
  const uint16_t sum = static_cast<uint16_t>(static_cast<unsigned>(na[56]) << 8 | static_cast<unsigned>(na[57]));
  put_u16(na, 56, static_cast<uint16_t>(sum + 0x11));
  EXPECT_DROP(host, na, kAddressConflict);
}

TEST(Host, NeverTakesItsOwnMacForANeighbours) {
  Host host = quiet();
  ASSERT_TRUE(host.next_hop_of(kPeer4).ok() && host.next_hop_of(kPeer6).ok());
  while (!next_frame(host, at(10s)).empty()) continue;
  Octets arp = kArpReply, na = kNa;
  std::ranges::copy(kOurMac.bytes, arp.begin() + 22);
  std::ranges::copy(kOurMac.bytes, na.begin() + 80);
  put_u16(na, 56, 0x1C3B);  // the last byte fell from aa to 11
  EXPECT_DROP(host, arp, kOwnEcho);
  EXPECT_DROP(host, na, kOwnEcho);
}

// ---- where to ----

TEST(Host, ANextHopIsTheRemoteOnLinkAndTheRouterElsewhere) {
  HostConfig wanted = config();
  wanted.next_hop_ipv4 = ip("10.77.0.1");
  Host host = quiet(wanted);
  const NextHopId far = host.next_hop_of(ip("192.0.2.9")).value();
  EXPECT_EQ(host.next_hop_of(ip("198.51.100.1")).value(), far);
  EXPECT_EQ(host.next_hop_of(ip("10.77.0.1")).value(), far);
  EXPECT_NE(host.next_hop_of(kPeer4).value(), far);
  EXPECT_TRUE(host.next_hop_of(ip("fe80::1")).ok());
}

TEST(Host, WithoutARouterAFarRemoteIsAnErrorThatNamesTheKey) {
  Host host = quiet();
  const auto hop = host.next_hop_of(ip("2001:db8::1"));
  ASSERT_FALSE(hop.ok());
  EXPECT_EQ(hop.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(hop.error().next.find("next_hop in [data_plane.dpdk]"), std::string::npos);
  for (const IpAddress& no_host : {kOurs4, kAllNodes, IpAddress{}}) EXPECT_FALSE(host.next_hop_of(no_host).ok());
  HostConfig v4_only = config();
  v4_only.prefixes.pop_back();
  EXPECT_FALSE(quiet(v4_only).next_hop_of(kPeer6).ok());
}

TEST(Host, ReleasedNextHopsMakeRoomForOthers) {
  Host host = quiet();
  std::vector<NextHopId> held;
  IpAddress remote = kPeer6;
  for (size_t i = 0; i < kNeighboursMax; ++i) {
    remote[13] = static_cast<std::byte>(i);
    held.push_back(host.next_hop_of(remote).value());
  }
  EXPECT_EQ(host.next_hop_of(kPeer4).error().fault, Fault::kOverloaded);
  host.release(held[0]);
  EXPECT_TRUE(host.next_hop_of(kPeer4).ok());
}

TEST(Host, PicksTheSourceNearestToTheRemote) {
  HostConfig wanted = config();
  wanted.prefixes = {Prefix::parse("fe80::11/64").value(), Prefix::parse("10.1.0.2/16").value(),
                     Prefix::parse("10.77.0.11/24").value(), Prefix::parse("fd00::11/64").value()};
  wanted.next_hop_ipv4 = ip("10.77.0.1");
  const Host host = quiet(wanted);
  EXPECT_EQ(host.source_for(ip("10.1.9.9")), ip("10.1.0.2"));
  EXPECT_EQ(host.source_for(ip("192.0.2.1")), kOurs4);  // towards the router
  EXPECT_EQ(host.source_for(ip("2001:db8::1")), kOurs6);
  EXPECT_EQ(host.source_for(ip("fe80::5")), ip("fe80::11"));
  wanted.prefixes.resize(1);
  wanted.next_hop_ipv4.reset();
  EXPECT_FALSE(quiet(wanted).source_for(kPeer4));
}

TEST(Host, ListsTheGroupsThatItsDeviceMustReceive) {
  const Host host = quiet();
  ASSERT_EQ(host.groups().size(), 2U);
  EXPECT_EQ(to_string(host.groups()[0]), "33:33:00:00:00:01");
  EXPECT_EQ(to_string(host.groups()[1]), "33:33:ff:00:00:11");
}

TEST(Host, RefusesAConfigurationThatCannotWork) {
  const auto fault = [](auto change) {
    HostConfig wanted = config();
    change(wanted);
    const auto host = Host::create(at(0s), wanted);
    return host.ok() ? std::string() : host.error().next;
  };
  EXPECT_EQ(fault([](HostConfig&) {}), "");
  EXPECT_NE(fault([](HostConfig& c) { c.mac = kBroadcastMac; }), "");
  EXPECT_NE(fault([](HostConfig& c) { c.prefixes.clear(); }).find("address"), std::string::npos);
  EXPECT_NE(fault([](HostConfig& c) { c.prefixes.resize(9, c.prefixes[0]); }), "");
  EXPECT_NE(fault([](HostConfig& c) { c.prefixes[0].length = 33; }), "");
  EXPECT_NE(fault([](HostConfig& c) { c.vlan = 4095; }).find("vlan"), std::string::npos);
  EXPECT_NE(fault([](HostConfig& c) { c.next_hop_ipv4 = kPeer6; }).find("next_hop"), std::string::npos);
  EXPECT_NE(fault([](HostConfig& c) { c.next_hop_ipv6 = kOurs6; }).find("next_hop"), std::string::npos);
}

TEST(Host, StatsShowEveryCounterByName) {
  Host host = quiet();
  EXPECT_DROP(host, kUdp4Fragment, kFragment);
  std::map<std::string, uint64_t, std::less<>> seen;
  host.stats().for_each([&](std::string_view name, uint64_t value) {
    EXPECT_TRUE(seen.emplace(name, value).second) << name;
  });
  EXPECT_EQ(seen["dropped_fragment"], 1U);
  EXPECT_EQ(seen["announcements_sent"], 6U);
  EXPECT_EQ(seen.size(), 16 + kDrops);
}

// ---- hostile frames ----

const std::vector<Octets>& all_frames() {
  static const std::vector<Octets> frames = {kArpRequest, kArpReply, kUdp4, kUdp4Zero, kUdp4Options, kUdp4Vlan, kUdp6,
                                             kNs, kNsDad, kNa, kEcho4, kEcho6};
  return frames;
}

TEST(Host, SurvivesEveryTruncatedFrameAndHandsOnNone) {
  HostConfig wanted = config();
  wanted.vlan = 7;
  for (Host host : {quiet(), quiet(wanted)})
    for (const Octets& whole : all_frames())
      for (size_t size = 0; size < whole.size(); ++size) {
        Octets cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        ASSERT_LT(dropped_for(host, cut), kDrops) << to_hex(whole) << ' ' << size;
      }
}

TEST(Host, EveryFrameIsHandedOnAnsweredOrCountedWhateverItsBits) {
  Random random(77);
  Host host = quiet();
  ASSERT_TRUE(host.next_hop_of(kPeer4).ok() && host.next_hop_of(kPeer6).ok());
  Time now = at(10s);
  for (int step = 0; step < 100'000; ++step) {
    now += Duration(random.below(50'000'000));
    Octets frame = all_frames()[random.below(all_frames().size())];
    for (uint64_t flips = random.below(4); flips > 0; --flips)
      frame[random.below(frame.size())] ^= static_cast<std::byte>(1 << random.below(8));
    if (random.happens(0.2)) frame.resize(random.below(200));
    const auto datagram = host.on_frame(now, frame);
    if (datagram) {
      ASSERT_TRUE(host.owns(datagram->to.address) && datagram->from.is_set());
      ASSERT_LE(datagram->payload.data() + datagram->payload.size(), frame.data() + frame.size());
    }
    while (host.next_deadline() <= now) {
      const Octets out = next_frame(host, now);
      ASSERT_TRUE(out.empty() || std::equal(out.begin() + 6, out.begin() + 12, kOurMac.bytes.begin()));
    }
  }
  const HostStats stats = host.stats();
  uint64_t accounted = stats.datagrams_received + stats.arp_replies + stats.ndp_replies + stats.echo_replies +
                       stats.neighbours.answers_received;
  for (const uint64_t dropped : stats.dropped) accounted += dropped;
  EXPECT_LE(accounted, stats.frames_received);
  EXPECT_GT(accounted, stats.frames_received * 9 / 10);  // the rest: late answers, and advertisements to all
}

}  // namespace
}  // namespace tideway::ip
