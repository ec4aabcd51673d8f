// SPDX-License-Identifier: Apache-2.0
#include "engine/layout.h"

#include "engine/read_back.h"
#include "mem/buffer.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

TEST(Layout, WorkersGrowWithTheCores) {
  const struct { uint32_t cores, net, cpu; } expected[] = {{1, 1, 1}, {2, 1, 1}, {4, 1, 1}, {8, 2, 3}, {16, 4, 7}, {64, 16, 31}, {256, 16, 32}};
  for (const auto& [cores, net, cpu] : expected) {
    const auto layout = plan_layout({cores, 16_GiB});
    ASSERT_TRUE(layout.ok()) << cores;
    EXPECT_EQ(layout.value().net_workers, net) << cores;
    EXPECT_EQ(layout.value().cpu_workers, cpu) << cores;
  }
}

TEST(Layout, LittleMemoryMakesFewerWorkersAndNoError) {
  const struct { Bytes memory; uint32_t net; } expected[] = {{512_MiB, 1}, {1_GiB, 1}, {2_GiB, 3}, {4_GiB, 7}, {16_GiB, 16}};
  for (const auto& [memory, net] : expected) {
    const auto layout = plan_layout({64, memory});
    ASSERT_TRUE(layout.ok()) << layout.error().what;
    EXPECT_EQ(layout.value().net_workers, net) << memory.count();
    EXPECT_GE(layout.value().buffers_receiving / net, 22U) << "what 512 MiB leave one worker";
    EXPECT_LE(Bytes(kBufferSize) * layout.value().buffers, memory);
  }
}

TEST(Layout, AsManyNetWorkersAsAreAskedForOrAnError) {
  const auto layout = plan_layout({2, 1_GiB, 4});
  ASSERT_TRUE(layout.ok()) << layout.error().what;
  EXPECT_EQ(layout.value().net_workers, 4U);
  EXPECT_EQ(layout.value().threads, Layout::Threads::kCpuOnIo);
  EXPECT_FALSE(plan_layout({64, 512_MiB, 8}).ok());
}

TEST(Layout, PacketsOfAPortAndACaptureAreTakenFromTheMemory) {
  LayoutOrder order{2, 512_MiB};
  const auto plain = plan_layout(order);
  order.packets_each = 40_MiB;
  order.capture_each = 18_MiB;
  const auto large = plan_layout(order);
  ASSERT_TRUE(plain.ok() && large.ok());
  const Bytes more = order.packets_each - kPacketBuffers + order.capture_each;
  EXPECT_NEAR(static_cast<double>(plain.value().buffers - large.value().buffers), static_cast<double>(more.count()) / static_cast<double>(kBufferSize), 1);
  EXPECT_NE(large.value().memory_table.find("capture"), std::string::npos);
  order.packets_each = 400_MiB;
  const auto none = plan_layout(order);
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().what.find("packet buffers"), std::string::npos) << none.error().what;
}

// They used to be in no line, though they are taken beside all others.
TEST(Layout, LeavesThatAreReadBackAreTakenFromTheMemory) {
  const auto layout = plan_layout({2, 512_MiB});
  ASSERT_TRUE(layout.ok());
  const Bytes most = kLeafSize * LeafBuffers::kCount;
  EXPECT_NE(layout.value().memory_table.find("leaves read back " + std::to_string(most.count() >> 20) + " MiB"), std::string::npos) << layout.value().memory_table;
}

TEST(Layout, TooLittleMemoryIsRefused) {
  const auto layout = plan_layout({2, 64_MiB});
  ASSERT_FALSE(layout.ok());
  EXPECT_EQ(layout.error().fault, Fault::kConfigInvalid);
}

}  // namespace
}  // namespace tideway::engine
