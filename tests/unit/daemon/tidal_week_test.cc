// SPDX-License-Identifier: Apache-2.0
//
// Deadlines on a link that trainings cross, sent as a gateway sends: what LinkShares deals are ceilings, of which only that arrives which
// leaves while the gate is open.
#include "daemon/link_shares.h"
#include "planner/leftover_history.h"
#include "planner/outlook.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;
using planner::Admission;

constexpr Time kTidalBegin(1000h);
constexpr Rate kTidalLink = 1_Gbit;
constexpr job::WallTime kTidalMonday = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23);

job::WallTime tidal_wall(Time time) { return kTidalMonday + std::chrono::round<std::chrono::milliseconds>(time - kTidalBegin); }

ShareRules tidal_rules(std::string_view timetable) {
  ShareRules rules;
  rules.links.push_back({.peer = "wisconsin", .capacity = kTidalLink, .timetable = planner::Timetable::parse(timetable).value(), .zone = {}});
  return rules;
}

// Jobs that are due, and one of a better class that takes all it gets.
class TidalLink {
 public:
  explicit TidalLink(std::string_view timetable = "off") : shares_(tidal_rules(timetable)) { senders_.push_back({.number = 0, .peer = "wisconsin", .service = job::Class::kCheckpoint}); }

  void add(Time deadline, Bytes bytes) {
    senders_.push_back({.number = ++added_, .peer = "wisconsin", .service = job::Class::kStaging, .left = bytes});
    deadlines_.push_back(deadline);
  }
  std::vector<planner::Due> dues() const {
    std::vector<planner::Due> dues;
    for (size_t i = 0; i < deadlines_.size(); ++i) dues.push_back({deadlines_[i], senders_[i + 1].left});
    return dues;
  }
  Rate cap(Time time) const { return shares_.cap_of("wisconsin", tidal_wall(time)); }
  // As the gateway does: it says until when each has to be there at the rate of now, deals, and sends while the gate is open.
  void pass(const planner::Calendar& low, Duration time, double open_share) {
    const Time now = low.begin();
    for (size_t i = 0; i < deadlines_.size(); ++i) senders_[i + 1].due = planner::deadline_while_open(low, deadlines_[i], std::min(kTidalLink, cap(now)));
    for (Sender& sender : senders_) sender.open_share = open_share;
    const auto shares = shares_.deal(senders_, now, tidal_wall(now));
    Rate sum;
    for (const Share& share : shares) sum = sum + share.rate;
    const double fits = std::min(1.0, kTidalLink.bits_per_second() / sum.bits_per_second());  // what nobody counted on was open to all
    for (size_t i = 0; i < shares.size(); ++i) {
      senders_[i].given = shares[i].rate;
      senders_[i].sent = shares[i].rate * (fits * open_share);
      senders_[i].left = saturating_sub(senders_[i].left, senders_[i].sent.over(time));
    }
    for (size_t i = deadlines_.size(); i-- > 0;) {
      const bool is_there = senders_[i + 1].left == Bytes();
      if (!is_there && deadlines_[i] > now + time) continue;
      if (!is_there) late_.push_back(deadlines_[i]);
      senders_.erase(senders_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      deadlines_.erase(deadlines_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  bool is_done() const { return deadlines_.empty(); }
  size_t late() const { return late_.size(); }

 private:
  LinkShares shares_;
  std::vector<Sender> senders_;   // the better one first
  std::vector<Time> deadlines_, late_;
  uint64_t added_ = 0;
};

// What a job was due to need on average was its ceiling, of which the open share arrived: promised at four fifths of the plan, it was half
// an hour late.
TEST(TidalDay, AJobThatWasPromisedIsInTimeBesideOneOfABetterClassThatTakesAllItGets) {
  for (const double open_share : {0.1, 0.2, 0.57, 0.9}) {
    const Time deadline = kTidalBegin + 6h;
    const auto calendar = [&](Time now) { return planner::Calendar(now, planner::kSlackDefault, [&](Time) { return planner::SlotForecast{kTidalLink * open_share, Rate::unlimited(), kTidalLink}; }); };
    TidalLink link;
    const Bytes planned = calendar(kTidalBegin).leftover().until(deadline);
    link.add(deadline, Bytes(planned.count() / 10 * 8));
    for (Time now = kTidalBegin; now < deadline && !link.is_done(); now += 5min) link.pass(calendar(now), 5min, open_share);
    EXPECT_TRUE(link.is_done());
    EXPECT_EQ(link.late(), 0u) << open_share;
  }
}

// Four days of looking on, and two in which jobs come. The open share strays from what is usual by up to a fifth, for six hours at a time.
class TidalWeek {
 public:
  TidalWeek(uint64_t seed, std::string_view timetable) : link(timetable), random_(seed) {
    for (size_t i = 0; i < planner::kSlots; ++i) {
      const Time at = kTidalBegin + static_cast<int64_t>(i) * planner::kSlot;
      minutes_.push_back({planner::LeftoverHistory::part_of(std::chrono::floor<std::chrono::seconds>(tidal_wall(at))), link.cap(at)});
    }
  }

  void run() {
    constexpr Duration kStep = 10min;
    constexpr int kSteps = 6 * 144, kLooking = 4 * 144;
    std::uniform_real_distribution<double> stray(0.8, 1.2);
    double error = 1;
    for (int step = 0; step < kSteps; ++step) {
      const Time now = kTidalBegin + step * kStep;
      if (step % 36 == 0) error = stray(random_);
      const double open_share = error * ((step / 6) % 24 < 12 ? 0.25 : 0.6);
      history_.on_measured(std::chrono::floor<std::chrono::seconds>(tidal_wall(now)), {(kTidalLink * open_share).over(kStep), kStep});
      if (step < kLooking) continue;
      const planner::Calendar low = calendar(now);
      if (random_() % 4 == 0) arrive(low, kStep);
      link.pass(low, kStep, open_share);
    }
  }

  TidalLink link;
  int admitted = 0, refused = 0;

 private:
  planner::Calendar calendar(Time now) const {
    const planner::LeftoverHistory::Day low = history_.low();
    return {now, planner::kSlackDefault, [&](Time at) {
              const Minute& minute = minutes_[static_cast<size_t>((at - kTidalBegin) / planner::kSlot) % planner::kSlots];
              return planner::SlotForecast{low[minute.part].value_or(Rate()), minute.cap, kTidalLink};
            }};
  }

  void arrive(const planner::Calendar& low, Duration step) {
    std::uniform_real_distribution<double> size(1e9, 1e12);
    const Time deadline = low.begin() + step * static_cast<int64_t>(3 + random_() % 100);
    const planner::Due wanted{deadline, Bytes(static_cast<uint64_t>(size(random_)))};
    if (planner::admit({.calendar = low, .ahead = {}}, link.dues(), wanted).answer != Admission::Answer::kFits) return void(++refused);
    ++admitted;
    link.add(deadline, wanted.bytes);
  }

  struct Minute { size_t part; Rate cap; };

  std::mt19937_64 random_;
  planner::LeftoverHistory history_;
  std::vector<Minute> minutes_;  // of the week, which are asked for a thousand times each
};

TEST(TidalWeek, EveryAdmittedDeadlineIsMetOfWhatPassesWhileTheGateIsOpen) {
  for (const std::string_view timetable : {"off", "08:00,400Mbit 20:00,off"})
    for (uint64_t seed = 1; seed <= 2; ++seed) {
      TidalWeek week(seed, timetable);
      week.run();
      EXPECT_EQ(week.link.late(), 0u) << timetable << " seed " << seed;
      EXPECT_GT(week.admitted, 10) << timetable << " seed " << seed;
      EXPECT_GT(week.refused, 10) << timetable << " seed " << seed;
    }
}

}  // namespace
}  // namespace tideway::daemon
