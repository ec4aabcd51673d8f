// SPDX-License-Identifier: Apache-2.0
#include "daemon/supersede.h"

#include "daemon/local_grants.h"

#include <algorithm>

namespace tideway::daemon {

std::string_view place_above(std::string_view destination) { return destination.substr(0, destination.rfind('/')); }

std::set<job::JobId> heirs_among(const CheckpointSeries::Jobs& jobs) {
  std::set<job::JobId> heirs;
  for (const auto& [number, job] : jobs)
    if (!job->superseded_by.empty() && (job->started != job::WallTime{} || heirs.contains(job->id))) heirs.insert(job->superseded_by);
  return heirs;
}

// A series is a name that anybody may say, and nobody ends the jobs of others by it.
static bool may_end(const job::Job& older, const job::Job& newer) {
  return older.owner == newer.owner || LocalGrants::is_privileged({newer.owner, 0, {}});
}

static bool is_for_a_place_of_its_series(const job::Job& job) { return job.spec.checkpoint && !is_pointer(job) && job.spec.step; }

static bool stands_before(const job::Job& older, const job::Job& newer) {
  return is_for_a_place_of_its_series(older) && !job::is_over(older.state) && *older.spec.step < *newer.spec.step && older.spec.series == newer.spec.series && may_end(older, newer) &&
         place_above(older.spec.destination) == place_above(newer.spec.destination);
}

// One name is published once, and what its trainer saved last goes on from there. What is the same in both need not cross twice.
static bool is_saved_again(const job::Job& older, const job::Job& newer) {
  return older.spec.checkpoint && !is_pointer(older) && !job::is_over(older.state) && older.number < newer.number && older.spec.series == newer.spec.series && may_end(older, newer) &&
         older.spec.destination == newer.spec.destination;
}

// Whether it is there in the end is no longer ours to say.
static bool is_being_published(const Live& one) { return one.progress && one.progress->stage == "publish"; }

static bool is_more_than_half_there(const api::Progress& progress) {
  const Bytes there = progress.bytes_verified + progress.bytes_held;
  return progress.stage != "scan" && there * 2 > progress.bytes_needed + progress.bytes_held;  // how much a scan finds is not known yet
}

std::vector<job::JobId> giving_way(std::vector<Live> live, const std::set<job::JobId>& heirs, const job::Job& newer) {
  if (!newer.spec.checkpoint || is_pointer(newer)) return {};
  std::vector<job::JobId> gone;
  for (const Live& one : live)
    if (is_saved_again(*one.job, newer) && !is_being_published(one)) gone.push_back(one.job->id);
  if (!is_for_a_place_of_its_series(newer) || newer.spec.checkpoint->supersede == job::Checkpoint::Supersede::kAll) return gone;
  std::erase_if(live, [&](const Live& one) { return !stands_before(*one.job, newer); });
  std::ranges::sort(live, {}, [](const Live& one) { return *one.job->spec.step; });
  const auto goes_on = std::ranges::find_if(live, [&](const Live& one) { return one.progress && heirs.contains(one.job->id); });
  for (auto one = live.begin(); one != live.end(); ++one)
    if (one != goes_on && !(one->progress && is_more_than_half_there(*one->progress))) gone.push_back(one->job->id);
  return gone;
}

std::vector<std::string> too_many(std::vector<HeldPin> held, const PinLimits& limits) {
  std::ranges::sort(held, {}, &HeldPin::step);
  size_t left = held.size();
  Bytes bytes;
  for (const HeldPin& one : held) bytes += one.bytes;
  std::vector<std::string> gone;
  for (const HeldPin& one : held) {
    const bool is_too_much = (limits.pins_max > 0 && left > limits.pins_max) || bytes > limits.bytes_max;
    if (!is_too_much) break;
    if (one.use == HeldPin::Use::kNeeded) continue;
    gone.push_back(one.pin);
    left -= 1;
    bytes = bytes - one.bytes;
  }
  return gone;
}

}  // namespace tideway::daemon
