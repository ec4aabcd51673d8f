// SPDX-License-Identifier: Apache-2.0
//
// Looks at the links of this gateway: what bulk and trainings do there, and what the gate does about it.
// Thread: control.
#pragma once
#include "api/tide_json.h"
#include "daemon/phase_port.h"
#include "daemon/use_meter.h"
#include "session/gateway.h"

#include <memory>
#include <string>
#include <vector>

namespace tideway::daemon {

struct LinkAbout {
  std::string peer, kind;
  std::optional<Rate> capacity;
};

// What the sampler looks at; all of it outlives it.
struct LinkSources {
  session::Gateway* gateway = nullptr;
  std::shared_ptr<const engine::Gates> gates;  // one per link; null: there are no links
  const PhasePort* phases = nullptr;           // null: no training is configured
  std::vector<LinkAbout> links;
};

// What trainings left of a link to use, since the start.
struct LeftSeen { double bytes = 0; Duration over{}; };

// What trainings did on a link for some time.
struct TrainingTime {
  Duration over{}, bursting{}, open{};   // that they burst; that the gate was open
  std::optional<Bytes> foreground = {};  // that counters showed
};
// Bursts that are announced are taken to fill the link; where counters show them, they fill what they fill.
double left_by_trainings(Rate capacity, const TrainingTime& time);
// Of that, what the gate lets bulk have: beside a burst that fills half of the link the other half is nobody's.
double left_to_use(Rate capacity, const TrainingTime& time);

// What a link's gate did lately, for the jobs behind it.
struct LinkHold {
  std::string reason = {};               // of the gate; empty: it is open
  double open_share = 1;                 // of the time
  double reacted = 0;                    // share of the time in which lanes paused by themselves
  enum class Trainings : uint8_t { kUnknown, kKnown } trainings = Trainings::kUnknown;
};
// What holds jobs up that yield: the gate's reason, unless it is never open for long (gate_starved); or what made bulk back off, a
// burst of a known training that nobody announced (reactive) or nobody knows whose (unknown_foreground); empty: nothing.
std::string hold_reason(const LinkHold& hold);

class LinkSampler {
 public:
  // Over which bulk and leftover are compared.
  static constexpr Duration kUseTime = std::chrono::seconds(10);

  static constexpr Duration kReasonKept = std::chrono::seconds(1);

  explicit LinkSampler(LinkSources sources);

  // Rates are those since the look before.
  std::vector<api::LinkView> look(Time now);
  // What bulk used of what trainings left, lately; nothing: the link's capacity is not configured.
  std::optional<double> leftover_used(size_t link) const;
  // Within the last second: who asks once in a while would else see the same moment of each iteration. `view`: of the last look.
  LinkHold hold(size_t link, const api::LinkView& view) const;
  GateTime gate_time(size_t link) const { return past_[link].gate; }
  LeftSeen left_seen(size_t link) const { return past_[link].left_seen; }
  const LinkSources& sources() const { return sources_; }

 private:
  struct Past {
    uint64_t sent = 0, received = 0, packets_sent = 0, packets_lost = 0;
    Duration bursting{}, open{};
    Bytes foreground;
    std::optional<double> loss;
    uint64_t reacted_ns = 0;
    double reacted = 0;         // of the time since the look before: the share that a lane paused by itself
    double open_share = 1;
    std::string reason;         // that the gate had last, while that is of use
    Time reason_at{};
    double used = 0, left = 0;  // bytes, of which the old count less and less
    LeftSeen left_seen;
    GateTime gate;              // since the start
  };
  void add_traffic(size_t link, Duration passed, const PhaseReport& report, api::LinkView& view);
  void add_path(size_t link, const session::SessionCounts& counts, api::LinkView& view);
  void add_trainings(size_t link, Time now, const PhaseReport& report, api::LinkView& view) const;
  api::LinkGate gate_of(size_t link, const PhaseReport& report) const;

  const LinkSources sources_;
  std::vector<Past> past_;
  Time looked_at_ = Time::min();
};

}  // namespace tideway::daemon
