// SPDX-License-Identifier: Apache-2.0
#include "client/stream.h"

namespace tideway::client {
namespace {

constexpr Duration kAskAgain = std::chrono::seconds(1);  // a gateway that was not there
constexpr Duration kIdle = std::chrono::seconds(60);     // a declaration or the end wakes it up
constexpr auto kPartMax = std::chrono::minutes(10);      // by then the gateway has seen by itself that nothing is written any more

}  // namespace

// ---- the trainer's side ----

std::optional<Trouble> StreamRequest::declare(FinalRange range) {
  std::string& file = range.file;
  const bool is_below = !file.starts_with('/') || file == path() || file.starts_with(path() + '/');
  if (!is_below || range.length == 0 || range.offset > UINT64_MAX - range.length)
    return trouble_of(Fault::kUsage, "a range is some bytes of a file of the checkpoint", "see tideway/client.h");
  if (file.starts_with('/')) file = file == path() ? std::string() : file.substr(path().size() + 1);
  const std::lock_guard lock(mutex_);
  // Behind the last one, but for the first, which may be on its way.
  if (ranges_.size() > 1 && ranges_.back().file == file && ranges_.back().offset + ranges_.back().length == range.offset) ranges_.back().length += range.length;
  else if (ranges_.size() < kRangesMax) ranges_.push_back(std::move(range));
  return std::nullopt;
}

// What leaves the checkpoint from now on makes it another one.
void StreamRequest::complete() {
  follow();
  const std::lock_guard lock(mutex_);
  end_ = End::kComplete;
}

void StreamRequest::abort() {
  const std::lock_guard lock(mutex_);
  end_ = End::kAborted;
}

// ---- the queue's ----

StreamRequest::End StreamRequest::end_so_far() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

std::optional<FinalRange> StreamRequest::first_range() const {
  const std::lock_guard lock(mutex_);
  return ranges_.empty() ? std::nullopt : std::optional(ranges_.front());
}

void StreamRequest::give_up_stream(const Trouble& trouble) {
  line_->note(trouble);
  if (trouble.passes()) left_ = text_of(opened_, "id");
  opened_ = {};
  is_refused_ = true;
}

// Under an id of its own, so that the whole checkpoint can still be handed over under the ticket's.
bool StreamRequest::open() {
  Reply asked = growing();
  if (asked.ok()) {
    asked.json["submission_id"] = ticket_->id() + "-growing";
    asked.json["growing"] = true;
    asked = line_->reach.ask("POST", target(), asked.json);
  }
  if (!asked.ok() && asked.trouble->passes()) {
    line_->note(*asked.trouble);
    return false;
  }
  if (!asked.ok()) give_up_stream(*asked.trouble);
  else if (text_of(asked.json, "id").empty()) is_refused_ = true;
  else opened_ = asked.json;
  return true;
}

bool StreamRequest::tell(End end) {
  if (opened_.is_null() && !is_refused_ && end == End::kNotYet && !open()) return false;
  for (size_t count = 0; count < kRangesPerStep && !opened_.is_null(); ++count) {
    const auto range = first_range();  // each when its turn comes: until then it may become longer
    if (!range) break;
    const Reply reply = line_->reach.ask("POST", place_of_stream(text_of(opened_, "id"), "ranges"), {{"path", range->file}, {"offset", range->offset}, {"length", range->length}});
    if (!reply.ok() && reply.trouble->passes()) {
      line_->note(*reply.trouble);
      return false;
    }
    if (!reply.ok()) give_up_stream(*reply.trouble);
    const std::lock_guard lock(mutex_);
    ranges_.pop_front();
  }
  return true;
}

// Nothing was published, and nothing will be: one that does not hear it sees by itself that nothing is written any more.
Reply StreamRequest::abandon() {
  const std::string id = opened_.is_null() ? left_ : text_of(opened_, "id");
  return id.empty() ? Reply() : line_->reach.ask("POST", place_of_stream(id, "abort"));
}

// One that was complete made room for a newer one: the gateway holds what came of it until it hears so.
std::optional<std::chrono::nanoseconds> StreamRequest::part() {
  CheckpointRequest::part();
  const auto now = std::chrono::steady_clock::now();
  if (!parts_until_) parts_until_ = now + kPartMax;
  const Reply reply = abandon();
  if (!reply.ok()) line_->note(*reply.trouble);
  return !reply.ok() && reply.trouble->passes() && now < *parts_until_ ? std::optional<std::chrono::nanoseconds>(kAskAgain) : std::nullopt;
}

std::optional<std::chrono::nanoseconds> StreamRequest::step() {
  const End before = end_so_far();
  if (before == End::kAborted) {
    abandon();
    on_refused();
    ticket_->on_trouble(trouble_of(Fault::kCancelled, "the writing of " + path() + " was abandoned"));
    return std::nullopt;
  }
  const bool is_there = tell(before);
  const bool has_more = !opened_.is_null() && is_there && first_range();
  if (before == End::kComplete && !has_more) return finish();
  if (has_more) return Duration();
  return is_there ? kIdle : kAskAgain;
}

std::optional<std::chrono::nanoseconds> StreamRequest::finish() {
  switch (hold()) {
    case Holding::kLater: return kLookAgain;
    case Holding::kRefused: abandon(); return std::nullopt;
    case Holding::kDone: break;
  }
  if (opened_.is_null()) return send();
  const Reply reply = line_->reach.ask("POST", place_of_stream(text_of(opened_, "id"), "complete"), pin().empty() ? Json() : Json{{"pin", pin()}});
  if (!reply.ok()) {
    give_up_stream(*reply.trouble);
    return send();
  }
  ++line_->counts.accepted;
  ticket_->on_answer(opened_);
  return std::nullopt;
}

void StreamRequest::spill() {
  if (end_so_far() == End::kComplete) return CheckpointRequest::spill();
  end(TIDEWAY_FAILED, trouble_of(Fault::kCancelled, "the client was closed while " + path() + " was being written"));
}

}  // namespace tideway::client
