// SPDX-License-Identifier: Apache-2.0
#include "packet_io/registry.h"

#include <gtest/gtest.h>

namespace tideway::packet_io {
namespace {

TEST(PacketIoRegistry, EveryBackendOfTheTableIsFoundByItsName) {
  ASSERT_FALSE(backends().empty());
  for (const Backend& backend : backends()) {
    EXPECT_EQ(find_backend(backend.name).value(), &backend);
    EXPECT_NE(backend.make, nullptr);
  }
}

TEST(PacketIoRegistry, UdpIsAlwaysThereAndMakesOneForEachWorker) {
  const Backend& udp = *find_backend("udp").value();
  EXPECT_EQ(udp.prepare, nullptr);
  EXPECT_EQ(udp.make({}, 3).value().size(), 3U);
  EXPECT_EQ(udp.join, nullptr);
}

TEST(PacketIoRegistry, AnUnknownNameIsRefusedWithTheNamesThereAre) {
  const auto refused = find_backend("pigeon");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(refused.error().what.find("pigeon"), std::string::npos);
  EXPECT_NE(refused.error().next.find("udp"), std::string::npos);
}

}  // namespace
}  // namespace tideway::packet_io
