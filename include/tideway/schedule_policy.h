// SPDX-License-Identifier: Apache-2.0
//
// The seam for scheduling: a situation in, allowances out. A policy is a pure function; it keeps nothing between two plans.
#pragma once
#include <tideway/ids.h>
#include <tideway/time.h>
#include <tideway/units.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace tideway {

using PlannedJobId = Id<struct PlannedJobTag, uint64_t>;  // the planner's name of a job, rising with its submission
using LinkId = Id<struct LinkTag, uint16_t>;              // place of a link in the configuration
using TrainingId = Id<struct TrainingTag, uint16_t>;      // the same of a training

enum class JobClass : uint8_t { kRestore, kCheckpoint, kStaging, kBestEffort };

// How a job meets a training burst: it sends in the gaps only; also a share of the link during bursts; as if there were none.
enum class Mode : uint8_t { kScavenge, kHybrid, kFair };

// Why a job is not sending. Names are public and change only by adding.
enum class HoldReason : uint8_t {
  kNone, kGate, kGuard, kProbe, kReactive, kTimetable, kPlannedLater, kLowerClass, kBudget, kHoldout, kGateStarved,
  kUnknownForeground, kReceiverDisk, kReceiverCpu, kSourceSlow, kRateLimit, kPeerLost, kLeaseLost, kPlanExpired, kResidency,
  kPolicyDenied, kPausedByOperator, kVerifying,
};
inline constexpr std::string_view kHoldReasons[] = {
    "", "gate", "guard", "probe", "reactive", "timetable", "planned_later", "lower_class", "budget", "holdout", "gate_starved",
    "unknown_foreground", "receiver_disk", "receiver_cpu", "source_slow", "rate_limit", "peer_lost", "lease_lost", "plan_expired",
    "residency", "policy_denied", "paused_by_operator", "verifying"};
constexpr std::string_view name_of(HoldReason reason) { return kHoldReasons[static_cast<size_t>(reason)]; }

struct JobView {
  PlannedJobId id;
  LinkId link;
  JobClass job_class = JobClass::kBestEffort;
  Mode mode = Mode::kScavenge;     // what its class and its escalation allow it
  Bytes left{};                    // to cross the wire
  std::optional<Time> deadline{};
  double weight = 1;
  Rate rate_max = Rate::unlimited();  // the least of its need, its source and its receiver
  double burst_share = 0;          // hybrid: of the capacity, during bursts
};

// Rates are averages over a training's period.
struct LinkView {
  LinkId id;
  Rate capacity;
  Rate leftover;                   // of trainings and of jobs that stand outside the fill
  Rate cap = Rate::unlimited();    // of timetable and operator
  double open_share = 1;           // of the time in which the gate is open
};

struct Situation {
  Time now;
  std::span<const JobView> jobs;
  std::span<const LinkView> links;
};

struct Allowance {
  PlannedJobId job;
  Rate rate;                       // average; while the gate is open it may send at rate / open share
  Mode mode = Mode::kScavenge;
  double burst_share = 0;
  HoldReason reason = HoldReason::kNone;  // of a rate of zero
};

struct Plan {
  std::vector<Allowance> allowances;  // one for each job, in the order of the jobs
  Time valid_until;
};

class SchedulePolicy {
 public:
  virtual ~SchedulePolicy() = default;
  virtual Plan plan(const Situation& situation) const = 0;
};

}  // namespace tideway
