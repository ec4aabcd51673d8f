// SPDX-License-Identifier: Apache-2.0
#include "ip/address.h"

#include "frames.h"

#include <gtest/gtest.h>

namespace tideway::ip {
namespace {

using namespace frames;

TEST(MacAddress, KnowsGroupsFromHosts) {
  EXPECT_TRUE(kOurMac.is_host());
  EXPECT_TRUE(kBroadcastMac.is_group());
  EXPECT_TRUE(mac("01005e000001").is_group());
  EXPECT_FALSE(MacAddress().is_host());
  EXPECT_EQ(to_string(kPeerMac), "02:00:00:00:00:aa");
}

TEST(IpAddress, IsTheAddressOfAnEndpoint) {
  EXPECT_EQ(ip("10.77.0.11"), Endpoint::parse("10.77.0.11:1").value().address);
  EXPECT_EQ(ip("fd00::1"), Endpoint::parse("[fd00::1]:1").value().address);
  EXPECT_EQ(from_ipv4(std::span(kOurs4).last<4>()), kOurs4);
  EXPECT_EQ(wire_bytes(kOurs4).size(), 4U);
  EXPECT_EQ(wire_bytes(kOurs6).size(), 16U);
  EXPECT_EQ(to_string(kOurs4), "10.77.0.11");
  EXPECT_EQ(to_string(kOurs6), "fd00::11");
}

TEST(IpAddress, OnlyAHostsAddressIsTaken) {
  for (const char* text : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1",
                           "::ffff:10.0.0.1", "10.0.0", "10.0.0.1 ", "fd00::1%eth0", "", "gateway"}) {
    const auto parsed = parse_address(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().fault, Fault::kConfigInvalid);
  }
  EXPECT_TRUE(parse_address("fe80::1").ok());
}

// The example of RFC 4291, 2.7.1, and its frame address by RFC 2464, 7.
TEST(IpAddress, SolicitedNodeGroupMatchesTheRfc) {
  const IpAddress group = solicited_node(ip("4037::1:800:200e:8c6c"));
  EXPECT_EQ(to_string(group), "ff02::1:ff0e:8c6c");
  EXPECT_EQ(to_string(multicast_mac(group)), "33:33:ff:0e:8c:6c");
  EXPECT_EQ(to_string(kAllNodes), "ff02::1");
}

TEST(Prefix, HoldsTheNetworkItNames) {
  const Prefix v4 = Prefix::parse("10.77.0.11/22").value();
  EXPECT_EQ(to_string(v4), "10.77.0.11/22");
  EXPECT_TRUE(v4.contains(ip("10.77.3.255")));
  EXPECT_FALSE(v4.contains(ip("10.77.4.1")));
  EXPECT_FALSE(v4.contains(kPeer6));
  const Prefix v6 = Prefix::parse("fd00::1/64").value();
  EXPECT_TRUE(v6.contains(kPeer6));
  EXPECT_FALSE(v6.contains(ip("fd00:0:0:1::1")));
  EXPECT_FALSE(v6.contains(kPeer4));
  EXPECT_TRUE(Prefix::parse("10.0.0.1/0").value().contains(ip("192.0.2.1")));
  EXPECT_FALSE(Prefix::parse("10.0.0.1/32").value().contains(ip("10.0.0.2")));
  EXPECT_TRUE(Prefix::parse("fd00::1/0").value().contains(ip("2001:db8::1")));
}

TEST(Prefix, RefusesWhatNamesNoHostOfANetwork) {
  for (const char* text : {"", "/", "10.77.0.11", "10.77.0.11/", "10.77.0.11/33", "10.77.0.11/-1", "10.77.0.11/24x",
                           "10.77.0.11/ 24", "10.77.0/24", "fd00::1/129", "fd00::1/256", "[fd00::1]/64", "::ffff:10.0.0.1/120",
                           "10.77.0.0/24", "10.77.0.255/24", "224.0.0.1/24", "ff02::1/64", "::/64", "10.77.0.11/24/24"}) {
    const auto parsed = Prefix::parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().fault, Fault::kConfigInvalid);
    EXPECT_FALSE(parsed.error().next.empty());
  }
  EXPECT_TRUE(Prefix::parse("10.77.0.0/31").ok());  // RFC 3021
  EXPECT_TRUE(Prefix::parse("10.77.0.255/32").ok());
}

}  // namespace
}  // namespace tideway::ip
