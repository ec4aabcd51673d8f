// SPDX-License-Identifier: Apache-2.0
#include "daemon/tide_api.h"

#include "api/phase_json.h"
#include "api/problem.h"
#include "api/tide_json.h"

namespace tideway::daemon {
namespace {

http::Response refusal(const Error& error, unsigned status) { return {status, "application/problem+json", api::to_problem(error, status)}; }

http::Response answer_of(gate::EventFate fate, const api::PhaseWord& word) {
  using enum gate::EventFate;
  const std::string training = to_display(word.training);
  switch (fate) {
    case kUnknownTraining: return refusal({Fault::kUsage, "no [[training]] is called " + training, "write the name of a [[training]] of the configuration, or add one and restart the gateway"}, 404);
    case kUnheard: return refusal({Fault::kDenied, "sources of the [[training]] " + training + " leave the API out", "announce it the way they say, or add \"api\" to them"}, 403);
    case kUnknownDestination:
      return refusal({Fault::kUsage, "no link of the training " + training + " that has a gate goes to " + to_display(word.site), "leave dst out to mean all of its links"}, 404);
    case kFull: return refusal({Fault::kOverloaded, "phases come faster than they are taken in", "announce each burst once"}, 503);
    case kTaken:
    case kNotBegun: break;
  }
  return {204, "application/json", ""};
}

}  // namespace

http::Response TideApi::take_phase(Time now, const std::string& body) {
  const auto word = api::parse_phase_word(body);
  if (!word.ok()) return refusal(word.error(), api::status_of(word.error().fault));
  if (phases_ == nullptr) return answer_of(gate::EventFate::kUnknownTraining, word.value());
  const bool is_numbered = !word.value().source.empty();
  if (is_numbered && seen_.is_repeat(now, gate::training_id(word.value().source), word.value().number)) return answer_of(gate::EventFate::kTaken, word.value());
  return answer_of(phases_->announce(word.value().event), word.value());
}

http::Response TideApi::links() const { return {200, "application/json", api::links_json(views_)}; }

std::string TideApi::holds(std::string_view peer) const {
  for (size_t link = 0; link < views_.size(); ++link)
    if (views_[link].peer == peer) return hold_reason(sampler_.hold(link, views_[link]));
  return "";
}

void TideApi::turn(Time now, job::WallTime wall) {
  if (now >= next_look_ && !sampler_.sources().links.empty()) {
    next_look_ = now + TideFeed::kEvery;
    views_ = sampler_.look(now);
    const auto since_epoch = wall.time_since_epoch();
    feed_.on_moment(static_cast<uint64_t>(since_epoch.count()), api::tide_json(since_epoch, views_));
  }
  feed_.turn(now);
}

Time TideApi::next_deadline(Time now) const {
  return std::min(feed_.next_deadline(now), sampler_.sources().links.empty() ? kNever : next_look_);
}

}  // namespace tideway::daemon
