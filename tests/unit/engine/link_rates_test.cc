// SPDX-License-Identifier: Apache-2.0
#include "engine/link_rates.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

constexpr Rate kWhatever = Rate::unlimited();

// Link 0 and link 2 have a capacity, link 1 has none; two workers.
struct LinkRates : testing::Test {
  Gates gates{3, {.traffic = {{.controller = {}, .capacity = 1_Gbit}, {}, {.controller = {}, .capacity = 2_Gbit}}}};

  std::vector<double> shares_of(size_t worker, const std::vector<LaneOfLink>& lanes) {
    std::vector<double> mbit;
    for (const Rate rate : share_out_links(gates, {worker, 2}, lanes)) mbit.push_back(rate.is_unlimited() ? -1 : rate.bits_per_second() / 1e6);
    return mbit;
  }
  static void expect(const std::vector<double>& shares, const std::vector<double>& wanted) {
    ASSERT_EQ(shares.size(), wanted.size());
    for (size_t i = 0; i < shares.size(); ++i) EXPECT_NEAR(shares[i], wanted[i], 0.1) << i;
  }
};

TEST_F(LinkRates, TheLanesOfALinkShareALittleLessThanItsCapacity) {
  expect(shares_of(0, {{0, kWhatever}, {0, kWhatever}}), {490, 490});
  expect(shares_of(0, {{0, 100_Mbit}, {0, kWhatever}}), {122.5, 857.5});  // 100 want less than the standby share of an eighth
}

TEST_F(LinkRates, EachLaneIsHeldToItsOwnLink) {
  expect(shares_of(0, {{2, kWhatever}, {std::nullopt, kWhatever}, {0, kWhatever}, {1, kWhatever}}), {1960, -1, 980, -1});
  expect(shares_of(1, {}), {});
}

TEST_F(LinkRates, WorkersShareALinkByWhatTheyWant) {
  expect(shares_of(0, {{0, kWhatever}}), {980});
  expect(shares_of(1, {{0, kWhatever}, {2, kWhatever}}), {490, 1960});  // nobody else wants the other link
  expect(shares_of(0, {{0, kWhatever}}), {490});
  shares_of(1, {{2, kWhatever}});  // its lane of the first link is gone
  expect(shares_of(0, {{0, kWhatever}}), {980});
}

TEST_F(LinkRates, ALaneThatIsIdleFindsSomethingToBeginWith) {
  shares_of(0, {{0, kWhatever}});
  expect(shares_of(1, {{0, Rate()}}), {122.5});
  expect(shares_of(0, {{0, kWhatever}}), {857.5});
}

}  // namespace
}  // namespace tideway::engine
