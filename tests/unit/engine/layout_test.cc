// SPDX-License-Identifier: Apache-2.0
#include "engine/layout.h"

#include "mem/buffer.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

TEST(Layout, WorkersGrowWithTheCores) {
  const struct { uint32_t cores, net, cpu; } expected[] = {{1, 1, 1}, {2, 1, 1}, {4, 1, 1}, {8, 2, 3}, {16, 4, 7}, {64, 16, 31}, {256, 16, 32}};
  for (const auto& [cores, net, cpu] : expected) {
    const auto layout = plan_layout(cores, 16_GiB);
    ASSERT_TRUE(layout.ok()) << cores;
    EXPECT_EQ(layout.value().net_workers, net) << cores;
    EXPECT_EQ(layout.value().cpu_workers, cpu) << cores;
  }
}

TEST(Layout, LittleMemoryMakesFewerWorkersAndNoError) {
  const auto layout = plan_layout(64, 512_MiB);
  ASSERT_TRUE(layout.ok()) << layout.error().what;
  EXPECT_EQ(layout.value().net_workers, 3U);
  EXPECT_GE(layout.value().buffers_receiving / layout.value().net_workers, 4U);
  EXPECT_LE(Bytes(kBufferSize) * layout.value().buffers, 512_MiB);
}

TEST(Layout, TooLittleMemoryIsRefused) {
  const auto layout = plan_layout(2, 64_MiB);
  ASSERT_FALSE(layout.ok());
  EXPECT_EQ(layout.error().fault, Fault::kConfigInvalid);
}

}  // namespace
}  // namespace tideway::engine
