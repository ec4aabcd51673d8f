// SPDX-License-Identifier: Apache-2.0
#include "storage/rooted_dir.h"

#include "storage/lookup.h"
#include "support/object_names.h"
#include "support/refused_call.h"
#include "support/swapped_dir.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

namespace tideway::storage {
namespace {

using test::name;

std::string content_of(const Descriptor& file) {
  std::array<char, 256> bytes{};
  const ssize_t size = ::pread(file.get(), bytes.data(), bytes.size(), 0);
  return size < 0 ? "" : std::string(bytes.data(), static_cast<size_t>(size));
}

// Each claim holds for openat2 and for the walk that replaces it.
class RootedDirTest : public testing::TestWithParam<Lookup> {
 protected:
  RootedDir open(Side side = Side::kDestination) const {
    return RootedDir::open_host_path(root_.path().string(), side, GetParam()).value();
  }
  TempRoot root_, outside_;
};

INSTANTIATE_TEST_SUITE_P(Lookups, RootedDirTest, testing::Values(Lookup::kOpenat2, Lookup::kWalk));

TEST_P(RootedDirTest, AFileIsFoundByItsComponents) {
  root_.write("a/b/c", "hello");
  const RootedDir root = open();
  auto file = root.open_file(name("a/b/c"), Access::kRead);
  ASSERT_TRUE(file.ok()) << file.error().what;
  EXPECT_EQ(content_of(file.value()), "hello");
  EXPECT_EQ(root.stat(name("a/b/c")).value().size, 5_B);
}

TEST_P(RootedDirTest, ALinkInTheMiddleOfANameIsDenied) {
  outside_.write("secret", "x");
  root_.link("door", outside_.path().string());
  const RootedDir root = open();
  const auto file = root.open_file(name("door/secret"), Access::kRead);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().fault, Fault::kDenied);
  EXPECT_FALSE(root.stat(name("door/secret")).ok());
  EXPECT_FALSE(root.create_file(name("door/new"), 0600).ok());
  EXPECT_FALSE(root.make_dir(name("door/new"), 0700).ok());
  EXPECT_FALSE(root.make_dirs(name("door/new")).ok());
  EXPECT_FALSE(root.make_symlink(name("door/new"), "x").ok());
  EXPECT_FALSE(root.remove_file(name("door/secret")).ok());
  EXPECT_FALSE(root.remove_tree(name("door/secret")).ok());
  EXPECT_FALSE(root.open_dir(name("door")).ok());
  EXPECT_TRUE(outside_.exists("secret"));
  EXPECT_FALSE(outside_.exists("new"));
}

TEST_P(RootedDirTest, ALinkAsTheLastComponentIsNotFollowedEvenInsideTheRoot) {
  root_.write("real", "x");
  root_.link("alias", "real");
  const RootedDir root = open();
  EXPECT_FALSE(root.open_file(name("alias"), Access::kRead).ok());
  EXPECT_FALSE(root.open_file(name("alias"), Access::kWrite).ok());
  EXPECT_FALSE(root.create_file(name("alias"), 0600).ok());
  EXPECT_EQ(root.stat(name("alias")).value().kind, FileKind::kSymlink);
  EXPECT_EQ(root.read_link(name("alias")).value(), "real");
}

TEST_P(RootedDirTest, ErrorsNameTheEntryAndNoAbsolutePath) {
  const RootedDir root = open();
  root_.make_dir("ckpt");
  const RootedDir below = root.open_dir(name("ckpt")).value();
  const auto missing = below.open_file(name("step\n9/model"), Access::kRead);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().what.find("\"ckpt/step\\x0a9/model\""), std::string::npos) << missing.error().what;
  EXPECT_EQ(missing.error().what.find(root_.path().string()), std::string::npos) << missing.error().what;
  EXPECT_FALSE(missing.error().next.empty());
}

TEST_P(RootedDirTest, AMissingSourceAndAMissingDestinationAreDifferentFaults) {
  EXPECT_EQ(open(Side::kSource).open_file(name("x"), Access::kRead).error().fault, Fault::kSourceMissing);
  EXPECT_EQ(open(Side::kDestination).open_file(name("x"), Access::kRead).error().fault, Fault::kDestIo);
}

TEST_P(RootedDirTest, AFifoIsRefusedWithoutWaitingForItsWriter) {
  ASSERT_EQ(::mkfifo((root_ / "pipe").c_str(), 0600), 0);
  const auto file = open().open_file(name("pipe"), Access::kRead);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().fault, Fault::kSpecialFile);
}

