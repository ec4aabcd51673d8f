// SPDX-License-Identifier: Apache-2.0
//
// The days ahead of this gateway's links: what trainings left of each so far, hence what it carries; when the jobs in the queue will
// be done; and whether one more would be in time. What runs with a deadline is told from here how to go on.
// Thread: control.
#pragma once
#include "api/job_view.h"
#include "api/schedule_json.h"
#include "daemon/job_runner.h"
#include "daemon/leftover_file.h"
#include "daemon/link_sampler.h"
#include "planner/leftover_history.h"
#include "planner/outlook.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tideway::daemon {

class JobOutlook {
 public:
  static constexpr Duration kPlanEvery = std::chrono::seconds(10), kPlanSoonest = std::chrono::seconds(1);  // soon: when jobs have changed
  static constexpr int kRest = 20;  // times as long as planning took, so that a long queue keeps nobody waiting
  static constexpr size_t kRiskChangesMax = 500;  // that are told of with one plan, as each is written; the others with the next
  static constexpr double kUnseenShare = 0.5;  // of the capacity: what trainings are taken to leave before anybody has seen them

  // `histories`: what was seen of the links before the start.
  JobOutlook(JobTable& table, JobRunner& runner, LeftoverHistories histories);

  struct Now {
    Time time{};
    job::WallTime wall{};
  };
  // Takes in what was seen of the links, and plans, when that is due.
  void turn(Now now, const LinkSampler& links);
  Time next_deadline() const { return is_changed() ? soonest_plan_ : next_plan_; }
  // What was seen of the links so far, once after each quarter of an hour: for the next start.
  std::optional<LeftoverHistories> take_histories();

  // Nothing: nobody knows.
  std::optional<api::Forecast> forecast_of(const job::Job& job) const;

  // What is left of a link at this hour, within its ceilings; nothing: its capacity is not known.
  struct Leftover { Rate usual, low; std::string_view confidence; };
  std::optional<Leftover> leftover_of(std::string_view peer) const;
  // Nothing: nothing has been planned yet.
  std::optional<job::WallTime> planned_at() const { return planned_at_.time == Time{} ? std::nullopt : std::optional(planned_at_.wall); }

  struct Question {
    const job::Spec& spec;
    std::string_view peer;
    const job::Job* apart_from = nullptr;  // the job itself, when it is there already
  };
  // It reserves nothing. Errors: unsupported: a deadline of which this gateway knows nothing.
  Result<api::Feasibility> check(const Question& question, Now now) const;
  // Errors: as check(); deadline: it cannot be met.
  Status admit(const Question& question, Now now) const;

  struct Counts {
    size_t at_risk = 0;
    std::optional<Duration> slack_least;  // of all deadlines
    uint64_t plans = 0;
    Duration spent{};                     // on them
  };
  const Counts& counts() const { return counts_; }

 private:
  enum class Basis : uint8_t { kHigh, kMedium, kLow };  // how much is known
  // What is to be sent over a link, in the order in which it goes.
  struct Queue {
    std::vector<SendQueue::Key> keys;
    std::vector<planner::PlannedJob> jobs;
    std::vector<Bytes> until;  // each is done, itself included
    size_t vague_from = 0;     // the first whose size, or that of one before it, is not known
  };
  struct Days { planner::Calendar usual, low; };  // from one moment on
  struct Link {
    planner::LeftoverHistory history;
    LeftSeen seen{};        // as of the last look
    std::optional<Days> days;  // as of the last plan
    Basis basis = Basis::kLow;
    Queue queue;            // as of the last plan
  };
  struct Pace { Bytes done; Time at; Rate rate; };  // of a job on a link that nothing is known of

  void measure(Now now, const LinkSampler& links);
  Days days_of(const LinkRule& rule, const Link& link, Now now) const;
  static Basis basis_of(const LinkRule& rule, const Link& link, Now now);
  planner::PlannedJob plan_of(const SendQueue::Key& key, const SendQueue::Item& item, const LinkRule& rule, Now now) const;
  Queue collect(const SendQueue& items, const LinkRule& rule, Now now) const;
  std::vector<planner::PlannedJob> promised(const LinkRule& rule, Now now, const job::Job* apart_from) const;
  SendQueue::Sum sum_before(const SendQueue& items, const SendQueue::Key& last) const;
  bool is_changed() const { return !table_.events().empty() && table_.events().back().number != planned_event_; }
  void plan(Now now);
  void judge(const LinkRule& rule, const SendQueue& items, const Link& link, Now now);
  struct Steered { const job::Job* job; Time deadline; double burst_share; };  // of those that run; what it wants of the bursts
  void steer(const LinkRule& rule, const Days& days, std::vector<Steered> jobs, Now now);
  void look_at_paces(Now now);
  api::Feasibility judge_deadline(const LinkRule& rule, const planner::Calendar& low, std::span<const planner::PlannedJob> promised, const planner::PlannedJob& wanted, Now now) const;
  static std::optional<size_t> place_of(const job::Job& job, const Queue& queue);
  const SendQueue& to_send(std::string_view peer) const;
  const LinkRule* rule_for(std::string_view peer) const;
  job::WallTime wall_of(Time time, Now now) const { return now.wall + std::chrono::round<std::chrono::milliseconds>(time - now.time); }

  JobTable& table_;
  JobRunner& runner_;
  std::map<std::string, Link, std::less<>> links_;  // by peer
  std::map<job::JobId, Pace> paces_;
  Now planned_at_;
  bool is_quarter_over_ = false;    // and nobody has taken the histories since
  uint64_t planned_event_ = 0;  // the last one that is planned with
  Time next_plan_{}, soonest_plan_{};
  Counts counts_;
};

}  // namespace tideway::daemon
