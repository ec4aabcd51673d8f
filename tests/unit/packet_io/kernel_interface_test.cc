// SPDX-License-Identifier: Apache-2.0
#include "packet_io/kernel_interface.h"

#include <gtest/gtest.h>

#include <net/if.h>

namespace tideway::packet_io {
namespace {

TEST(KernelInterface, LoopbackIsUpAndCarriesALot) {
  const unsigned index = if_nametoindex("lo");
  if (index == 0 || link_of_interface(index) == LinkState::kDown) GTEST_SKIP() << "there is no loopback here, or it is down";
  EXPECT_EQ(link_of_interface(index), LinkState::kUp);
  EXPECT_GE(mtu_of_interface("lo"), Bytes(1500));
}

TEST(KernelInterface, OneThatIsNotThereIsGone) {
  EXPECT_EQ(link_of_interface(0x7FFF'FFFF), LinkState::kGone);
  EXPECT_EQ(mtu_of_interface("no-such-one"), Bytes());
  EXPECT_EQ(mtu_of_interface("a-name-longer-than-any"), Bytes());
  EXPECT_EQ(mtu_of_interface(""), Bytes());
}

}  // namespace
}  // namespace tideway::packet_io
