// SPDX-License-Identifier: Apache-2.0
#include "storage/descriptor_cache.h"

#include <gtest/gtest.h>

#include <fcntl.h>

namespace tideway::storage {
namespace {

Descriptor some_file() { return Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

TEST(DescriptorCache, TheOneIdleForLongestClosesFirstAndABusyOneNever) {
  DescriptorCache cache;
  cache.add(ObjectId(0), some_file()).in_flight = 1;
  for (uint32_t i = 1; i < DescriptorCache::kOpenMax; ++i) cache.add(ObjectId(i), some_file());
  ASSERT_NE(cache.find(ObjectId(1)), nullptr);  // used again: 2 is the oldest idle one now
  cache.add(ObjectId(1000), some_file());
  EXPECT_NE(cache.find(ObjectId(0)), nullptr);
  EXPECT_NE(cache.find(ObjectId(1)), nullptr);
  EXPECT_EQ(cache.find(ObjectId(2)), nullptr);
  EXPECT_TRUE(cache.is_busy(ObjectId(0)));
  cache.drop(ObjectId(0));
  EXPECT_FALSE(cache.is_busy(ObjectId(0)));
}

}  // namespace
}  // namespace tideway::storage
