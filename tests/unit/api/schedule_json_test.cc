// SPDX-License-Identifier: Apache-2.0
#include "api/job_view.h"
#include "api/plan_json.h"
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

TEST(ScheduleJson, ThePlanComesBackAsItWas) {
  Schedule schedule{.policy = "deadline", .planned_at = kEta, .classes = {{"restore", "fair", 1, Rate::unlimited()}, {"staging", "scavenge", 3, 2_Gbit}}, .links = {}, .jobs = {}};
  schedule.links.push_back({.peer = "wisconsin", .capacity = 10_Gbit, .ceiling = 1_Gbit, .timetable = Rate(), .changes_at = kEta + 1h, .changes_to = 2_Gbit, .leftover = 4_Gbit, .leftover_low = 3_Gbit,
                            .confidence = "high", .gate = "closed", .gate_reason = "gate:llm7", .running = 2, .queued = 9});
  schedule.links.push_back({.peer = "oslo", .changes_at = {}, .confidence = {}, .gate = {}, .gate_reason = {}});
  schedule.jobs.push_back({.id = "7b1e", .peer = "wisconsin", .service = "staging", .state = "running", .mode = "scavenge", .weight = 3, .rate = 1_Gbit, .sent = 1_Mbit, .reason = "gate:llm7",
                           .deadline = kEta, .forecast = Forecast{kEta, kEta + 1h, "high"}, .is_at_risk = true});
  schedule.jobs.push_back({.id = "8c2f", .peer = "oslo", .service = "restore", .state = "queued", .mode = {}, .sent = {}, .reason = "lower_class", .deadline = {}, .forecast = {}});
  const auto back = parse_schedule(to_json(schedule));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(back.value(), schedule);
  EXPECT_FALSE(parse_schedule("[]").ok());
  EXPECT_FALSE(parse_schedule(R"({"links":[7]})").ok());
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
