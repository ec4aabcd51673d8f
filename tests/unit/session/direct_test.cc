// SPDX-License-Identifier: Apache-2.0
#include "session/direct.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/mount.h>

namespace tideway::session {
namespace {

using storage::Side;

class OpenLocalTest : public testing::Test {
 protected:
  void TearDown() override {
    if (is_mounted_) ::umount2((root_ / "dir").c_str(), MNT_DETACH);
  }
  std::string path(std::string_view name) const { return (root_ / name).string(); }
  static uint64_t inode(const LocalPlace& place) { return place.dir->stat({}).value().inode; }

  TempRoot root_;
  bool is_mounted_ = false;
};

TEST_F(OpenLocalTest, AnExistingDirectoryIsHeldItselfUnderItsName) {
  root_.make_dir("dir");
  for (const char* name : {"dir", "dir/", "dir//"}) {
    const auto place = open_local(path(name), Side::kDestination);
    ASSERT_TRUE(place.ok()) << place.error().what;
    EXPECT_TRUE(place.value().name.is_root());
    EXPECT_EQ(place.value().as, "dir");
    EXPECT_EQ(inode(place.value()), root_.stat("dir").st_ino);
  }
}

// As the last component below its parent it would be another file system, which no lookup enters.
TEST_F(OpenLocalTest, AMountPointIsAPlaceLikeAnyOther) {
  root_.make_dir("dir");
  is_mounted_ = ::mount("tideway-test", path("dir").c_str(), "tmpfs", 0, "size=1m") == 0;
  if (!is_mounted_) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  root_.write("dir/f", "x");
  const auto place = open_local(path("dir"), Side::kSource);
  ASSERT_TRUE(place.ok()) << place.error().what;
  EXPECT_TRUE(place.value().dir->stat(storage::single_name("f")).ok());
}

TEST_F(OpenLocalTest, ALinkToADirectoryIsFollowedBecauseTheUserWroteIt) {
  root_.make_dir("dir");
  root_.link("link", "dir");
  const auto place = open_local(path("link"), Side::kSource);
  ASSERT_TRUE(place.ok()) << place.error().what;
  EXPECT_EQ(inode(place.value()), root_.stat("dir").st_ino);
  EXPECT_EQ(place.value().as, "link");
}

TEST_F(OpenLocalTest, FilesAndWhatIsToBeAreNamedInTheirParent) {
  root_.write("dir/f", "x");
  for (const char* name : {"dir/f", "dir/new", "dir/new/"}) {
    const auto place = open_local(path(name), Side::kDestination);
    ASSERT_TRUE(place.ok()) << place.error().what;
    EXPECT_EQ(place.value().name.components().size(), 1U);
    EXPECT_EQ(inode(place.value()), root_.stat("dir").st_ino);
  }
  EXPECT_EQ(open_local(path("none/f"), Side::kSource).error().fault, Fault::kSourceMissing);
}

}  // namespace
}  // namespace tideway::session
