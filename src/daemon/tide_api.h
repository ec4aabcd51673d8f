// SPDX-License-Identifier: Apache-2.0
//
// The part of the API that is about trainings and links: takes trainers' words, and shows the tide.
// Thread: control.
#pragma once
#include "daemon/link_sampler.h"
#include "daemon/tide_feed.h"
#include "gate/repeat_filter.h"
#include "http/exchange.h"
#include "job/job.h"

namespace tideway::daemon {

class TideApi {
 public:
  TideApi(LinkSources sources, PhasePort* phases) : phases_(phases), sampler_(std::move(sources)) {}

  http::Response take_phase(Time now, const std::string& body);
  http::Response links() const;  // as of the last look
  void watch(const std::shared_ptr<http::Exchange>& reader) { feed_.add(reader); }

  void turn(Time now, job::WallTime wall);
  std::vector<PhaseAlarm> take_alarms() { return phases_ == nullptr ? std::vector<PhaseAlarm>() : phases_->mail().take_alarms(); }
  std::vector<BudgetNews> take_budget_news() { return phases_ == nullptr ? std::vector<BudgetNews>() : phases_->mail().take_budget_news(); }
  Time next_deadline(Time now) const;
  // What holds up jobs that yield on the link to that peer, as of the last look; empty: nothing.
  std::string holds(std::string_view peer) const;
  const PhasePort* phases() const { return phases_; }
  const LinkSampler& sampler() const { return sampler_; }
  std::span<const api::LinkView> views() const { return views_; }  // as of the last look

 private:
  PhasePort* const phases_;      // null: no training is configured
  gate::RepeatFilter seen_;
  LinkSampler sampler_;
  std::vector<api::LinkView> views_;
  TideFeed feed_;
  Time next_look_{};
};

}  // namespace tideway::daemon
