// SPDX-License-Identifier: Apache-2.0
#include "flow/lane_trains.h"

#include <gtest/gtest.h>

#include <vector>

namespace tideway::flow::lane_trains_test {
namespace {

using namespace std::chrono_literals;

constexpr FlowId kOne{1}, kOther{2};
constexpr Time kNow(1s);

std::vector<Rate> all_of(const LaneTrains& trains, uint64_t& heard) {
  std::vector<Rate> rates;
  while (true) {
    const Rate rate = trains.next(heard);
    if (rate == Rate()) return rates;
    rates.push_back(rate);
  }
}

TEST(LaneTrains, LeaveOneAfterTheOther) {
  LaneTrains trains;
  EXPECT_TRUE(trains.is_free(kNow, kOther));
  trains.begin(kNow, kOne, 10ms);
  EXPECT_TRUE(trains.is_free(kNow, kOne));
  EXPECT_FALSE(trains.is_free(kNow + 9ms, kOther));
  EXPECT_EQ(trains.free_at(kOther), kNow + 10ms);
  trains.end(kOther);
  EXPECT_FALSE(trains.is_free(kNow, kOther)) << "it is not theirs to end";
  trains.end(kOne);
  EXPECT_TRUE(trains.is_free(kNow, kOther));
}

TEST(LaneTrains, AFlowThatCannotGoOnWithItsTrainHoldsTheOthersUpForALittleOnly) {
  LaneTrains trains;
  trains.begin(kNow, kOne, 10ms);
  trains.begin(kNow + 5ms, kOne, 10ms);  // the next burst of it
  EXPECT_TRUE(trains.is_free(kNow + 10ms, kOther));
}

TEST(LaneTrains, WhatOneToldEveryFlowHearsOnce) {
  LaneTrains trains;
  uint64_t one = trains.told(), other = trains.told();
  trains.tell(100_Mbit);
  trains.tell(200_Mbit);
  EXPECT_EQ(all_of(trains, one), (std::vector{100_Mbit, 200_Mbit}));
  trains.tell(300_Mbit);
  EXPECT_EQ(all_of(trains, one), std::vector{300_Mbit});
  EXPECT_EQ(all_of(trains, other), (std::vector{100_Mbit, 200_Mbit, 300_Mbit}));
  uint64_t late = trains.told();
  EXPECT_EQ(all_of(trains, late), std::vector<Rate>());
}

TEST(LaneTrains, WhoWasAwayHearsTheNewest) {
  LaneTrains trains;
  uint64_t heard = trains.told();
  for (uint64_t i = 1; i <= 20; ++i) trains.tell(Rate::bits_per_second(i * 8'000'000));
  const auto rates = all_of(trains, heard);
  ASSERT_EQ(rates.size(), 8U);
  EXPECT_EQ(rates.back(), 160_Mbit);
}

}  // namespace
}  // namespace tideway::flow::lane_trains_test
