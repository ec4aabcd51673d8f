// SPDX-License-Identifier: Apache-2.0
#include "daemon/root_room.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <memory>
#include <semaphore>
#include <thread>

namespace tideway::daemon {
namespace {

TEST(RootRoom, S17ADiskThatHangsHoldsUpNobodyAndWhatOthersHaveIsKnown) {
  const auto stuck = std::make_shared<std::binary_semaphore>(0);  // outlives whoever waits for it
  uint64_t looks = 0;
  {
    RootRoom room({{"hung", {[stuck] {
                      stuck->acquire();
                      return RootRoom::Seen{1, 2};
                    }}},
                   {"well", {[&] { return RootRoom::Seen{++looks, 7}; }}}});
    for (uint64_t i = 1; i <= 3; ++i) {
      const auto seen = room.look();
      EXPECT_FALSE(seen.contains("hung"));
      ASSERT_TRUE(seen.contains("well"));
      EXPECT_EQ(seen.at("well").free, i) << "as of now";
      EXPECT_EQ(seen.at("well").staged, 7U);
    }
  }  // does not wait for it
  stuck->release();
}

TEST(RootRoom, SaysWhatADirectoryHas) {
  const TempRoot dir;
  session::Roots roots;
  ASSERT_TRUE(roots.open("data", dir.path().string()).ok());
  RootRoom room({{"data", RootRoom::work_at("data", roots.find("data", storage::Side::kDestination), std::chrono::hours(1))}});
  const auto seen = room.look();
  ASSERT_TRUE(seen.contains("data"));
  EXPECT_GT(seen.at("data").free, 0U);
  EXPECT_EQ(seen.at("data").staged, 0U);
}

TEST(RootRoom, S26WhatNobodyCameBackToGoesWhileTheGatewayRunsAndNobodyAsks) {
  const TempRoot dir;
  session::Roots roots;
  ASSERT_TRUE(roots.open("data", dir.path().string()).ok());
  const std::string left = ".tideway/" + std::string(32, 'a');
  dir.write(left + "/ledger", "of a transfer that died");
  RootRoom room({{"data", RootRoom::work_at("data", roots.find("data", storage::Side::kDestination), Duration{})}}, std::chrono::milliseconds(1));
  const auto ends_at = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (dir.exists(left) && std::chrono::steady_clock::now() < ends_at) std::this_thread::yield();
  EXPECT_FALSE(dir.exists(left));
}

}  // namespace
}  // namespace tideway::daemon
