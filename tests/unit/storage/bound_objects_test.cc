// SPDX-License-Identifier: Apache-2.0
#include "storage/bound_objects.h"

#include "support/manifest_entries.h"

#include <gtest/gtest.h>

namespace tideway::storage {
namespace {

ManifestEntry entry(uint32_t number, uint32_t parent, std::string name, EntryType type) {
  ManifestEntry made = test::entry_of(number, parent, std::move(name), type);
  if (type == EntryType::kFile) made.size = 1_B;
  return made;
}

void bind(BoundObjects& objects, const ManifestEntry& made) { objects.bind(made.number, made); }

TEST(BoundObjects, AFileKnowsItsWayFromTheTop) {
  BoundObjects objects;
  bind(objects, entry(0, 0, "", EntryType::kDirectory));
  bind(objects, entry(1, 0, "a", EntryType::kDirectory));
  bind(objects, entry(2, 1, "f", EntryType::kFile));
  ASSERT_NE(objects.find_file(ObjectId(2)), nullptr);
  EXPECT_EQ(BoundObjects::path_of(*objects.find_file(ObjectId(2))), (std::vector<std::string>{"a", "f"}));
  EXPECT_EQ(objects.find_file(ObjectId(1)), nullptr) << "a directory is no file";
  EXPECT_NE(objects.find_directory(ObjectId(1)), nullptr);
}

TEST(BoundObjects, ADirectoryIsForgottenWithItsLastChildOnceItCanGetNoMore) {
  BoundObjects objects;
  bind(objects, entry(0, 0, "", EntryType::kDirectory));
  bind(objects, entry(1, 0, "a", EntryType::kDirectory));
  bind(objects, entry(2, 1, "f", EntryType::kFile));
  bind(objects, entry(3, 0, "b", EntryType::kFile));
  EXPECT_NE(objects.find_directory(ObjectId(1)), nullptr) << "its child may still be asked for";
  objects.release(ObjectId(2));
  EXPECT_EQ(objects.find_directory(ObjectId(1)), nullptr);
  EXPECT_NE(objects.find_directory(ObjectId(0)), nullptr) << "more may come below the top";
}

TEST(BoundObjects, AMillionEntriesNeedNoMoreRoomThanTheOpenOnes) {
  BoundObjects objects;
  bind(objects, entry(0, 0, "", EntryType::kDirectory));
  uint32_t number = 1;
  size_t most = 0;
  for (uint32_t dir = 0; dir < 1000; ++dir) {
    const uint32_t parent = number++;
    bind(objects, entry(parent, 0, std::to_string(dir), EntryType::kDirectory));
    for (uint32_t file = 0; file < 50; ++file) {
      bind(objects, entry(number, parent, std::to_string(file), EntryType::kFile));
      objects.release(ObjectId(number++));
    }
    bind(objects, entry(number++, parent, "link", EntryType::kSymlink));
    most = std::max(most, objects.size());
  }
  EXPECT_LE(most, 3U);
}

TEST(BoundObjects, AnEntryWithoutAKnownParentStaysUnknown) {
  BoundObjects objects;
  bind(objects, entry(0, 0, "", EntryType::kDirectory));
  bind(objects, entry(1, 0, "f", EntryType::kFile));
  bind(objects, entry(2, 1, "below-a-file", EntryType::kFile));
  bind(objects, entry(3, 99, "nowhere", EntryType::kFile));
  EXPECT_EQ(objects.find_file(ObjectId(2)), nullptr);
  EXPECT_EQ(objects.find_file(ObjectId(3)), nullptr);
  objects.release(ObjectId(3));
  objects.release(ObjectId(0));
  EXPECT_NE(objects.find_file(ObjectId(1)), nullptr);
}

}  // namespace
}  // namespace tideway::storage
