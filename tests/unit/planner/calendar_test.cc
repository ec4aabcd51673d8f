// SPDX-License-Identifier: Apache-2.0
#include "planner/calendar.h"
#include "planner/escalation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tideway::planner {
namespace {

using namespace std::chrono_literals;
using Answer = Admission::Answer;

constexpr Time kNow(1000h);
constexpr Rate kLeftover = Rate::bytes_per_second(1'000'000);

Calendar steady(double slack = 0) {
  return Calendar(kNow, slack, [](Time) { return SlotForecast{kLeftover, Rate::unlimited(), kLeftover * 2}; });
}

Admission admit_on(const Calendar& calendar, std::span<const Due> admitted, const Due& wanted) { return admit({.calendar = calendar, .ahead = {}}, admitted, wanted); }

TEST(Calendar, CarriesWhatItsSlotsCarryWeekAfterWeek) {
  const Calendar calendar = steady(0.1);
  EXPECT_EQ(calendar.leftover().until(kNow), Bytes());
  EXPECT_EQ(calendar.leftover().until(kNow + 90s), Bytes(81'000'000));
  EXPECT_EQ(calendar.leftover().until(kNow + 24h * 20), Bytes(86'400ULL * 20 * 900'000));
  EXPECT_EQ(calendar.leftover().time_of(Bytes(81'000'000)), kNow + 90s);
  EXPECT_EQ(calendar.leftover().time_of(Bytes(86'400ULL * 20 * 900'000)), kNow + 24h * 20);
  EXPECT_FALSE(calendar.leftover().time_of(Bytes(1ULL << 60)));
  EXPECT_EQ(calendar.bursts().until(kNow + 90s), Bytes(90'000'000));
}

TEST(Calendar, CarriesOfACapWhatPassesWhileTheGateIsOpen) {
  EXPECT_EQ(steady().under(Rate::bytes_per_second(10'000)).until(kNow + 90s), Bytes(450'000));  // bursts take half of the time
  EXPECT_EQ(steady().time_alone(Bytes(450'000), Rate::bytes_per_second(10'000)), kNow + 90s);
  EXPECT_EQ(steady().time_alone(Bytes(450'000), Rate::unlimited()), kNow);
  EXPECT_FALSE(steady().time_alone(Bytes(1), Rate()));
  const auto capped = [](Rate capacity) { return Calendar(kNow, 0, [=](Time) { return SlotForecast{kLeftover, kLeftover, capacity}; }); };
  EXPECT_EQ(capped(kLeftover * 2).leftover().until(kNow + 90s), Bytes(45'000'000));
  EXPECT_EQ(capped(kLeftover * 2).bursts().until(kNow + 90s), Bytes(45'000'000));
  EXPECT_EQ(capped(kLeftover).leftover().until(kNow + 90s), Bytes(90'000'000)) << "no training crosses it";
  EXPECT_EQ(capped(Rate()).leftover().until(kNow + 90s), Bytes(90'000'000)) << "nobody knows of any";
}

TEST(Calendar, CarriesNothingWhereNothingIsLeft) {
  const Calendar calendar(kNow, 0, [](Time) { return SlotForecast{}; });
  EXPECT_EQ(calendar.leftover().until(kNow + 24h), Bytes());
  EXPECT_FALSE(calendar.leftover().time_of(Bytes(1)));
  EXPECT_EQ(calendar.leftover().time_of(Bytes()), kNow);
}

TEST(Admission, SaysWhetherADeadlineCanBeMetBesideTheOthers) {
  const Calendar calendar = steady();
  const std::vector<Due> admitted = {{kNow + 1000s, Bytes(500'000'000)}, {kNow + 3000s, Bytes(1'500'000'000)}};
  const Admission fits = admit_on(calendar, admitted, {kNow + 2000s, Bytes(900'000'000)});
  EXPECT_EQ(fits.answer, Answer::kFits);
  EXPECT_EQ(fits.eta, kNow + 1400s);
  EXPECT_EQ(fits.slack, 600s);
  // It would fit by itself, but a later deadline could not be met any more.
  const Admission crowds = admit_on(calendar, admitted, {kNow + 2000s, Bytes(1'100'000'000)});
  EXPECT_EQ(crowds.answer, Answer::kDoesNotFit);
  EXPECT_EQ(crowds.binding, Calendar::Binding::kJobs);
  ASSERT_TRUE(crowds.earliest);
  EXPECT_NEAR(static_cast<double>((*crowds.earliest - kNow).count()) / 1e9, 3100, 2);
  const Admission late = admit_on(calendar, {}, {kNow + 100s, Bytes(200'000'000)});
  EXPECT_EQ(late.answer, Answer::kDoesNotFit);
  EXPECT_EQ(late.by_deadline, Bytes(100'000'000));
  EXPECT_FALSE(admit_on(calendar, {}, {kNow + 100s, Bytes(1ULL << 60)}).earliest);
}

TEST(Admission, LeavesRestoresTheirWay) {
  const Calendar calendar = steady();
  const Due wanted{kNow + 100s, Bytes(90'000'000)};
  EXPECT_EQ(admit({.calendar = calendar, .ahead = Bytes(10'000'000)}, {}, wanted).answer, Answer::kFits);
  EXPECT_EQ(admit({.calendar = calendar, .ahead = Bytes(10'000'001)}, {}, wanted).answer, Answer::kDoesNotFit);
}

TEST(Admission, ADeadlineThatIsLostAlreadyKeepsNoLaterOneOut) {
  const Calendar calendar = steady();
  const std::vector<Due> lost = {{kNow + 10s, Bytes(50'000'000)}};
  EXPECT_EQ(admit_on(calendar, lost, {kNow + 100s, Bytes(50'000'000)}).answer, Answer::kFits);
  EXPECT_EQ(admit_on(calendar, lost, {kNow + 5s, Bytes(1)}).answer, Answer::kDoesNotFit);  // it would be later still
}

TEST(Admission, NamesTheTimetableWhereThatIsWhatBinds) {
  const Calendar capped(kNow, 0, [](Time at) { return SlotForecast{kLeftover, at < kNow + 1h ? Rate() : Rate::unlimited()}; });
  const Admission made = admit_on(capped, {}, {kNow + 1h, Bytes(1000)});
  EXPECT_EQ(made.answer, Answer::kDoesNotFit);
  EXPECT_EQ(made.binding, Calendar::Binding::kTimetable);
  EXPECT_GE(*made.earliest, kNow + 1h);
  EXPECT_EQ(admit_on(steady(), {}, {kNow + 1h, Bytes(1ULL << 40)}).binding, Calendar::Binding::kLeftover);
}

TEST(Admission, KeepsToTheCeilingsOfTheJobAndOfItsClass) {
  const Calendar calendar = steady();
  Due wanted{kNow + 100s, Bytes(50'000'000)};
  wanted.rate_max = Rate::bytes_per_second(800'000);  // while the gate is open, which is half of the time
  const Admission slow = admit_on(calendar, {}, wanted);
  EXPECT_EQ(slow.answer, Answer::kDoesNotFit);
  EXPECT_EQ(slow.binding, Calendar::Binding::kCeiling);
  EXPECT_NEAR(static_cast<double>((*slow.earliest - kNow).count()) / 1e9, 125, 2);
  wanted.rate_max = Rate::unlimited();
  Road road{.calendar = calendar, .ahead = {}};
  road.class_rates[static_cast<size_t>(JobClass::kStaging)] = Rate::bytes_per_second(1'200'000);
  EXPECT_EQ(admit(road, {}, wanted).answer, Answer::kFits);
  const std::vector<Due> same = {{kNow + 90s, Bytes(20'000'000)}}, other = {{kNow + 90s, Bytes(20'000'000), JobClass::kCheckpoint}};
  EXPECT_EQ(admit(road, same, wanted).answer, Answer::kDoesNotFit);
  EXPECT_EQ(admit(road, other, wanted).answer, Answer::kFits);
}

TEST(Admission, TakesFromTrainingsNoMoreThanTheirOwnersAllow) {
  const Calendar calendar = steady();  // bursts take half of the link
  Due wanted{kNow + 1000s, Bytes(1'080'000'000)};
  const Admission refused = admit_on(calendar, {}, wanted);
  EXPECT_EQ(refused.answer, Answer::kDoesNotFit);
  EXPECT_DOUBLE_EQ(refused.burst_share, 0.1);  // what it would take
  wanted.hurt_max = 0.2;
  const Admission costly = admit_on(calendar, {}, wanted);
  EXPECT_EQ(costly.answer, Answer::kFitsAtCost);
  EXPECT_DOUBLE_EQ(costly.burst_share, 0.1);
  wanted.hurt_max = 0.08;
  EXPECT_DOUBLE_EQ(admit_on(calendar, {}, wanted).burst_share, 0.08);
  wanted.hurt_max = 0.07;
  EXPECT_EQ(admit_on(calendar, {}, wanted).answer, Answer::kDoesNotFit);
  // What one job takes of the bursts is not there for a second one.
  wanted.hurt_max = 0.1;
  const std::vector<Due> other = {wanted};
  EXPECT_EQ(admit_on(calendar, other, {kNow + 1000s, Bytes(100'000'000), JobClass::kStaging, 0.1}).answer, Answer::kDoesNotFit);
}

// ---- any deadlines ---------------------------------------------------------------------------------------------------

// Whether all are done in time when the earliest deadline always has the whole link.
bool all_met(std::vector<Due> dues) {
  std::ranges::sort(dues, {}, &Due::deadline);
  double done = 0;  // seconds, at one byte a microsecond
  return std::ranges::all_of(dues, [&](const Due& due) {
    done += static_cast<double>(due.bytes.count()) / 1e6;
    return done <= std::chrono::duration<double>(due.deadline - kNow).count() + 1e-3;
  });
}

TEST(Admission, IsExactForAnySetOfDeadlines) {
  std::mt19937_64 random(1);
  const Calendar calendar = steady();
  const auto any = [&] { return Due{kNow + std::chrono::milliseconds(1000 + random() % 600'000), Bytes(random() % 150'000'000)}; };
  int fitting = 0, refused = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<Due> admitted;
    for (uint64_t i = 0; i < 2 + random() % 12; ++i) {
      const Due wanted = any();
      const Admission made = admit_on(calendar, admitted, wanted);
      std::vector<Due> together = admitted;
      together.push_back(wanted);
      ASSERT_EQ(made.answer == Answer::kFits, all_met(together)) << "round " << round;
      if (made.answer != Answer::kFits) {
        ++refused;
        ASSERT_TRUE(made.earliest);
        ASSERT_EQ(admit_on(calendar, admitted, {*made.earliest, wanted.bytes}).answer, Answer::kFits);
        ASSERT_EQ(admit_on(calendar, admitted, {*made.earliest - 2s, wanted.bytes}).answer, Answer::kDoesNotFit);
        continue;
      }
      ++fitting;
      ASSERT_TRUE(made.eta && *made.eta <= wanted.deadline);
      ASSERT_EQ(admit_on(calendar, admitted, {wanted.deadline + 1s, wanted.bytes}).answer, Answer::kFits) << "a later deadline is easier";
      admitted = std::move(together);
      std::ranges::shuffle(admitted, random);  // their order says nothing
    }
  }
  EXPECT_GT(fitting, 30);
  EXPECT_GT(refused, 30);
}

TEST(Escalation, GoesAsFarAsTheSlackAsksAndTheOwnerAllows) {
  const auto at = [](double rho, double hurt_max) {
    return escalate({.takes = Duration(static_cast<int64_t>(rho * 1e12)), .time = 1000s, .hurt_max = hurt_max});
  };
  EXPECT_EQ(at(0.7, 1).mode, Mode::kScavenge);
  EXPECT_EQ(at(0.9, 1).mode, Mode::kHybrid);
  EXPECT_DOUBLE_EQ(at(0.9, 1).burst_share, 0.05);
  EXPECT_DOUBLE_EQ(at(1.02, 1).burst_share, 0.1);
  EXPECT_DOUBLE_EQ(at(1.07, 1).burst_share, 0.2);
  EXPECT_EQ(at(1.2, 1).mode, Mode::kFair);
  EXPECT_EQ(at(1.2, 0).mode, Mode::kScavenge);
  EXPECT_EQ(at(1.2, 0).risk, Risk::kDeadlineAtRisk);
  EXPECT_DOUBLE_EQ(at(1.2, 0.1).burst_share, 0.1);
  EXPECT_EQ(at(0.9, 0).risk, Risk::kNone);
  EXPECT_EQ(escalate({.takes = 1s, .time = -1s}).risk, Risk::kDeadlineAtRisk);
  EXPECT_EQ(escalate({.takes = Duration::max(), .time = 1h}).risk, Risk::kDeadlineAtRisk);
  EXPECT_EQ(escalate({.takes = 0s, .time = -1s}).risk, Risk::kNone);  // nothing is left to do
}

TEST(Escalation, JobsOfALinkTogetherStayWithinWhatItsOwnerAllows) {
  const std::vector<double> wanted{0.05, 0.2, 0.1, 1, 0.05};
  const auto near = [&](double most, const std::vector<double>& expected) {
    const std::vector<double> shares = share_bursts(wanted, most);
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(shares[i], expected[i], 1e-9) << most << ' ' << i;
  };
  near(0, {0, 0, 0, 0, 0});
  near(0.1, {0.05, 0.05, 0, 0, 0});
  near(0.3, {0.05, 0.2, 0.05, 0, 0});
  near(1, {0.05, 0.2, 0.1, 0.65, 0});
}

}  // namespace
}  // namespace tideway::planner
