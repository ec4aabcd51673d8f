// SPDX-License-Identifier: Apache-2.0
#include "session/sample_tree.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>

namespace tideway::session {
namespace {

namespace fs = std::filesystem;

class CompareTreesTest : public testing::Test {
 protected:
  CompareTreesTest() {
    for (const char* tree : {"one/", "other/"}) {
      root_.write(tree + std::string("dir/file"), "content");
      root_.link(tree + std::string("link"), "dir/file");
      touch(tree + std::string("dir/file"));
      touch(tree + std::string("dir"));
    }
  }
  void touch(const std::string& name) const {
    const timespec times[] = {{1'000, 0}, {1'000, 5}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (root_ / name).c_str(), times, 0), 0);
  }
  Result<TreeSize> compare() const { return compare_trees((root_ / "one").string(), (root_ / "other").string()); }
  // Whether it is found, and how it is called.
  void expect_difference(std::string_view what) const {
    const auto result = compare();
    ASSERT_FALSE(result.ok()) << what;
    EXPECT_EQ(result.error().fault, Fault::kHashMismatch);
    EXPECT_NE(result.error().what.find(what), std::string::npos) << result.error().what;
  }

  TempRoot root_;
};

TEST_F(CompareTreesTest, AlikeTreesAreCountedAndOurManifestIsNot) {
  root_.write("other/.tideway-manifest", "anything");
  const auto result = compare();
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(result.value().entries, 3U);
  EXPECT_EQ(result.value().bytes, 7_B);
}

TEST_F(CompareTreesTest, OneOtherByteIsFound) {
  root_.write("other/dir/file", "Content");
  touch("other/dir/file");
  expect_difference("\"dir/file\" has another content");
}

TEST_F(CompareTreesTest, ModesTimesTypesAndTargetsAreCompared) {
  fs::permissions(root_ / "other/dir/file", fs::perms::owner_read);
  expect_difference("mode");
  fs::permissions(root_ / "other/dir/file", fs::status(root_ / "one/dir/file").permissions());
  const timespec later[] = {{1'000, 0}, {1'000, 6}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (root_ / "other/dir").c_str(), later, 0), 0);
  expect_difference("modification time");
  touch("other/dir");
  fs::remove(root_ / "other/link");
  root_.link("other/link", "dir");
  expect_difference("target");
  fs::remove(root_ / "other/link");
  root_.write("other/link", "content");
  expect_difference("type");
}

TEST_F(CompareTreesTest, WhatIsMissingOrTooMuchIsFound) {
  root_.write("one/more", "");
  expect_difference("\"more\" is missing");
  root_.write("other/more", "");
  fs::last_write_time(root_ / "other/more", fs::last_write_time(root_ / "one/more"));
  ASSERT_TRUE(compare().ok());
  root_.write("other/too-much", "");
  expect_difference("\"too-much\" is there without reason");
}

TEST(MakeSampleTree, ItSaysHowMuchThereIsAndAFolderThatIsThereIsRefused) {
  const TempRoot root;
  const std::string tree = (root / "tree").string();
  const auto made = make_sample_tree(tree);
  ASSERT_TRUE(made.ok()) << made.error().what;
  const auto seen = compare_trees(tree, tree).value();
  EXPECT_EQ(seen.entries, made.value().entries);
  EXPECT_EQ(seen.bytes, made.value().bytes);
  EXPECT_FALSE(make_sample_tree(tree).ok());
}

}  // namespace
}  // namespace tideway::session
