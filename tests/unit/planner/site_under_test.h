// SPDX-License-Identifier: Apache-2.0
//
// A gateway's site in tests: a loop over one training, told of announcements, counters and bulk in time that is passed to it.
#pragma once
#include "planner/site_loop.h"

#include <algorithm>
#include <vector>

namespace tideway::planner {

using std::chrono::milliseconds;
using gate::EventFate;
using gate::GateReason;
using gate::PhaseKind;

inline constexpr uint64_t kLlm = gate::training_id("llm7");

// A site with two links; llm7 crosses the first. Time goes in steps of 10 ms.
class Site {
 public:
  SiteLoop loop;
  Time now{milliseconds(100'000)};

  explicit Site(Duration bin = {}, double budget = 0.01)
      : loop({{.ttl_max = std::chrono::seconds(60), .link_sites = {gate::site_id("wisconsin"), gate::site_id("atlanta")}, .trainings = {{kLlm, {0}}}},
              {rules(bin, budget)}}) {}
  static TrainingRules rules(Duration bin, double budget) {
    TrainingRules rules;
    rules.seen_after = bin;
    rules.budget.budget = budget;
    return rules;
  }

  EventFate say(PhaseKind kind, gate::PhaseDetails details = {}, Duration ahead = {}) {
    return loop.on_event(now, {.kind = kind, .training = kLlm, .destination = 0, .member = 0, .members = 1, .ahead = ahead, .details = details}, PhaseOrigin::kApi);
  }
  void pass(Duration time) {
    for (const Time until = now + time; now < until;) {
      now += milliseconds(10);
      loop.on_time(now);
      if (has_bulk) loop.on_bulk(0, is_closed() ? trickle : Bytes(1'000'000));
    }
  }
  bool is_closed(size_t link = 0) const { return now < loop.signal(now, link).closed_until; }
  bool is_guarded() const {
    const gate::GateSignal signal = loop.signal(now, 0);
    return signal.guard_from <= now && now < signal.guard_until;
  }
  GateReason reason() const { return loop.signal(now, 0).reason; }
  const TrainingWatch& llm() const { return loop.training(0); }
  Lock lock() const { return llm().lock(now); }
  // One announced iteration; `harm` is how much longer the burst is when bulk was sent before it.
  void iterate(Duration harm = {}) {
    const bool was_held = is_closed();
    say(PhaseKind::kBegin);
    pass(milliseconds(400) + (was_held ? Duration() : harm));
    say(PhaseKind::kEnd);
    pass(milliseconds(600));
  }
  void iterate_seen(Duration period = std::chrono::seconds(1)) {
    loop.on_counters(0, CounterWatch::Edge::kBegin, now - milliseconds(10), now);
    pass(milliseconds(400));
    loop.on_counters(0, CounterWatch::Edge::kEnd, now - milliseconds(20), now);
    pass(period - milliseconds(400));
  }
  std::vector<SiteNews::Kind> news() {
    std::vector<SiteNews::Kind> kinds;
    for (const SiteNews& one : loop.take_news())
      if (one.kind != SiteNews::Kind::kBegun && one.kind != SiteNews::Kind::kEnded) kinds.push_back(one.kind);
    return kinds;
  }
  bool has_bulk = true;
  Bytes trickle{};  // of a step
};

}  // namespace tideway::planner
