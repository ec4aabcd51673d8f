// SPDX-License-Identifier: Apache-2.0
#include "packet_io/registry.h"

#include <gtest/gtest.h>

namespace tideway::packet_io {
namespace {

TEST(PacketIoRegistry, EveryBackendOfTheTableCanBeMade) {
  ASSERT_FALSE(backends().empty());
  for (const Backend& backend : backends()) EXPECT_TRUE(make_packet_io(backend.name, {}).ok()) << backend.name;
}

TEST(PacketIoRegistry, AnUnknownNameIsRefusedWithTheNamesThereAre) {
  const auto refused = make_packet_io("pigeon", {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(refused.error().what.find("pigeon"), std::string::npos);
  EXPECT_NE(refused.error().next.find("udp"), std::string::npos);
}

}  // namespace
}  // namespace tideway::packet_io
