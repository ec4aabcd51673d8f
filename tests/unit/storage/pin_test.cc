// SPDX-License-Identifier: Apache-2.0
#include "storage/pin.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

namespace tideway::storage {
namespace {

class PinTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_request_dirs(dir_, std::nullopt).ok()); }
  Result<PinCount> pin(std::string_view name, const std::string& id) { return make_pin(dir_, ObjectName::from_text(name).value(), id); }

  TempRoot root_;
  RootedDir dir_ = RootedDir::open_host_path(root_.path().string(), Side::kSource).value();
  const std::string large_ = std::string(kCopiedMax.count() + 1, 'x');
};

TEST_F(PinTest, OutlivesTheCheckpointThatItHolds) {
  root_.write("step-1/shard", large_);
  root_.write("step-1/sub/.metadata", "marker");
  const auto count = pin("step-1", "a");
  ASSERT_TRUE(count.ok()) << count.error().what;
  EXPECT_EQ(count.value().copied + count.value().cloned, count.value().linked == 1 ? 1U : 2U);
  EXPECT_EQ(count.value().bytes, Bytes(large_.size() + 6));
  std::filesystem::remove_all(root_ / "step-1");
  EXPECT_EQ(root_.read(".tideway/pins/a/shard"), large_);
  EXPECT_EQ(root_.read(".tideway/pins/a/sub/.metadata"), "marker");
}

// Where the file system shares blocks (XFS, Btrfs; TMPDIR may name one).
TEST_F(PinTest, AReflinkOutlivesARewriteInPlace) {
  root_.write("step-1/shard", large_);
  const auto count = pin("step-1", "a");
  ASSERT_TRUE(count.ok()) << count.error().what;
  if (count.value().cloned == 0) GTEST_SKIP() << "this file system has no reflinks";
  root_.write("step-1/shard", std::string(large_.size(), 'y'));
  EXPECT_EQ(root_.read(".tideway/pins/a/shard"), large_);
}

TEST_F(PinTest, KeepsTimesAndModesAndSmallFilesAsTheyWere) {
  root_.write("step-1/trainer_state.json", "before");
  ::chmod((root_ / "step-1/trainer_state.json").c_str(), 0640);
  const struct stat was = root_.stat("step-1/trainer_state.json");
  ASSERT_TRUE(pin("step-1", "a").ok());
  root_.write("step-1/trainer_state.json", "rewritten");
  const struct stat is = root_.stat(".tideway/pins/a/trainer_state.json");
  EXPECT_EQ(root_.read(".tideway/pins/a/trainer_state.json"), "before");
  EXPECT_EQ(is.st_mtim.tv_nsec, was.st_mtim.tv_nsec);
  EXPECT_EQ(is.st_mode, was.st_mode);
}

TEST_F(PinTest, OfOneFileHoldsItUnderItsName) {
  root_.write("runs/last.ckpt", "weights");
  ASSERT_TRUE(pin("runs/last.ckpt", "a").ok());
  EXPECT_EQ(root_.read(".tideway/pins/a/last.ckpt"), "weights");
  const auto place = open_pin(dir_, "a", "last.ckpt");
  ASSERT_TRUE(place.ok());
  EXPECT_EQ(place.value().name, single_name("last.ckpt"));
}

TEST_F(PinTest, OfADirectoryIsTheDirectory) {
  root_.write("step-1/step-1/x", "a directory of the same name in it");
  ASSERT_TRUE(pin("step-1", "a").ok());
  EXPECT_TRUE(open_pin(dir_, "a", "step-1").value().name.is_root());
}

TEST_F(PinTest, IsWholeOrNotThere) {
  EXPECT_EQ(pin("nothing", "a").error().fault, Fault::kSourceMissing);
  EXPECT_FALSE(root_.exists(".tideway/pins/a"));
  EXPECT_FALSE(root_.exists(".tideway/pins/a.part"));
  root_.write(".tideway/pins/a.part/left", "by an attempt that was killed");
  root_.write("step-1/x", "x");
  ASSERT_TRUE(pin("step-1", "a").ok());
  EXPECT_FALSE(root_.exists(".tideway/pins/a/left"));
}

TEST_F(PinTest, IsNeverPutOverAnother) {
  root_.write("step-1/x", "x");
  ASSERT_TRUE(pin("step-1", "a").ok());
  EXPECT_EQ(pin("step-1", "a").error().fault, Fault::kDestExists);
  ASSERT_TRUE(drop_pin(dir_, "a").ok());
  ASSERT_TRUE(drop_pin(dir_, "a").ok());
  EXPECT_TRUE(pin("step-1", "a").ok());
}

TEST_F(PinTest, FoldersForTrainersCannotBeEmptiedByOneOfThem) {
  ASSERT_TRUE(make_request_dirs(dir_, std::nullopt).ok()) << "they are there from the last start";
  for (const char* name : {".tideway/pins", ".tideway/inbox"}) EXPECT_EQ(root_.stat(name).st_mode & 07777U, 03770U) << name;
  EXPECT_EQ(root_.stat(".tideway").st_mode & 07777U, 0711U);
}

TEST_F(PinTest, ThoseIntoWhichNothingIsPutAnyMoreAreNamedWholeOrNot) {
  root_.write("step-1/x", "x");
  ASSERT_TRUE(pin("step-1", "a").ok());
  root_.write(".tideway/pins/b.part/left", "by an attempt that was killed");
  root_.write(".tideway/pins/.hidden/x", "no pin");
  const int64_t later = 1'000'000'000LL * (::time(nullptr) + 3600);
  using Names = std::vector<std::string>;
  EXPECT_EQ(pins_older_than(dir_, later, {"", 10}), (Names{"a", "b.part"}));
  EXPECT_EQ(pins_older_than(dir_, later, {"", 1}), Names{"a"});
  EXPECT_EQ(pins_older_than(dir_, later, {"a", 1}), Names{"b.part"}) << "where the first ones stay, the others come at the next look";
  EXPECT_TRUE(pins_older_than(dir_, later, {"b.part", 10}).empty());
  EXPECT_TRUE(pins_older_than(dir_, 1'000'000'000LL, {"", 10}).empty());
}

TEST_F(PinTest, IdsAreNames) {
  EXPECT_TRUE(is_pin_draft("a.part"));
  for (const char* name : {"a", ".part", "..part", "a.part.part"}) EXPECT_FALSE(is_pin_draft(name)) << name;
  EXPECT_TRUE(is_pin_id("4f0c2d"));
  for (const char* id : {"", ".", "..", "a/b", ".hidden", "a.part"}) EXPECT_FALSE(is_pin_id(id)) << id;
  EXPECT_FALSE(is_pin_id(std::string(kPinIdMax + 1, 'a')));
}

}  // namespace
}  // namespace tideway::storage
