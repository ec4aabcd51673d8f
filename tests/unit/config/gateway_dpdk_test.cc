// SPDX-License-Identifier: Apache-2.0
#include "config/config_file.h"
#include "config/gateway.h"
#include "unit/config/minimal.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tideway::config {
namespace {

// A gateway as read from a file whose backend is DPDK, whether or not this build has it.
GatewayConfig with_port(Dpdk::Fallback fallback) {
  auto parsed = parse(minimal_and("[data_plane.dpdk]\naddress = [\"10.77.0.11/24\", \"fd77::11/64\"]\nudp_port = 7500\n"), "t.toml");
  EXPECT_TRUE(parsed.ok());
  GatewayConfig config = std::move(parsed).value();
  config.data_plane.backend = "dpdk";
  config.data_plane.dpdk.fallback = fallback;
  return config;
}

TEST(DpdkGateway, AnnouncesThePortsFirstAddressAndUdpPort) {
  const auto gateway = serving_gateway(with_port(Dpdk::Fallback::kOff));
  ASSERT_TRUE(gateway.ok());
  EXPECT_EQ(to_string(gateway.value().data_addresses.front()), "10.77.0.11:7500");
  EXPECT_EQ(gateway.value().engine.packet_backend, "dpdk");
  EXPECT_EQ(gateway.value().engine.packets.dpdk.ports.front().addresses.size(), 2U);
  EXPECT_EQ(gateway.value().engine.packets.dpdk.file_prefix, "tideway-gw1");
  EXPECT_FALSE(gateway.value().udp_fallback);
}

TEST(DpdkGateway, FallsBackToTheKernelsAddressWhereTheFileSaysSo) {
  const auto gateway = serving_gateway(with_port(Dpdk::Fallback::kUdp));
  ASSERT_TRUE(gateway.ok());
  ASSERT_TRUE(gateway.value().udp_fallback);
  EXPECT_EQ(to_string(*gateway.value().udp_fallback), "10.77.0.1:7401");
}

TEST(DpdkGateway, NeedsNoKernelAddressUnlessItFallsBack) {
  GatewayConfig config = with_port(Dpdk::Fallback::kOff);
  config.data_plane.address.reset();
  EXPECT_TRUE(serving_gateway(config).ok());
  config.data_plane.dpdk.fallback = Dpdk::Fallback::kUdp;
  EXPECT_FALSE(serving_gateway(config).ok());
}

TEST(DpdkGateway, ACopyTakesAnyPortOfThePortsAddress) {
  const auto gateway = dialling_gateway(with_port(Dpdk::Fallback::kUdp));
  ASSERT_TRUE(gateway.ok());
  EXPECT_EQ(to_string(gateway.value().data_addresses.front()), "10.77.0.11:0");
  EXPECT_EQ(to_string(*gateway.value().udp_fallback), "10.77.0.1:0");
}

}  // namespace
}  // namespace tideway::config
