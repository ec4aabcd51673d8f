// SPDX-License-Identifier: Apache-2.0
//
// What the thread that hears of trainings and the control thread tell each other: notices to and from other gateways, and alarms
// about signals. Whatever nobody fetches is bounded, and the newest are dropped.
// Thread: any.
#pragma once
#include "daemon/bell.h"
#include "messages/session_messages.h"
#include <tideway/result.h>
#include <tideway/time.h>

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace tideway::daemon {

// What is wrong with what we are told of a training. kStale: a burst that nobody ended; kLost: silent for three periods; kLate: a
// begin that counters had shown before, or a notice that is older than it is of use; kWrong: an expected begin that did not come;
// kForged: beacons without the right seal, or a peer that speaks of a training which does not cross our link to it; kHeld: trainings keep
// a gate closed for a minute without a gap.
enum class PhaseTrouble : uint8_t { kStale, kLost, kLate, kWrong, kForged, kHeld };
inline constexpr size_t kPhaseTroubles = 6;
std::string_view name_of(PhaseTrouble trouble);
// What the gate does about it.
std::string_view answer_to(PhaseTrouble trouble);

struct PhaseAlarm {
  PhaseTrouble trouble;
  std::string subject;        // a training; of kForged, who speaks: "beacon", or a site; of kHeld, the peer of the link
  bool operator==(const PhaseAlarm&) const = default;
};

// A training went over its interference budget, or came back within it.
struct BudgetNews {
  std::string training;
  double inflation = 0, budget = 0;
  bool operator==(const BudgetNews&) const = default;
};

class PhaseMail {
 public:
  static constexpr size_t kWaitingMax = 256;
  static constexpr Duration kAgain = std::chrono::seconds(10);  // the same alarm is counted meanwhile, and not told
  static constexpr Duration kNoticeAgeMax = std::chrono::seconds(5);

  struct Heard { size_t training; messages::PhaseNotice::Kind kind; Time at; };
  struct ToTell { std::string site; messages::PhaseNotice notice; Time at; };

  // Errors: overloaded, when no descriptor is left.
  Status open() { return bell_.open("phase notices"); }

  void hear(const Heard& heard);
  std::vector<Heard> take_heard();
  void tell(ToTell notice);
  // With the age that each has now.
  std::vector<ToTell> take_to_tell(Time now);
  // True: it is news.
  bool raise(Time now, const PhaseAlarm& alarm);
  std::vector<PhaseAlarm> take_alarms();
  void tell_budget(BudgetNews news);
  std::vector<BudgetNews> take_budget_news();
  uint64_t count(PhaseTrouble trouble) const;
  int wait_fd() const { return bell_.fd(); }  // readable when there is something for the control thread

 private:
  Bell bell_;
  mutable std::mutex mutex_;
  std::vector<Heard> heard_;          // these under it
  std::vector<ToTell> to_tell_;
  std::vector<PhaseAlarm> alarms_;
  std::vector<BudgetNews> budget_news_;
  std::array<uint64_t, kPhaseTroubles> counts_{};
  std::map<std::pair<PhaseTrouble, std::string>, Time> raised_;
};

}  // namespace tideway::daemon
