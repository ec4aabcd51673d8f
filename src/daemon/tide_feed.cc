// SPDX-License-Identifier: Apache-2.0
#include "daemon/tide_feed.h"

#include <algorithm>
#include <charconv>

namespace tideway::daemon {

void TideFeed::add(const std::shared_ptr<http::Exchange>& reader) {
  uint64_t told = 0;
  const std::string& last = reader->request().last_event_id;
  std::from_chars(last.data(), last.data() + last.size(), told);
  if (moments_.empty() || told > moments_.back().id) told = 0;  // by a gateway whose calendar was ahead of ours: it has nothing of what we have
  readers_.push_back({reader, told});
  reader->begin_stream();
  reader->say(": tideway\n\n");
}

// A calendar that goes back must not stop it.
void TideFeed::on_moment(uint64_t at, const std::string& json) {
  const uint64_t id = moments_.empty() ? at : std::max(at, moments_.back().id + 1);
  if (moments_.size() == kMomentsKept) moments_.pop_front();
  moments_.push_back({id, "id: " + std::to_string(id) + "\nevent: tide\ndata: " + json + "\n\n"});
}

void TideFeed::turn(Time now) {
  std::erase_if(readers_, [](const Reader& reader) { return reader.exchange->is_gone() || reader.exchange->has_ended(); });
  const bool comments = now >= next_comment_;
  if (comments) next_comment_ = now + kCommentEvery;
  for (Reader& reader : readers_) {
    const auto first = std::ranges::upper_bound(moments_, reader.told, {}, &Moment::id);
    for (auto moment = first; moment != moments_.end() && reader.exchange->waiting() < kAheadMax; ++moment) {
      reader.exchange->say(moment->event);
      reader.told = moment->id;
    }
    if (comments) reader.exchange->say(": still here\n\n");
  }
}

Time TideFeed::next_deadline(Time now) const {
  if (readers_.empty()) return kNever;
  const bool is_replaying = std::ranges::any_of(readers_, [this](const Reader& reader) { return is_behind(reader); });
  return is_replaying ? now + kReplayEvery : next_comment_;
}

}  // namespace tideway::daemon
