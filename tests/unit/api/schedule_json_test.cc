// SPDX-License-Identifier: Apache-2.0
#include "api/job_view.h"
#include "api/schedule_json.h"

#include <gtest/gtest.h>

namespace tideway::api {
namespace {

using namespace std::chrono_literals;

constexpr job::WallTime kEta(1'764'000'000'250ms);

TEST(ScheduleJson, SaysWhatFitsWithItsSlackAndCost) {
  Feasibility fits;
  fits.eta = kEta;
  fits.slack = 720s;
  fits.mode = "hybrid";
  fits.cost = 0.05;
  fits.confidence = "high";
  const auto back = parse_feasibility(to_json(fits));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_TRUE(back.value().is_feasible);
  EXPECT_EQ(back.value().eta, kEta);
  EXPECT_EQ(back.value().slack, 720s);
  EXPECT_EQ(back.value().mode, "hybrid");
  EXPECT_DOUBLE_EQ(back.value().cost, 0.05);
  EXPECT_EQ(back.value().confidence, "high");
}

TEST(ScheduleJson, SaysWhatDoesNotFitAndWhy) {
  Feasibility refused;
  refused.is_feasible = false;
  refused.earliest = kEta;
  refused.by_deadline = 512_GiB;
  refused.needs_mode = "fair";
  refused.needs_share = 1;
  refused.link = "wisconsin";
  refused.reason = "timetable";
  const auto back = parse_feasibility(to_json(refused));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_FALSE(back.value().is_feasible);
  EXPECT_EQ(back.value().earliest, kEta);
  EXPECT_EQ(back.value().by_deadline, 512_GiB);
  EXPECT_EQ(back.value().needs_mode, "fair");
  EXPECT_EQ(back.value().link, "wisconsin");
  EXPECT_EQ(back.value().reason, "timetable");
  EXPECT_FALSE(parse_feasibility("[]").ok());
}

TEST(JobView, ItsForecastComesBack) {
  JobView view{};
  view.job.id = "0123456789abcdef";
  view.forecast = Forecast{kEta, kEta + 1h, "medium"};
  const auto back = parse_view(to_json(view));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(back.value().forecast, view.forecast);
  view.forecast.reset();
  EXPECT_FALSE(parse_view(to_json(view)).value().forecast);
}

}  // namespace
}  // namespace tideway::api
