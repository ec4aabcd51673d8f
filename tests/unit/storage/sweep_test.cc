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
