// SPDX-License-Identifier: Apache-2.0
#include "daemon/event_feed.h"

#include <algorithm>
#include <charconv>

namespace tideway::daemon {
namespace {

std::optional<uint64_t> number_in(const std::string& text) {
  uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_wanted(const EventFeed::Interest& interest, const job::JobId& job, uint32_t owner) {
  return (interest.job.empty() || interest.job == job) && (!interest.owner || *interest.owner == owner);
}

}  // namespace

void EventFeed::add(const std::shared_ptr<http::Exchange>& reader, Interest interest) {
  const uint64_t newest = table_.events().empty() ? 0 : table_.events().back().number;
  readers_.push_back({reader, std::move(interest), number_in(reader->request().last_event_id).value_or(newest)});
  has_new_reader_ = true;
  reader->begin_stream();
  reader->say(": tideway\n\n");
}

void EventFeed::tell_states(Reader& reader) const {
  const auto& events = table_.events();
  const auto first = std::ranges::upper_bound(events, reader.told, {}, &store::Event::number);
  for (auto event = first; event != events.end(); ++event) {
    reader.told = event->number;
    if (!is_wanted(reader.interest, event->job, event->owner)) continue;
    reader.exchange->say("id: " + std::to_string(event->number) + "\nevent: " + event->type + "\ndata: " + event->data + "\n\n");
  }
}

void EventFeed::tell(std::string_view type, std::string_view data) {
  for (const Reader& reader : readers_)
    if (reader.interest.job.empty()) reader.exchange->say("event: " + std::string(type) + "\ndata: " + std::string(data) + "\n\n");
}

// One job's stream ends with the job.
bool EventFeed::is_through(const Reader& reader) const {
  if (reader.interest.job.empty()) return false;
  const job::Job* job = table_.find(reader.interest.job);
  return job == nullptr || job::is_over(job->state);
}

void EventFeed::turn(Time now, const std::function<api::JobView(const job::Job&)>& view_of) {
  has_new_reader_ = false;
  std::erase_if(readers_, [](const Reader& reader) { return reader.exchange->is_gone() || reader.exchange->has_ended(); });
  if (readers_.empty()) return;
  const bool tells_progress = now >= next_progress_;
  if (tells_progress) next_progress_ = now + kProgressEvery;
  for (const job::JobId& id : tells_progress ? runner_.running_ids() : std::vector<job::JobId>()) {
    const job::Job& job = *table_.find(id);
    const std::string text = "event: progress\ndata: " + api::to_json(view_of(job)) + "\n\n";
    for (Reader& reader : readers_)
      if (is_wanted(reader.interest, id, job.owner)) reader.exchange->say(text);
  }
  for (Reader& reader : readers_) {
    tell_states(reader);
    if (now >= next_comment_) reader.exchange->say(": still here\n\n");
    if (is_through(reader)) reader.exchange->end();
  }
  if (now >= next_comment_) next_comment_ = now + kCommentEvery;
}

Time EventFeed::next_deadline() const {
  if (readers_.empty()) return kNever;
  if (has_new_reader_) return Time{};  // what it wants to know may be over already
  return runner_.running() > 0 ? std::min(next_progress_, next_comment_) : next_comment_;
}

}  // namespace tideway::daemon
