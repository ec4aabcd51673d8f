// SPDX-License-Identifier: Apache-2.0
#include "crypto/root_signer.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

namespace tideway::crypto {
namespace {

class RootSignerTest : public testing::Test {
 protected:
  RootSignerTest() {
    write("a");
    write("b");
  }
  void write(const std::string& name) {
    const auto pair = make_signing_key();
    dir_.write(name + ".key", pair.value().secret.text());
    ::chmod((dir_ / (name + ".key")).c_str(), 0600);
    dir_.write(name + ".pub", pair.value().public_half);
  }
  RootSigner signer(const std::string& name) const { return RootSigner::open((dir_ / (name + ".key")).string()).value(); }
  RootChecker checker(const std::string& name) const { return RootChecker::open((dir_ / (name + ".pub")).string()).value(); }
  TempRoot dir_;
  SignedTree tree_{{std::byte{1}}, 5, 600};
};

TEST_F(RootSignerTest, ASignatureIsOfOneKeySiteAndTree) {
  const RootSignature good = signer("a").sign("atlanta", tree_);
  EXPECT_TRUE(checker("a").is_good(good, tree_));
  EXPECT_FALSE(checker("b").is_good(good, tree_)) << "another key";
  RootSignature other = good;
  other.site = "boston";
  EXPECT_FALSE(checker("a").is_good(other, tree_)) << "another site";
  other = good;
  other.bytes[63] ^= std::byte{1};
  EXPECT_FALSE(checker("a").is_good(other, tree_)) << "other bytes";
  for (const SignedTree& tree : {SignedTree{{std::byte{2}}, 5, 600}, SignedTree{tree_.root, 6, 600}, SignedTree{tree_.root, 5, 601}})
    EXPECT_FALSE(checker("a").is_good(good, tree)) << "another tree";
}

TEST_F(RootSignerTest, FilesThatAreNoKeysAreNamed) {
  for (const char* file : {"a.pub", "missing"}) {
    const auto opened = RootSigner::open((dir_ / file).string());
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().fault, Fault::kConfigInvalid);
    EXPECT_NE(opened.error().what.find(file), std::string::npos);
  }
  EXPECT_FALSE(RootChecker::open((dir_ / "a.key").string()).ok()) << "the secret half is for nobody else";
}

TEST_F(RootSignerTest, AKeyThatOthersMayReadIsRefused) {
  ::chmod((dir_ / "a.key").c_str(), 0644);
  const auto opened = RootSigner::open((dir_ / "a.key").string());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().fault, Fault::kConfigInvalid);
}

}  // namespace
}  // namespace tideway::crypto
