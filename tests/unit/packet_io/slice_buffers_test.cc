// SPDX-License-Identifier: Apache-2.0
#include "packet_io/slice_buffers.h"

#include <gtest/gtest.h>

namespace tideway::packet_io {
namespace {

TEST(SliceBuffers, ABufferIsFreeAfterItsLastHolder) {
  SliceBuffers buffers(2);
  const uint32_t buffer = buffers.take().value();
  buffers.hold(buffer);
  buffers.drop(buffer);
  EXPECT_EQ(buffers.free(), 1U);
  buffers.drop(buffer);
  EXPECT_EQ(buffers.free(), 2U);
  EXPECT_EQ(buffers.take(), buffer) << "the warm one first";
}

TEST(SliceBuffers, NothingIsTakenWhenAllAreOut) {
  SliceBuffers buffers(2);
  const uint32_t one = buffers.take().value(), two = buffers.take().value();
  EXPECT_FALSE(buffers.take());
  EXPECT_NE(buffers.memory(one).data(), buffers.memory(two).data());
  buffers.drop(one);
  EXPECT_EQ(buffers.take(), one);
}

}  // namespace
}  // namespace tideway::packet_io
