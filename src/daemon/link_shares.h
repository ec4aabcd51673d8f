// SPDX-License-Identifier: Apache-2.0
//
// What the jobs that run may send over each link: its capacity and its timetable, dealt out by the policy of the configuration, and
// the ceilings of their classes. The rates are ceilings while the link's gate is open; the gate itself is the net workers' part.
// Thread: control. Pure.
#pragma once
#include "job/spec.h"
#include "planner/calendar.h"
#include "planner/timetable.h"
#include "planner/zone_rule.h"
#include <tideway/schedule_policy.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::daemon {

// What a policy calls the class of a job.
constexpr JobClass class_of(job::Class service) { return static_cast<JobClass>(service); }
static_assert(class_of(job::Class::kRestore) == JobClass::kRestore && class_of(job::Class::kBestEffort) == JobClass::kBestEffort);

struct LinkRule {
  std::string peer;
  Rate capacity = Rate::unlimited();  // not known
  planner::Timetable timetable;
  planner::ZoneRule zone;
  Rate ceiling = Rate::unlimited();       // of the operator
  std::optional<Rate> leftover_floor{};  // what planning counts on before the tide has been seen for three days
  double hurt_max = 0;                   // what deadlines may take of it during bursts
  enum class Tide : uint8_t { kNone, kTrainings } tide = Tide::kNone;  // whether trainings cross it
};

struct ShareRules {
  std::vector<LinkRule> links;
  std::string policy = "deadline";
  double slack = planner::kSlackDefault;  // kept free when planning
  // In the order of job::Class.
  std::array<Rate, 4> class_rates{Rate::unlimited(), Rate::unlimited(), Rate::unlimited(), Rate::unlimited()};  // of all its jobs together
  std::array<uint32_t, 4> class_weights{1, 1, 1, 1};
  // kFair: trainings and the jobs of other classes make room for it.
  std::array<Mode, 4> modes{Mode::kFair, Mode::kScavenge, Mode::kScavenge, Mode::kScavenge};
};

// A job that sends.
struct Sender {
  uint64_t number = 0;                // rising with its submission
  std::string_view peer;
  job::Class service = job::Class::kBestEffort;
  uint32_t weight = 1;
  Rate most = Rate::unlimited();      // its own limit
  Rate given = Rate::unlimited();     // by the deal that was in force when it sent what follows; unlimited: it is new
  Rate sent = {};                     // lately
  std::optional<Time> due{};          // at the rate of now
  Bytes left{};                       // of one that is due
  Mode mode = Mode::kScavenge;        // kFair: its deadline allows it to compete
  double open_share = 1;              // of the time in which it may send, lately: what it sent, it sent then
};

// What one of them may send, and why that is next to nothing, if it is.
struct Share {
  Rate rate;
  HoldReason reason = HoldReason::kNone;
};

class LinkShares {
 public:
  static constexpr Duration kDealEvery = std::chrono::seconds(1);  // some periods of the gate

  // Whether what is due goes first.
  bool keeps_deadlines() const { return rules_.policy == "deadline"; }
  const ShareRules& rules() const { return rules_; }
  const LinkRule* link_to(std::string_view peer) const;  // null: none is configured

  // The policy is one of schedule::policies(); the configuration has seen to it.
  explicit LinkShares(ShareRules rules);
  // The same of these. Of what the operator said, that alone stays which he said for a time.
  void take_up(ShareRules rules);

  bool is_gated(job::Class service) const { return rules_.modes[static_cast<size_t>(service)] != Mode::kFair; }
  // What the operator said while the gateway runs: it stands in place of the rule's ceiling until the rules change. What he said for a
  // time stands in place of both until then, and what was in force before comes back.
  struct Ceiling { Rate rate; job::WallTime until = job::WallTime::max(); };
  void set_ceiling(std::string peer, const Ceiling& ceiling);
  Ceiling ceiling_of(std::string_view peer, job::WallTime wall) const;
  // The least of ceiling and timetable.
  Rate cap_of(std::string_view peer, job::WallTime wall) const;
  // Nothing may be sent to that peer now.
  bool is_paused(std::string_view peer, job::WallTime wall) const { return cap_of(peer, wall) == Rate(); }

  // What holds a sender to the rate it has, if the deal does not say it: rate_limit, of itself, its class or the gateway; timetable; or none
  // of them.
  HoldReason held_to(const Sender& sender, std::span<const Sender> senders, Rate gateway, job::WallTime wall) const;

  // In the order of the senders. One who uses less than a third of what he had counts with four times that, so that others have
  // the rest; what nobody counts on is open to all, since it is a ceiling and no promise. Where the operator set the limit, all of them
  // together stay within it. Nobody gets nothing while anything may be sent: whoever runs holds a session, and its transfer must not end for
  // silence.
  std::vector<Share> deal(std::span<const Sender> senders, Time now, job::WallTime wall) const;

 private:
  Rate class_limit(const Sender& sender, std::span<const Sender> senders) const;
  struct Link { std::string_view peer; Rate capacity, cap; };
  Plan plan_with_least(LinkView link, std::span<const JobView> jobs, Time now) const;
  void deal_link(const Link& link, std::span<const Sender> senders, Time now, std::span<Share> shares) const;

  ShareRules rules_;
  struct Said { std::optional<Rate> for_good; std::optional<Ceiling> for_a_time; };
  std::map<std::string, Said, std::less<>> said_;  // by peer
  std::unique_ptr<SchedulePolicy> policy_;
};

}  // namespace tideway::daemon
