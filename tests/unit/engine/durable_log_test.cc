// SPDX-License-Identifier: Apache-2.0
#include "engine/durable_log.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

using std::chrono::milliseconds;
constexpr Time at(int ms) { return Time{} + milliseconds(ms); }

TEST(SyncPace, ABatchClosesHalfASecondAfterItsFirstByte) {
  SyncPace pace;
  EXPECT_FALSE(pace.wants_sync(at(5000))) << "nothing was written";
  pace.on_written(at(1000), 1_MiB);
  pace.on_written(at(1400), 1_MiB);
  EXPECT_FALSE(pace.wants_sync(at(1499)));
  EXPECT_TRUE(pace.wants_sync(at(1500)));
}

TEST(SyncPace, SyncsThatAreSlowAreMadeLessOften) {
  SyncPace pace;
  pace.on_written(at(1000), 1_MiB);
  pace.on_sync_begun(at(1500));
  pace.on_written(at(1500), 1_MiB);
  pace.on_synced(at(2500));
  pace.on_batch_ended();
  EXPECT_FALSE(pace.wants_sync(at(5499))) << "it took one second, so it rests for three";
  EXPECT_TRUE(pace.wants_sync(at(5500)));
}

TEST(SyncPace, WhatMayBeLostIsBounded) {
  SyncPace pace;
  pace.on_written(at(1000), 127_MiB);
  EXPECT_FALSE(pace.wants_sync(at(1001)));
  pace.on_written(at(1001), 1_MiB);
  EXPECT_TRUE(pace.wants_sync(at(1001))) << "half of it is open";
  EXPECT_FALSE(pace.is_full());
  pace.on_sync_begun(at(1001));
  pace.on_written(at(1002), 127_MiB);
  EXPECT_FALSE(pace.is_full());
  pace.on_written(at(1003), 1_MiB);
  EXPECT_TRUE(pace.is_full()) << "what is being synced may still be lost";
  pace.on_synced(at(1100));
  pace.on_batch_ended();
  EXPECT_FALSE(pace.is_full());
}

TEST(SyncPace, AFastTransferMayLoseASecondsWorth) {
  SyncPace pace;
  pace.on_sync_begun(at(1000));
  pace.on_synced(at(1000));
  pace.on_batch_ended();
  pace.on_written(at(1001), 1000_MiB);
  pace.on_sync_begun(at(1500));
  pace.on_synced(at(1500));
  pace.on_batch_ended();
  pace.on_written(at(1501), 1500_MiB);
  EXPECT_FALSE(pace.is_full()) << "2,000 MiB pass in a second";
  pace.on_written(at(1502), 500_MiB);
  EXPECT_TRUE(pace.is_full());
}

}  // namespace
}  // namespace tideway::engine
