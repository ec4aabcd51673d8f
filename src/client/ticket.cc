// SPDX-License-Identifier: Apache-2.0
#include "client/ticket.h"

#include "client/inbox.h"

#include <algorithm>

namespace tideway::client {
namespace {

using Clock = std::chrono::steady_clock;
constexpr Duration kLookMin = std::chrono::milliseconds(5), kLookMax = std::chrono::milliseconds(500);  // between two looks: a tenth of the time waited
constexpr double kForever = 1e9;  // seconds

bool is_over(const std::string& state) { return state == "published" || state == "failed" || state == "cancelled"; }

}  // namespace

std::optional<Clock::time_point> end_after(double seconds) {
  if (!(seconds >= 0) || seconds > kForever) return std::nullopt;
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

tideway_state Ticket::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::vector<std::string> Ticket::jobs() const {
  const std::lock_guard lock(mutex_);
  return jobs_;
}

std::string Ticket::inbox() const {
  const std::lock_guard lock(mutex_);
  return inbox_;
}

void Ticket::on_state(tideway_state state) {
  {
    const std::lock_guard lock(mutex_);
    state_ = state;
  }
  changed_.notify_all();
}

void Ticket::on_stored(const std::string& inbox) {
  {
    const std::lock_guard lock(mutex_);
    inbox_ = inbox;
  }
  on_state(TIDEWAY_STORED);
}

void Ticket::on_answer(const Json& answer) {
  const std::string id = text_of(answer, "id");
  if (!text_of(answer, "code").empty() || id.empty()) return on_trouble(trouble_in(answer));
  std::vector<std::string> jobs;
  if (const auto named = answer.find("jobs"); named != answer.end() && named->is_array())
    for (const Json& job : *named)
      if (job.is_string()) jobs.push_back(job.get<std::string>());
  if (jobs.empty()) jobs.push_back(id);
  {
    const std::lock_guard lock(mutex_);
    jobs_ = std::move(jobs);
  }
  on_state(TIDEWAY_ACCEPTED);
}

void Ticket::on_trouble(Trouble trouble) {
  {
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(trouble);
  }
  on_state(TIDEWAY_FAILED);
}

void Ticket::on_jobs_over(const std::vector<Json>& jobs) {
  for (const Json& job : jobs) {
    if (text_of(job, "state") == "published") continue;
    if (const auto newer = job.find("superseded_by"); newer != job.end() && !newer->is_null()) return on_state(TIDEWAY_SUPERSEDED);
    const auto error = job.find("error");
    return on_trouble(error != job.end() && error->is_object() ? trouble_in(*error) : trouble_of(Fault::kCancelled, "job " + text_of(job, "id") + " was cancelled"));
  }
  on_state(TIDEWAY_PUBLISHED);
}

std::optional<Trouble> Ticket::refresh(const Gateway& gateway) {
  if (state() >= TIDEWAY_PUBLISHED) return std::nullopt;
  if (jobs().empty() && !inbox().empty())
    if (const Json status = parse(read_status(inbox(), id_)); !status.is_null()) on_answer(status);
  std::vector<Json> over;
  const std::vector<std::string> ids = jobs();
  for (const std::string& id : ids) {
    const Reply reply = gateway.ask("GET", "/v1/jobs/" + id);
    if (!reply.ok()) return reply.trouble->passes() ? std::nullopt : reply.trouble;
    if (is_over(text_of(reply.json, "state"))) over.push_back(reply.json);
    // One that failed decides; else all must be through.
    if (!over.empty() && text_of(over.back(), "state") != "published") on_jobs_over({over.back()});
  }
  if (!ids.empty() && over.size() == ids.size() && state() < TIDEWAY_PUBLISHED) on_jobs_over(over);
  return std::nullopt;
}

std::optional<Trouble> Ticket::wait(const Gateway& gateway, tideway_state wanted, double timeout) {
  const auto begun = Clock::now();
  const auto end = end_after(timeout);
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const auto can_tell = [&] { return has_reached(wanted) || state_ == TIDEWAY_STORED || state_ == TIDEWAY_ACCEPTED; };
      if (end) changed_.wait_until(lock, *end, can_tell);
      else changed_.wait(lock, can_tell);
      if (trouble_) return trouble_;
      if (state_ == TIDEWAY_SUPERSEDED) return trouble_of(Fault::kCancelled, "a newer checkpoint of the series goes instead of " + id_);
      if (has_reached(wanted)) return std::nullopt;
    }
    const auto now = Clock::now();
    if (end && now >= *end) return trouble_of(Fault::kDeadline, id_ + " has not got so far", "it goes on; wait again, or cancel it");
    if (auto trouble = refresh(gateway)) return trouble;
    auto look_again = Clock::now() + std::clamp<Clock::duration>((now - begun) / 10, kLookMin, kLookMax);
    if (end) look_again = std::min(look_again, *end);
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, look_again, [&] { return has_reached(wanted); });
  }
}

}  // namespace tideway::client
