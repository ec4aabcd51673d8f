// SPDX-License-Identifier: Apache-2.0
//
// Weeks in which some jobs may take a share of the link during training bursts, as far as it and they are allowed.
#include "planner/calendar.h"
#include "planner/escalation.h"
#include "planner/leftover_history.h"
#include "schedule/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tideway::planner {
namespace {

using namespace std::chrono_literals;

constexpr Time kWeekBegin(1000h);
constexpr Rate kWire = Rate::bytes_per_second(1'000'000);
constexpr double kOwnerAllows = 0.2;
constexpr int kLookingOn = 4 * 1440, kMinutes = 7 * 1440, kSteerEvery = 10;  // minutes

std::chrono::sys_seconds calendar_time(Time time) { return std::chrono::sys_seconds(std::chrono::days(20'000)) + std::chrono::floor<std::chrono::seconds>(time - kWeekBegin); }

struct Promised {
  Due due;
  JobView view;
  double share = 0;  // of bursts, for now
};

class HurtingWeek {
 public:
  explicit HurtingWeek(uint64_t seed) : random_(seed) {}

  void run() {
    std::uniform_real_distribution<double> stray(0.8, 1.2);
    double error = 1;
    for (int minute = 0; minute < kLookingOn + kMinutes; ++minute) {
      const Time now = kWeekBegin + minute * 1min;
      if (minute % 360 == 0) error = stray(random_);
      const Rate left = kWire * (error * ((minute / 60) % 24 < 12 ? 0.4 : 0.7));
      history_.on_measured(calendar_time(now), {left.over(1min), 1min});
      if (minute == kLookingOn) forecast_.emplace(calendar(now));
      if (minute < kLookingOn) continue;
      if (random_() % 30 == 0) arrive(now);
      if (minute % kSteerEvery == 0) steer(now);
      send(now, left);
    }
  }

  int admitted = 0, at_cost = 0, refused = 0, missed = 0;
  int minutes_between = 0;  // of some job's share between none and all

 private:
  Calendar calendar(Time now) const {
    const LeftoverHistory::Day low = history_.low();
    return {now, kSlackDefault, [&](Time at) { return SlotForecast{low[LeftoverHistory::part_of(calendar_time(at))].value_or(Rate()), Rate::unlimited(), kWire}; }};
  }

  void arrive(Time now) {
    std::uniform_real_distribution<double> size(1e7, 3e9), hours(1, 20);
    constexpr double kJobsAllow[] = {0, 0.05, 0.1, 0.2, 1};
    const Calendar ahead = calendar(now);
    std::vector<Due> dues;
    for (const Promised& job : jobs_) dues.push_back({job.due.deadline, job.view.left, JobClass::kStaging, job.due.hurt_max});
    const double hurt = std::min(kOwnerAllows, kJobsAllow[random_() % std::size(kJobsAllow)]);
    const Due wanted{now + Duration(static_cast<int64_t>(hours(random_) * 3.6e12)), Bytes(static_cast<uint64_t>(size(random_))), JobClass::kStaging, hurt};
    const Admission admission = admit({.calendar = ahead, .ahead = {}}, dues, wanted);
    if (admission.answer == Admission::Answer::kDoesNotFit) return void(++refused);
    at_cost += admission.answer == Admission::Answer::kFitsAtCost ? 1 : 0;
    jobs_.push_back({wanted, {.id = PlannedJobId(static_cast<uint64_t>(++admitted)), .link = LinkId(0), .left = wanted.bytes, .deadline = wanted.deadline}});
  }

  // As the gateway does: by how long each takes behind those that are due before it.
  void steer(Time now) {
    std::ranges::stable_sort(jobs_, {}, [](const Promised& job) { return job.due.deadline; });
    const Curve& curve = forecast_->leftover();
    Bytes sum = curve.until(now);
    std::vector<double> wanted;
    for (const Promised& job : jobs_) {
      sum += job.view.left;
      const auto done = curve.time_of(sum);
      wanted.push_back(escalate({done ? *done - now : Duration::max(), job.due.deadline - now, job.due.hurt_max}).burst_share);
    }
    const std::vector<double> shares = share_bursts(wanted, kOwnerAllows);
    double all = 0;
    for (size_t i = 0; i < jobs_.size(); ++i) {
      jobs_[i].share = shares[i];
      all += shares[i];
      EXPECT_LE(shares[i], jobs_[i].due.hurt_max);
      if (shares[i] > 0 && shares[i] < 1) minutes_between += kSteerEvery;
    }
    EXPECT_LE(all, kOwnerAllows + 1e-9);
  }

  void send(Time now, Rate left) {
    std::vector<JobView> views;
    for (const Promised& job : jobs_) views.push_back(job.view);
    const LinkView link{.id = LinkId(0), .capacity = kWire, .leftover = left};
    const Plan plan = policy_->plan({now, views, std::span(&link, 1)});
    const Bytes in_bursts = kWire.over(1min) - left.over(1min);
    for (size_t i = 0; i < jobs_.size(); ++i) {
      const auto hurting = Bytes(static_cast<uint64_t>(jobs_[i].share * static_cast<double>(in_bursts.count())));
      jobs_[i].view.left = saturating_sub(jobs_[i].view.left, plan.allowances[i].rate.over(1min) + hurting);
    }
    std::erase_if(jobs_, [&](const Promised& job) {
      const bool is_late = now + 1min >= job.due.deadline;
      if (is_late && job.view.left > Bytes()) ++missed;
      return is_late || job.view.left == Bytes();
    });
  }

  std::mt19937_64 random_;
  const std::unique_ptr<SchedulePolicy> policy_ = schedule::find_policy("deadline").value().make();
  LeftoverHistory history_;
  std::optional<Calendar> forecast_;
  std::vector<Promised> jobs_;
};

TEST(HurtingWeek, EveryPromiseIsKeptWithSharesBetweenNoneAndAll) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    HurtingWeek week(seed);
    week.run();
    EXPECT_EQ(week.missed, 0) << "seed " << seed;
    EXPECT_GT(week.admitted, 20) << "seed " << seed;
    EXPECT_GT(week.at_cost, 1) << "seed " << seed;
    EXPECT_GT(week.refused, 3) << "seed " << seed;
    EXPECT_GT(week.minutes_between, 100) << "seed " << seed;
  }
}

}  // namespace
}  // namespace tideway::planner
