// SPDX-License-Identifier: Apache-2.0
#include <tideway/packet_io.h>

#include <gtest/gtest.h>

namespace tideway {
namespace {

TEST(Endpoint, TextFormsRoundTrip) {
  for (const char* text : {"10.77.0.1:7400", "[fd00::1]:7401", "127.0.0.1:0"})
    EXPECT_EQ(to_string(Endpoint::parse(text).value()), text);
  EXPECT_TRUE(Endpoint::parse("10.77.0.1:7400").value().is_ipv4());
  EXPECT_FALSE(Endpoint::parse("[fd00::1]:7401").value().is_ipv4());
}

TEST(Endpoint, WhatIsNotAnAddressAndPortIsRefused) {
  for (const char* text : {"", ":", "host:1", "1.2.3.4", "1.2.3.4:", "1.2.3.4:70000", "1.2.3.4:1x", "fd00::1:1", "[fd00::1]1", "[:1"})
    EXPECT_FALSE(Endpoint::parse(text).ok()) << text;
}

}  // namespace
}  // namespace tideway
