// SPDX-License-Identifier: Apache-2.0
#include "daemon/growth_watch.h"

#include "daemon/tree_changes.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

std::string told(const std::vector<engine::GrownPart>& parts) {
  std::string text;
  for (const engine::GrownPart& part : parts) text += to_display(part.path) + '@' + std::to_string(part.leaf) + '+' + std::to_string(part.leaves) + ' ';
  return text;
}

checkpoint::Listing listing_of(std::vector<checkpoint::File> files) { return {"step-1", std::move(files)}; }

TEST(GrowingFiles, AFileThatOnlyGrowsIsFinalBeforeItsLastWholeLeaf) {
  GrowingFiles files;
  EXPECT_EQ(told(files.take(listing_of({{"a", 7_MiB, 1}}))), "");
  EXPECT_EQ(told(files.take(listing_of({{"a", 8_MiB, 1}}))), "a@0+1 ");
  EXPECT_EQ(told(files.take(listing_of({{"a", 8_MiB, 1}}))), "") << "each leaf once";
  EXPECT_EQ(told(files.take(listing_of({{"a", 23_MiB, 1}, {"deep/b", 8_MiB, 1}}))), "a@1+3 deep/b@0+1 ");
  EXPECT_EQ(told(files.take(listing_of({{"a", 9_MiB, 1}}))), "") << "it was begun anew: nothing is taken back, and nothing is told twice";
}

TEST(GrowingFiles, OfDeclaredRangesOnlyWholeLeavesThatAreThereCount) {
  GrowingFiles files;
  files.declare("a", {0, 3 << 20});
  EXPECT_EQ(told(files.take(listing_of({{"a", 40_MiB, 1}}))), "") << "nothing of a file with ranges is guessed";
  files.declare("a", {3 << 20, 9 << 20});
  EXPECT_EQ(told(files.take(listing_of({{"a", 40_MiB, 1}}))), "a@0+2 ");
  files.declare("a", {30 << 20, 100 << 20});
  EXPECT_EQ(told(files.take(listing_of({{"a", 40_MiB, 1}}))), "a@8+2 ") << "what is beyond its end is not there";
  files.declare("a", {8 << 20, 30 << 20});
  EXPECT_EQ(told(files.take(listing_of({{"a", 40_MiB, 1}}))), "a@2+6 ");
}

TEST(GrowingFiles, RemembersOnlySoManyFilesOfWhichSomebodySpeaks) {
  GrowingFiles files;
  files.declare(std::string(GrowingFiles::kPathMax + 1, 'x'), {0, 8 << 20});
  for (size_t i = 0; i < GrowingFiles::kFilesMax; ++i) files.declare(std::to_string(i), {0, 8 << 20});
  files.declare("one too many", {0, 4 << 20});
  EXPECT_EQ(told(files.take(listing_of({{"one too many", 40_MiB, 1}}))), "one too many@0+9 ") << "as if nothing had been said";
  EXPECT_EQ(told(files.take(listing_of({{"7", 40_MiB, 1}}))), "7@0+2 ");
}

TEST(GrowingFiles, ALongStretchIsTornIntoPartsAndTheOneFileIsOneToo) {
  GrowingFiles files;
  EXPECT_EQ(told(files.take(listing_of({{"", kLeafSize * 131, 1}}))), "@0+64 @64+64 @128+2 ");
}

TEST(GrowthWatch, LooksAtWhatIsThereAndTellsWhenNothingMoves) {
  TempRoot root;
  const session::RootPtr dir = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root.path().string(), storage::Side::kSource).value());
  GrowthWatch watch({dir, ObjectName::from_text("step-1").value(), root / "step-1"}, Time{});
  EXPECT_EQ(told(watch.look(Time{1s}).parts), "") << "it is not there yet";
  EXPECT_EQ(watch.next_look(), Time{1s} + GrowthWatch::kEvery);
  root.write("step-1/a", "");
  ASSERT_EQ(::truncate((root / "step-1/a").c_str(), 9 << 20), 0);
  const Growth growth = watch.look(Time{2s});
  EXPECT_EQ(told(growth.parts), "a@0+1 ");
  EXPECT_FALSE(growth.is_silent);
  EXPECT_FALSE(watch.look(Time{1s} + GrowthWatch::kSilentMax).is_silent);
  EXPECT_TRUE(watch.look(Time{2s} + GrowthWatch::kSilentMax).is_silent);
  watch.declare("a", {0, 100}, Time{3s} + GrowthWatch::kSilentMax);
  EXPECT_FALSE(watch.look(Time{3s} + GrowthWatch::kSilentMax).is_silent) << "somebody speaks of it";
}

TEST(GrowthWatch, WithoutInotifyEachLookFindsWhatIsNew) {
  TempRoot root;
  const session::RootPtr dir = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root.path().string(), storage::Side::kSource).value());
  GrowthWatch watch({dir, ObjectName::from_text("step-1").value(), ""}, Time{});
  root.write("step-1/a", "");
  EXPECT_EQ(told(watch.look(Time{1s}).parts), "");
  ASSERT_EQ(::truncate((root / "step-1/a").c_str(), 9 << 20), 0);
  EXPECT_EQ(told(watch.look(Time{1s} + GrowthWatch::kEvery).parts), "a@0+1 ");
}

TEST(TreeChanges, TellsWhatHappensAnywhereBelowAndNothingElse) {
  TempRoot root;
  TreeChanges changes;
  EXPECT_TRUE(changes.take()) << "it follows nothing yet";
  root.write("top/deep/a", "a");
  const checkpoint::Listing listing = listing_of({{"deep/a", 1_B, 1}});
  changes.follow(root / "top", listing);
  EXPECT_TRUE(changes.take()) << "something may have happened before it followed";
  changes.follow(root / "top", listing);
  EXPECT_FALSE(changes.take());
  root.write("beside", "b");
  EXPECT_FALSE(changes.take());
  root.write("top/deep/a", "more");
  EXPECT_TRUE(changes.take());
  EXPECT_FALSE(changes.take());
  std::filesystem::remove_all(root / "top");
  root.write("top/deep/a", "anew");
  EXPECT_TRUE(changes.take());
  changes.follow(root / "top", listing);
  EXPECT_TRUE(changes.take()) << "these are other directories";
  changes.follow(root / "nothing", listing_of({}));
  EXPECT_TRUE(changes.take()) << "what cannot be followed may change at any time";
}

TEST(TreeChanges, FollowsAFileAlone) {
  TempRoot root;
  root.write("step-1.ckpt", "a");
  TreeChanges changes;
  for (int i = 0; i < 2; ++i) changes.follow(root / "step-1.ckpt", listing_of({{"", 1_B, 1}}));
  EXPECT_FALSE(changes.take());
  root.write("step-1.ckpt", "bc");
  EXPECT_TRUE(changes.take());
}

}  // namespace
}  // namespace tideway::daemon
