// SPDX-License-Identifier: Apache-2.0
#include "storage/sweep.h"

#include "storage/staging.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>

namespace tideway::storage {
namespace {

constexpr Duration kTtl = std::chrono::hours(24);

class SweepTest : public testing::Test {
 protected:
  static TransferId id(unsigned char number) {
    TransferId id{};
    id[0] = std::byte{number};
    return id;
  }
  Staging stage(unsigned char number) const {
    Staging staging = Staging::create(root_dir_, id(number)).value();
    EXPECT_TRUE(staging.create_object(ObjectId(7)).ok());
    return staging;
  }
  std::string place(unsigned char number) const { return ".tideway/" + to_hex(id(number)); }
  int64_t now() const { return root_.stat(".").st_mtim.tv_sec * 1'000'000'000 + root_.stat(".").st_mtim.tv_nsec; }

  TempRoot root_;
  std::shared_ptr<const RootedDir> root_dir_ =
      std::make_shared<RootedDir>(RootedDir::open_host_path(root_.path().string(), Side::kDestination).value());
};

TEST_F(SweepTest, WhatADeadProcessLeftGoesOnceItIsOld) {
  { const Staging dead = stage(1); }
  EXPECT_EQ(sweep_staging(*root_dir_, kTtl, now() + kTtl.count() / 2).value(), 0U);
  EXPECT_TRUE(root_.exists(place(1))) << "somebody may still come back for it";
  EXPECT_EQ(sweep_staging(*root_dir_, kTtl, now() + 2 * kTtl.count()).value(), 1U);
  EXPECT_FALSE(root_.exists(".tideway")) << "nothing else was in it";
  EXPECT_EQ(sweep_staging(*root_dir_, kTtl, now() + 2 * kTtl.count()).value(), 0U);
}

TEST_F(SweepTest, WhatIsBeingFilledStaysHoweverOldItLooks) {
  const Staging live = stage(1);
  { const Staging dead = stage(2); }
  EXPECT_EQ(sweep_staging(*root_dir_, kTtl, now() + 2 * kTtl.count()).value(), 1U);
  EXPECT_TRUE(root_.exists(place(1) + "/data/00000/007"));
  EXPECT_FALSE(root_.exists(place(2)));
}

class RoomTest : public SweepTest {
 protected:
  void leave(unsigned char number, std::string_view owner, Bytes bytes) const {
    Staging staging = stage(number);
    ASSERT_TRUE(staging.keep_owner(owner).ok());
    staging.note_durable(bytes);
    for (const char* part : {"", "/manifest", "/leaves", "/ledger", "/data"}) set_age(place(number) + part, number);
  }
  void set_age(const std::string& name, unsigned char hours) const {
    const timespec times[2] = {{1'700'000'000 - hours * 3600, 0}, {1'700'000'000 - hours * 3600, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (root_.path() / name).c_str(), times, 0), 0) << name;
  }
};

TEST_F(RoomTest, TheOldestOfAnOwnerGoesFirstAndNoMoreThanNeeded) {
  leave(1, "them", 10_MiB);
  leave(2, "them", 20_MiB);
  leave(3, "them", 30_MiB);
  leave(4, "others", 40_MiB);
  EXPECT_EQ(staged_bytes(*root_dir_), 100_MiB);
  EXPECT_EQ(make_room(*root_dir_, "them", 60_MiB).value(), 60_MiB);
  EXPECT_TRUE(root_.exists(place(3))) << "there was room";
  EXPECT_EQ(make_room(*root_dir_, "them", 35_MiB).value(), 30_MiB);
  EXPECT_FALSE(root_.exists(place(3)));
  EXPECT_TRUE(root_.exists(place(2)));
  EXPECT_EQ(make_room(*root_dir_, "them", 0_B).value(), 0_B);
  EXPECT_FALSE(root_.exists(place(1)));
  EXPECT_TRUE(root_.exists(place(4))) << "it is of somebody else";
  EXPECT_EQ(staged_bytes(*root_dir_), 40_MiB);
}

TEST_F(RoomTest, WhatIsBeingFilledOrIsNobodysStays) {
  Staging live = stage(1);
  ASSERT_TRUE(live.keep_owner("them").ok());
  live.note_durable(5_MiB);
  { const Staging dead = stage(2); }
  EXPECT_EQ(make_room(*root_dir_, "them", 0_B).value(), 0_B);
  EXPECT_TRUE(root_.exists(place(1) + "/account"));
  EXPECT_TRUE(root_.exists(place(2)));
  EXPECT_EQ(staged_bytes(*root_dir_), 5_MiB);
}

TEST_F(RoomTest, AnAccountIsKeptFromProcessToProcess) {
  {
    Staging first = stage(1);
    ASSERT_TRUE(first.keep_owner("them").ok());
    first.note_durable(7_MiB);
  }
  Staging again = Staging::open(root_dir_, id(1)).value();
  ASSERT_TRUE(again.keep_owner("them").ok());
  EXPECT_EQ(read_account(again.dir()).bytes, 7_MiB);
  EXPECT_EQ(read_account(again.dir()).owner, "them");
}

TEST_F(SweepTest, WhatIsNoTransferIsLeftAlone) {
  root_.write(".tideway/manifests/0123", "kept");
  root_.write(".tideway/pins/x", "kept");
  root_.write(".tideway/0123456789ABCDEF0123456789abcdef/x", "not a name of ours");
  EXPECT_EQ(sweep_staging(*root_dir_, Duration(0), now() + kTtl.count()).value(), 0U);
  EXPECT_EQ(root_.read(".tideway/manifests/0123"), "kept");
  EXPECT_TRUE(root_.exists(".tideway/pins/x"));
  EXPECT_TRUE(root_.exists(".tideway/0123456789ABCDEF0123456789abcdef/x"));
}

}  // namespace
}  // namespace tideway::storage
