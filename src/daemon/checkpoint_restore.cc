// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints: what is published where, and the way back.
#include "api/spec_json.h"
#include "base/log.h"
#include "crypto/sha256.h"
#include "daemon/checkpoints.h"
#include "session/transfer_id.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

std::string name_in(const std::string& destination) { return destination.substr(destination.rfind('/') + 1); }

void add(api::CheckpointRow& row, const job::Job& job) {
  row.series = job.spec.series;
  row.step = job.spec.step;
  row.jobs.push_back(job.id);
  if (job.removed != job::WallTime{}) {  // for newer ones
    if (row.state.empty()) row.state = "removed";
    return;
  }
  if (job.state != job::State::kPublished) {
    if (row.state.empty()) row.state = to_string(job.state);
    return;
  }
  row.state = to_string(job::State::kPublished);
  if (std::ranges::count(row.sites, job.peer) == 0) row.sites.push_back(job.peer);
  row.published_at = row.published_at ? std::min(*row.published_at, job.ended) : job.ended;
  row.root_hash = crypto::to_sha256_text(job.outcome->root);
  row.bytes = job.outcome->bytes;
}

}  // namespace

std::vector<job::Filter> filters_of(const std::vector<std::string>& include) {
  std::vector<job::Filter> filters;
  if (std::ranges::count(include, "**") > 0) return filters;
  for (const std::string& pattern : include) {
    const std::string anchored = pattern.starts_with('/') ? pattern : '/' + pattern;
    for (size_t slash = anchored.find('/', 1); slash != anchored.npos; slash = anchored.find('/', slash + 1)) {
      const job::Filter above{job::Filter::Kind::kInclude, anchored.substr(0, slash + 1)};
      if (slash + 1 < anchored.size() && std::ranges::count(filters, above) == 0) filters.push_back(above);
    }
    filters.push_back({job::Filter::Kind::kInclude, anchored});
    if (anchored.ends_with('/')) filters.push_back({job::Filter::Kind::kInclude, anchored + "**"});  // all of that directory
  }
  if (!filters.empty()) filters.push_back({job::Filter::Kind::kExclude, "*"});
  return filters;
}

std::vector<api::CheckpointRow> Checkpoints::list(const Interest& interest) const {
  std::map<std::tuple<std::string, uint64_t, std::string>, api::CheckpointRow> rows;  // by series, step and name
  for (const auto& [name, series] : parts_.table.checkpoints().all()) {
    if (!interest.series.empty() && name != interest.series) continue;
    for (const auto& [number, job] : series.jobs)
      if (!interest.owner || job->owner == *interest.owner) add(rows[{name, job->spec.step.value_or(0), name_in(job->spec.destination)}], *job);
  }
  std::vector<api::CheckpointRow> answer;
  for (auto& [key, row] : rows)
    if (interest.state.empty() || row.state == interest.state) answer.push_back(std::move(row));
  return answer;
}

Checkpoints::Counts Checkpoints::counts() const {
  Counts counts{pins_made_, pins_guarded_, thread_->inbox_pending(), {}, {}};
  for (const WatchConfig& watch : watches_)
    if (watch.rpo) counts.rpo[watch.series] = *watch.rpo;
  for (const auto& [name, series] : parts_.table.checkpoints().all()) {
    counts.saved_at[name] = series.saved_at();
    if (const auto rpo = series.jobs.rbegin()->second->spec.rpo) counts.rpo[name] = *rpo;  // as whoever spoke last wants it
  }
  for (const WatchConfig& watch : watches_) counts.saved_at.try_emplace(watch.series, begun_);  // found nothing, or nothing complete
  return counts;
}

// ---- restore -----------------------------------------------------------------------------------------------------------------

std::vector<session::Replica> Checkpoints::replicas_of(const std::string& series) const {
  std::vector<session::Replica> replicas;
  for (const auto& [number, job] : parts_.table.checkpoints().of(series))
    if (job->state == job::State::kPublished && job->spec.step && job->removed == job::WallTime{}) replicas.push_back({job->spec.destination, *job->spec.step, {}, job->outcome->bytes});
  return replicas;
}

void Checkpoints::restore(const Restore& restore, Now now, Answer answer) {
  const api::RestoreRequest& request = restore.request;
  if (request.from.empty()) return take_restore(request, restore.caller, now, answer, replicas_of(request.series));
  const auto from = session::parse_address(request.from);
  if (!from.ok()) return answer(from.error());
  const auto* run = std::get_if<session::RemoteAddress>(&from.value());
  if (run == nullptr || (run->peer != "any" && parts_.peers.named(run->peer) == nullptr))
    return answer(Error{Fault::kUsage, "from names no peer of this gateway", "write peer:root/run, or any:root/run; see tideway peers"});
  search_.ask(*run, now.time, [this, request, caller = restore.caller, now, answer](ReplicaSearch::Result found) {
    if (found.replicas.empty() && found.trouble) return answer(*found.trouble);
    take_restore(request, caller, now, answer, std::move(found.replicas));
  });
}

void Checkpoints::take_restore(const api::RestoreRequest& request, const http::Caller& caller, Now now, const Answer& answer, std::vector<session::Replica> replicas) {
  const auto older = request.fallback == api::RestoreRequest::Fallback::kToOlder ? session::OlderToo::kYes : session::OlderToo::kNo;
  const std::vector<session::Replica> chosen = session::choose(replicas, {request.step, older});
  const std::string what = request.step ? "step " + std::to_string(*request.step) : "a checkpoint";
  if (chosen.empty())
    return answer(Error{Fault::kSourceMissing, what + " of " + to_display(request.series + request.from) + " is published nowhere that this gateway knows", "see GET /v1/checkpoints, and tideway ls"});
  JobTable::Submission one;
  one.spec.sources = {chosen.front().source};
  for (size_t i = 1; i < std::min(chosen.size(), job::kSourcesMax); ++i) one.spec.alternatives.push_back(chosen[i].source);
  if (older == session::OlderToo::kNo) one.spec.older = session::source_before(std::move(replicas), chosen.front().step);
  one.spec.destination = request.destination;
  one.spec.service = job::Class::kRestore;
  one.spec.patience = request.patience;
  one.spec.verify = request.verify;
  one.spec.publish = "rename";
  one.spec.submission_id = request.submission_id;
  one.spec.series = request.series;
  one.spec.step = chosen.front().step;
  one.spec.bytes = chosen.front().bytes;
  one.spec.filters = filters_of(request.include);
  if (Status status = job::check(one.spec); !status.ok()) return answer(status.error());
  const auto copy = request_of(one.spec, {parts_.roots, parts_.peers});
  if (!copy.ok()) return answer(copy.error());
  if (Status status = parts_.grants.allow(caller, copy.value()); !status.ok()) return answer(status.error());
  one.request = api::to_json(request);  // as it was asked for: what is found differs from one time to the next
  one.owner = caller.uid;
  one.groups = groups_of(caller);
  one.peer = session::peer_of(copy.value()).value();
  one.transfer = session::id_of(copy.value());
  log::info("restore_from", "source=\"" + to_display(chosen.front().source) + "\" replicas=" + std::to_string(chosen.size()));
  std::vector<JobTable::Submission> all;
  all.push_back(std::move(one));
  parts_.intake.take(std::move(all), now.wall, [this, answer](const Result<std::vector<JobTable::Taken>>& taken) {
    if (!taken.ok()) return answer(taken.error());
    const job::JobId& id = taken.value().front().id;
    answer(api::accepted_to_json({id}, parts_.table.find(id)->state));
  });
}

}  // namespace tideway::daemon