TEST_P(RootedDirTest, CreatingAndRenamingNeverReplace) {
  root_.write("there", "old");
  root_.write("new", "new");
  const RootedDir root = open();
  EXPECT_EQ(root.create_file(name("there"), 0600).error().fault, Fault::kDestExists);
  EXPECT_EQ(root.rename(name("new"), root, name("there")).error().fault, Fault::kDestExists);
  EXPECT_EQ(root_.read("there"), "old");
  EXPECT_TRUE(root.rename(name("new"), root, name("other")).ok());
  EXPECT_EQ(root_.read("other"), "new");
}

TEST_P(RootedDirTest, MissingParentsAreMadeAndExistingOnesKept) {
  root_.make_dir("a");
  const RootedDir root = open();
  EXPECT_TRUE(root.make_dirs(name("a/b/c")).value());
  EXPECT_FALSE(root.make_dirs(name("a/b/c")).value());
  EXPECT_TRUE(root_.exists("a/b/c"));
  root_.write("file", "x");
  EXPECT_EQ(root.make_dirs(name("file/c")).error().fault, Fault::kTypeConflict);
}

TEST_P(RootedDirTest, RemovingATreeRemovesLinksAndNotWhatTheyPointTo) {
  outside_.write("keep", "x");
  root_.write("tree/deep/file", "x");
  root_.link("tree/deep/door", outside_.path().string());
  root_.link("tree/alias", "deep");
  ASSERT_EQ(::chmod((root_ / "tree/deep").c_str(), 0500), 0);
  const RootedDir root = open();
  const auto status = root.remove_tree(name("tree"));
  ASSERT_TRUE(status.ok()) << status.error().what;
  EXPECT_FALSE(root_.exists("tree"));
  EXPECT_TRUE(outside_.exists("keep"));
  EXPECT_TRUE(root.remove_tree(name("tree")).ok()) << "a missing tree is as good as a removed one";
}

TEST_P(RootedDirTest, NamesOf255BytesAndPathsBeyondPathMaxWork) {
  const RootedDir root = open();
  std::vector<std::string> components(30, std::string(255, 'n'));  // 7,680 bytes, twice PATH_MAX
  ObjectName deep = ObjectName::from_components(components).value();
  ASSERT_TRUE(root.make_dirs(deep).ok());
  deep = deep.child("leaf").value();
  {
    auto file = root.create_file(deep, 0600);
    ASSERT_TRUE(file.ok()) << file.error().what;
    ASSERT_EQ(::pwrite(file.value().get(), "deep", 4, 0), 4);
  }
  EXPECT_EQ(content_of(root.open_file(deep, Access::kRead).value()), "deep");
  EXPECT_EQ(root.stat(deep).value().size, 4_B);
  EXPECT_TRUE(root.rename(deep, root, deep.parent().child("moved").value()).ok());
  EXPECT_TRUE(root.remove_tree(single_name(std::string(255, 'n'))).ok());
}

TEST_P(RootedDirTest, NamesThatAreNotUtf8AreBytesLikeOthers) {
  const RootedDir root = open();
  const ObjectName odd = single_name("\xFF\xFE\n");
  ASSERT_TRUE(root.create_file(odd, 0600).ok());
  std::vector<std::string> seen;
  ASSERT_TRUE(root.for_each_name([&](std::string_view found) { seen.emplace_back(found); }).ok());
  EXPECT_EQ(seen, std::vector<std::string>{"\xFF\xFE\n"});
}

