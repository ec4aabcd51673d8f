// SPDX-License-Identifier: Apache-2.0
#include "flow/block_index.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <map>

namespace tideway::flow::block_index_test {
namespace {

TEST(BlockIndex, RandomHistoriesMatchAMap) {
  constexpr size_t kMax = 20;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    BlockIndex index(kMax);
    std::map<BlockKey, uint32_t> model;
    for (uint32_t step = 0; step < 2000; ++step) {
      const BlockKey key{SlotId(static_cast<uint16_t>(random.below(3))),
                         BlockId(static_cast<uint32_t>(random.below(12)))};
      const auto known = model.find(key);
      ASSERT_EQ(index.find(key), known == model.end() ? BlockIndex::kNone : known->second);
      if (known != model.end() && random.happens(0.5)) {
        index.remove(key);
        model.erase(known);
        ASSERT_EQ(index.find(key), BlockIndex::kNone);
      } else if (known == model.end() && model.size() < kMax) {
        index.add(key, step);
        model[key] = step;
      }
      ASSERT_EQ(index.size(), model.size());
    }
    for (const auto& [key, entry] : model) ASSERT_EQ(index.find(key), entry);
  }
}

TEST(BlockIndex, RemovingWhatIsNotThereChangesNothing) {
  BlockIndex index(2);
  index.add({SlotId(1), BlockId(1)}, 7);
  index.remove({SlotId(1), BlockId(2)});
  EXPECT_EQ(index.find({SlotId(1), BlockId(1)}), 7U);
  EXPECT_EQ(index.size(), 1U);
}

}  // namespace
}  // namespace tideway::flow::block_index_test
