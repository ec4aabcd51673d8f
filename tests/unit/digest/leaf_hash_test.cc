// SPDX-License-Identifier: Apache-2.0
#include "digest/leaf_hash.h"

#include "support/vectors.h"
#include <tideway/object_store.h>

namespace tideway::digest::leaf_hash_test {
namespace {

using test::Octets;
using test::to_hex;

TEST(LeafHash, IsThatOfTheVectors) {
  size_t checked = 0;
  for (const auto& [name, hash] : test::load_vectors("hash_tree.txt")) {
    if (!name.starts_with("leaf_") || name.starts_with("leaf_of")) continue;
    EXPECT_EQ(to_hex(leaf_hash(test::pattern(std::stoul(name.substr(5))))), to_hex(hash)) << name;
    ++checked;
  }
  EXPECT_EQ(checked, 8U);
}

TEST(LeafHash, OfZerosIsTheConstant) {
  EXPECT_EQ(leaf_hash(Octets(kLeafSize.count())), kZeroLeafHash);
  EXPECT_EQ(to_hex(kZeroLeafHash), to_hex(test::load_vectors("hash_tree.txt")["leaf_of_4_mib_of_zeros"]));
}

TEST(LeafHasher, PiecesOfAnySizeGiveTheHashOfTheWhole) {
  const Octets leaf = test::pattern(100'000);
  LeafHasher hasher;
  for (const size_t step : {1U, 7U, 240U, 4096U, 65'536U}) {
    for (size_t at = 0; at < leaf.size(); at += step)
      hasher.update(std::span(leaf).subspan(at, std::min<size_t>(step, leaf.size() - at)));
    EXPECT_EQ(hasher.finish(), leaf_hash(leaf)) << step << ", and starts over after each leaf";
  }
  EXPECT_EQ(hasher.finish(), leaf_hash({}));
}

}  // namespace
}  // namespace tideway::digest::leaf_hash_test