TEST_P(RootedDirTest, TimesBeforeTheEpochKeepTheirNanoseconds) {
  root_.make_dir("d");
  const RootedDir dir = open().open_dir(name("d")).value();
  ASSERT_TRUE(dir.set_attributes(0750, -1'500'000'001).ok());
  const FileStat stat = dir.stat({}).value();
  EXPECT_EQ(stat.mtime_ns, -1'500'000'001);
  EXPECT_EQ(stat.mode, 0750U);
}

TEST_P(RootedDirTest, ALockIsHeldOnce) {
  const RootedDir first = open(), second = open();
  EXPECT_TRUE(first.lock_exclusively());
  EXPECT_FALSE(second.lock_exclusively());
}

// While files are opened, created and removed below it.
TEST_P(RootedDirTest, ADirectorySwappedForALinkNeverLeadsOutside) {
  root_.write("dir/file", "inside");
  outside_.write("file", "outside");
  root_.link("link", outside_.path().string());
  std::optional<SwappedDir> swapped(root_);
  const RootedDir root = open();
  int opened = 0;
  for (int i = 0; i < 2000; ++i) {
    if (auto file = root.open_file(name("dir/file"), Access::kRead); file.ok()) {
      ++opened;
      EXPECT_EQ(content_of(file.value()), "inside");
    }
    if (root.create_file(name("dir/made"), 0600).ok()) {
      static_cast<void>(root.remove_file(name("dir/made")).ok());
      static_cast<void>(root.remove_file(name("link/made")).ok());
    }
  }
  swapped.reset();
  EXPECT_GT(opened, 0);
  EXPECT_FALSE(outside_.exists("made"));
  EXPECT_EQ(outside_.read("file"), "outside");
}

// Parents that are made on the way to a name, and trees that are removed.
TEST_P(RootedDirTest, ParentsAreMadeAndTreesRemovedNowhereElseWhileADirectoryIsSwappedForALink) {
  root_.make_dir("dir");
  outside_.write("tree/file", "outside");
  root_.link("link", outside_.path().string());
  std::optional<SwappedDir> swapped(root_);
  const RootedDir root = open();
  int made = 0;
  for (int i = 0; i < 1000; ++i) {
    if (root.make_dirs(name("dir/made/deep")).ok()) ++made;
    static_cast<void>(root.remove_tree(name("dir/tree")).ok());
    static_cast<void>(root.remove_tree(name("dir/made")).ok());
  }
  swapped.reset();
  EXPECT_GT(made, 0);
  EXPECT_FALSE(outside_.exists("made"));
  EXPECT_EQ(outside_.read("tree/file"), "outside");
}

TEST_P(RootedDirTest, AnotherMountBelowTheRootIsNotEntered) {
  root_.make_dir("mnt");
  if (::mount("tideway-test", (root_ / "mnt").c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "mounting needs CAP_SYS_ADMIN";
  const RootedDir root = open();
  const auto dir = root.open_dir(name("mnt"));
  const auto file = root.create_file(name("mnt/f"), 0600);
  ::umount((root_ / "mnt").c_str());
  ASSERT_FALSE(dir.ok());
  EXPECT_EQ(dir.error().fault, Fault::kDestCrossDevice);
  EXPECT_FALSE(file.ok());
}

// A walk that cannot tell whether it has come to another mount goes no further. /proc is one on every machine.
TEST(LookupWalk, WhereTheKernelDoesNotTellTheMountNothingIsOpened) {
  const std::array<std::string, 2> elsewhere = {"proc", "version"}, here = {"etc", "passwd"};
  const auto opened = [](const std::array<std::string, 2>& components) {
    return open_by_walk(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), components, {O_RDONLY});
  };
  EXPECT_EQ(opened(elsewhere), -EXDEV);
  EXPECT_GE(opened(here), 0);
  const auto refused = [&](const std::array<std::string, 2>& components) {
    test::refuse_call(SYS_statx, EPERM);
    ::_exit(opened(components) == -EPERM ? 0 : 1);
  };
  EXPECT_EXIT(refused(elsewhere), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(refused(here), testing::ExitedWithCode(0), "");
}

TEST(ErrnoFault, EachStorageTroubleHasItsOwnName) {
  EXPECT_EQ(fault_of(Side::kDestination, ENOSPC), Fault::kDestFull);
  EXPECT_EQ(fault_of(Side::kDestination, EDQUOT), Fault::kDestQuota);
  EXPECT_EQ(fault_of(Side::kDestination, EROFS), Fault::kDestReadonly);
  EXPECT_EQ(fault_of(Side::kDestination, EACCES), Fault::kDestDenied);
  EXPECT_EQ(fault_of(Side::kDestination, EIO), Fault::kDestIo);
  EXPECT_EQ(fault_of(Side::kDestination, ESTALE), Fault::kDestStalled);
  EXPECT_EQ(fault_of(Side::kDestination, EFBIG), Fault::kDestTooBig);
  EXPECT_EQ(fault_of(Side::kSource, EACCES), Fault::kSourceIo);
  EXPECT_EQ(fault_of(Side::kSource, EIO), Fault::kSourceIo);
}

}  // namespace
}  // namespace tideway::storage
