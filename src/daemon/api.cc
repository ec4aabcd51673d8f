// SPDX-License-Identifier: Apache-2.0
#include "daemon/api.h"

#include "api/checkpoint_json.h"
#include "api/policy_json.h"
#include "api/problem.h"
#include "api/spec_json.h"
#include "api/tide_json.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/schedule_view.h"
#include "session/hello.h"
#include "session/policy_question.h"
#include "session/transfer_id.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace tideway::daemon {
namespace {

constexpr std::string_view kGroup = "tideway";  // whose members may ask
constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

http::Response ok(std::string body, unsigned status = 200) { return {status, "application/json", std::move(body)}; }

http::Response problem(const Error& error, unsigned status, std::string_view job = {}) {
  return {status, "application/problem+json", api::to_problem(error, status, job)};
}
http::Response problem(const Error& error, std::string_view job = {}) { return problem(error, api::status_of(error.fault), job); }

Error not_privileged() { return {Fault::kDenied, "only root and the gateway's own user may do this", "ask the operator"}; }

// What of a local user's asking was not allowed, for whichever reason; a grant that is missing for it has a line of its own before.
void note_if_denied(const session::AuditSink& audit, const http::Request& request, unsigned status) {
  if (!audit || !request.caller || status != api::status_of(Fault::kDenied)) return;
  audit(std::move(session::AuditEvent("request_denied").with("uid", request.caller->uid).with("request", request.method + ' ' + request.path)));
}

// Of what is answered later, maybe when there is no API any more.
void answer_later(const session::AuditSink& audit, http::Exchange& exchange, const Result<std::string>& body) {
  http::Response response = body.ok() ? ok(body.value(), 202) : problem(body.error());
  note_if_denied(audit, exchange.request(), response.status);
  exchange.answer(std::move(response));
}

std::string query(const http::Request& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? "" : found->second;
}

}  // namespace

Result<std::unique_ptr<Api>> Api::start(ApiConfig config, ApiParts parts, const LocalGrants& grants) {
  std::unique_ptr<Api> api(new Api(std::move(config), std::move(parts), grants));
  api->now_ = read_clock();
  api->load_.look(api->now_);  // the first scrape has something to compare with
  const ApiConfig& listen = api->config_;
  Status status = success();
  if (!listen.socket.empty()) status = api->serve(http::ListenSocket::open_unix(listen.socket, std::string(kGroup)), &Api::on_request);
  if (status.ok() && listen.metrics) status = api->serve(http::ListenSocket::open_tcp(*listen.metrics), &Api::on_metrics_request);
  if (status.ok() && listen.web) status = api->serve(http::ListenSocket::open_tcp(*listen.web), &Api::on_web_request, web_headers());
  if (!status.ok()) return std::move(status).error();
  return api;
}

Status Api::serve(Result<http::ListenSocket> socket, Listener listener, http::Headers headers) {
  if (!socket.ok()) return std::move(socket).error();
  auto server = http::Server::start(std::move(socket).value(), [this, listener](const auto& exchange) { (this->*listener)(exchange); }, std::move(headers));
  if (!server.ok()) return std::move(server).error();
  servers_.push_back(std::move(server).value());
  return success();
}

void Api::reload_ended(const Status& status) {
  reload_failed_.reset();
  if (!status.ok()) reload_failed_ = status.error();
}

std::vector<int> Api::wait_fds() const {
  std::vector<int> fds;
  for (const auto& server : servers_) fds.push_back(server->wait_fd());
  return fds;
}

Time Api::next_deadline(Time now) const {
  Time next = std::min({feed_.next_deadline(), rate_ends_at_, tide_.next_deadline(now)});
  for (const auto& server : servers_) next = std::min(next, server->next_deadline(now));
  return next;
}

void Api::turn(Time now, job::WallTime wall) {
  now_ = now;
  wall_ = wall;
  if (now >= rate_ends_at_) {
    rate_ends_at_ = kNever;
    parts_.gateway.set_rate(rate_after_);
  }
  for (const auto& server : servers_) server->run();
  for (const PhaseAlarm& alarm : tide_.take_alarms()) feed_.tell("alarm", api::alarm_json(name_of(alarm.trouble), alarm.subject, answer_to(alarm.trouble)));
  for (const BudgetNews& news : tide_.take_budget_news()) feed_.tell("budget", api::budget_json(news.training, {news.inflation, news.budget}));
  feed_.turn(now, [this](const job::Job& job) { return view_of(job); });
  tide_.turn(now, wall);
  for (const auto& server : servers_) server->run();  // what the feeds said goes out
}

MetricSources Api::metric_sources() {
  MetricSources sources{parts_.gateway, parts_.table, parts_.outlook, parts_.store, load_, paths_, parts_.peers, room_, parts_.checkpoints, wall_, MetricSources::Reload::kOk, tide_, held_jobs()};
  if (reload_failed_) sources.reload = MetricSources::Reload::kFailed;
  if (parts_.audit_end) sources.audit = parts_.audit_end();
  return sources;
}

void Api::on_metrics_request(const std::shared_ptr<http::Exchange>& exchange) {
  const http::Request& request = exchange->request();
  const bool is_fine = request.method == "GET" && request.path == "/metrics";
  if (!is_fine) return exchange->answer(problem({Fault::kUsage, "this port has /metrics alone", "use the unix socket for the rest"}, 404));
  exchange->answer({200, std::string(kMetricsType), metrics_of(metric_sources(), now_)});
}

void Api::on_web_request(const std::shared_ptr<http::Exchange>& exchange) {
  const http::Caller everybody{::geteuid(), ::getegid(), {}};  // sees all jobs
  auto answer = judge_web_request(exchange->request(), config_.web_files);
  if (const auto* refusal = std::get_if<WebRefusal>(&answer)) return exchange->answer(problem(refusal->why, refusal->status));
  if (const auto* file = std::get_if<const WebFile*>(&answer)) return exchange->answer({200, std::string((*file)->type), std::string((*file)->body)});
  const Match& match = std::get<Match>(answer);
  if (auto told = dispatch(match.route, {exchange, everybody, match.id})) exchange->answer(std::move(*told));
}

void Api::on_request(const std::shared_ptr<http::Exchange>& exchange) {
  const http::Request& request = exchange->request();
  const Lookup lookup = find_route(request.method, request.path);
  if (!lookup.match && lookup.is_path_known) return exchange->answer(problem({Fault::kUsage, "this path does not take " + to_display(request.method), "see docs/openapi.json"}, 405));
  if (!lookup.match) return exchange->answer(problem({Fault::kUsage, "there is no path " + to_display(std::string_view(request.path).substr(0, 128)), "see docs/openapi.json"}, 404));
  if (!request.caller) return exchange->answer(problem({Fault::kDenied, "the kernel does not say who asks", "use the unix socket"}));
  auto answer = dispatch(lookup.match->route, {exchange, *request.caller, lookup.match->id});
  if (!answer) return;
  note_if_denied(parts_.audit, request, answer->status);
  exchange->answer(std::move(*answer));
}

Api::Answer Api::dispatch(Route route, const Call& call) {
  switch (route) {
    case Route::kSubmit: return submit(call);
    case Route::kListJobs: return list(call);
    case Route::kSubmitCheckpoint: return submit_checkpoint(call);
    case Route::kListCheckpoints: return list_checkpoints(call);
    case Route::kRestore: return restore(call);
    case Route::kEvents: {
      const bool sees_all = LocalGrants::is_privileged(call.caller);
      feed_.add(call.exchange, {sees_all ? std::nullopt : std::optional(call.caller.uid), ""});
      return std::nullopt;
    }
    case Route::kPeers: return peers();
    case Route::kRoots: return roots();
    case Route::kRate: return rate();
    case Route::kSetRate: return set_rate(call);
    case Route::kLinkRate:
    case Route::kSetLinkRate: return link_rate(route, call);
    case Route::kHealth: return health();
    case Route::kVersion: {
      const crypto::Identity& own = parts_.gateway.own_certificate().identity;
      return ok(api::to_json(api::Version{TIDEWAY_VERSION, session::kProtocolVersion, own.site, own.gateway}));
    }
    case Route::kConfig: return ok(api::to_json(api::ConfigState{config_.file, config_.sections, reload_failed_}));
    case Route::kReload: return reload(call);
    case Route::kMetrics: on_metrics_request(call.exchange); return std::nullopt;
    case Route::kPhase: return tide_.take_phase(now_, call.exchange->request().body);
    case Route::kLinks: return tide_.links();
    case Route::kCheckSchedule: return check_schedule(call);
    case Route::kSchedule: return schedule(call);
    case Route::kTestPolicy: return test_policy(call);
    case Route::kTide: tide_.watch(call.exchange); return std::nullopt;
    default: break;
  }
  // A job of somebody else looks like none.
  const job::Job* job = parts_.table.find(call.id);
  const bool is_anothers = job != nullptr && job->owner != call.caller.uid && !LocalGrants::is_privileged(call.caller);
  if (is_anothers) note_if_denied(parts_.audit, call.exchange->request(), api::status_of(Fault::kDenied));
  if (job == nullptr || is_anothers)
    return problem({Fault::kUsage, "there is no job " + to_display(std::string_view(call.id).substr(0, 64)), "see tideway jobs list"}, 404);
  return on_job(route, call, *job);
}

// What the gate does counts while a job would send; while it is open, what slows the job down.
std::string Api::held_by(const job::Job& job) const {
  std::string held(parts_.runner.held_by(job, wall_));
  if (!held.empty() || job.state != job::State::kRunning) return held;
  if (parts_.runner.mode_of(job) == Mode::kScavenge) held = tide_.holds(job.peer);
  return held.empty() ? std::string(parts_.runner.slowed_by(job)) : held;
}

std::map<std::pair<std::string, std::string>, uint64_t> Api::held_jobs() const {
  std::map<std::pair<std::string, std::string>, uint64_t> held;
  for (const job::JobId& id : parts_.runner.running_ids()) {
    const job::Job& job = *parts_.table.find(id);
    if (std::string reason = held_by(job); !reason.empty()) ++held[{job.peer, std::move(reason)}];
  }
  return held;
}

api::JobView Api::view_of(const job::Job& job) const { return {job, parts_.runner.progress(job.id), held_by(job), parts_.outlook.forecast_of(job)}; }
std::string Api::view(const job::JobId& id) const { return api::to_json(view_of(*parts_.table.find(id))); }

// Who did it, where `act` cancels the job that the call is about. One that is over stays as it is.
template <typename Act>
void Api::note_cancel(const Call& call, Act act) const {
  const auto is_cancelled = [&] {
    const job::Job* job = parts_.table.find(call.id);
    return job != nullptr && job->state == job::State::kCancelled;
  };
  const bool was_cancelled = is_cancelled();
  act();
  if (was_cancelled || !is_cancelled() || !parts_.audit) return;
  parts_.audit(std::move(session::AuditEvent("job_cancelled").with("uid", call.caller.uid).with("job", parts_.table.find(call.id)->id)));
}

Api::Answer Api::on_job(Route route, const Call& call, const job::Job& job) {
  const job::JobId id = job.id;
  switch (route) {
    case Route::kShowJob: return ok(view(id));
    case Route::kChangeJob: return change(call, job);
    case Route::kListEntries: return ok(api::entries_to_json(job.problems, job.outcome ? job.outcome->failed : 0, job.outcome ? job.outcome->skipped : 0));
    case Route::kJobEvents: feed_.add(call.exchange, {std::nullopt, id}); return std::nullopt;
    case Route::kDeclareRange:
    case Route::kComplete:
    case Route::kAbort: return grow(route, call);
    case Route::kPause: parts_.runner.pause(id, now_, wall_); break;
    case Route::kResume: parts_.runner.resume(id, now_, wall_); break;
    case Route::kCancel: note_cancel(call, [&] { parts_.runner.cancel(id, now_, wall_); }); break;
    default: break;
  }
  return ok(view(id), 202);
}

// ---- submitting ----------------------------------------------------------------------------------------------------

Result<JobTable::Submission> Api::read_submission(const Call& call) const {
  auto spec = api::parse_spec(call.exchange->request().body);
  if (!spec.ok()) return std::move(spec).error();
  if (Status status = job::check(spec.value()); !status.ok()) return std::move(status).error();
  if (spec.value().checkpoint) return Error{Fault::kUsage, "checkpoint is no field of this request", "use POST /v1/checkpoints"};
  const auto request = request_of(spec.value(), {parts_.gateway.roots(), parts_.peers});
  if (!request.ok()) return request.error();
  if (Status status = grants_.allow(call.caller, request.value()); !status.ok()) return std::move(status).error();
  if (Status status = LocalGrants::allow_class(call.caller, spec.value().service); !status.ok()) return std::move(status).error();
  JobTable::Submission submission;
  job::Spec asked = spec.value();
  asked.bytes = Bytes();  // an estimate, and no part of what makes two requests the same
  submission.request = api::to_json(asked);
  submission.peer = session::peer_of(request.value()).value();
  submission.transfer = session::id_of(request.value());
  submission.owner = call.caller.uid;
  submission.groups = groups_of(call.caller);
  submission.spec = std::move(spec).value();
  return submission;
}

// Answered when the job outlives us.
Api::Answer Api::submit(const Call& call) {
  auto submission = read_submission(call);
  if (!submission.ok()) return problem(submission.error());
  const bool is_repeated = parts_.table.is_known(submission.value().owner, submission.value().spec.submission_id);
  const Status fits = is_repeated ? success() : parts_.outlook.admit({submission.value().spec, submission.value().peer}, {now_, wall_});
  if (!fits.ok()) return problem(fits.error());
  std::vector<JobTable::Submission> one;
  one.push_back(std::move(submission).value());
  parts_.intake.take(std::move(one), wall_, [this, exchange = call.exchange](const Result<std::vector<JobTable::Taken>>& taken) {
    if (!taken.ok()) return exchange->answer(problem(taken.error()));
    exchange->answer(ok(view(taken.value().front().id), taken.value().front().is_new ? 201 : 200));
  });
  return std::nullopt;
}

http::Response Api::check_schedule(const Call& call) const {
  const auto submission = read_submission(call);
  if (!submission.ok()) return problem(submission.error());
  const auto answer = parts_.outlook.check({submission.value().spec, submission.value().peer}, {now_, wall_});
  return answer.ok() ? ok(api::to_json(answer.value())) : problem(answer.error());
}

http::Response Api::schedule(const Call& call) const {
  const auto owner = LocalGrants::is_privileged(call.caller) ? std::nullopt : std::optional(call.caller.uid);
  return ok(api::to_json(schedule_of({parts_.table, parts_.runner, parts_.outlook, tide_.views(), owner, wall_, [this](const job::Job& job) { return held_by(job); }})));
}

Api::Answer Api::submit_checkpoint(const Call& call) {
  const auto request = api::parse_checkpoint(call.exchange->request().body);
  if (!request.ok()) return problem(request.error());
  parts_.checkpoints.submit({request.value(), call.caller}, {now_, wall_}, [audit = parts_.audit, exchange = call.exchange](const Result<std::string>& answer) { answer_later(audit, *exchange, answer); });
  return std::nullopt;
}

// A checkpoint that is sent while it is written.
Api::Answer Api::grow(Route route, const Call& call) {
  const std::string& body = call.exchange->request().body;
  Status status = success();
  if (route == Route::kDeclareRange) {
    const auto range = api::parse_range(body);
    status = range.ok() ? parts_.checkpoints.declare(call.id, range.value()) : Status(range.error());
  } else if (route == Route::kComplete) {
    const auto pin = api::parse_complete(body);
    status = pin.ok() ? parts_.checkpoints.complete(call.id, {pin.value(), call.caller}, {now_, wall_}) : Status(pin.error());
  } else {
    note_cancel(call, [&] { status = parts_.checkpoints.abort(call.id, {now_, wall_}); });
  }
  if (!status.ok()) return problem(status.error(), call.id);
  return ok(view(call.id), 202);
}

Api::Answer Api::restore(const Call& call) {
  const auto request = api::parse_restore(call.exchange->request().body);
  if (!request.ok()) return problem(request.error());
  parts_.checkpoints.restore({request.value(), call.caller}, {now_, wall_}, [audit = parts_.audit, exchange = call.exchange](const Result<std::string>& answer) { answer_later(audit, *exchange, answer); });
  return std::nullopt;
}

http::Response Api::list_checkpoints(const Call& call) const {
  const http::Request& request = call.exchange->request();
  const bool sees_all = LocalGrants::is_privileged(call.caller);
  return ok(api::to_json(parts_.checkpoints.list({query(request, "series"), query(request, "state"), sees_all ? std::nullopt : std::optional(call.caller.uid)})));
}

// ---- the rest ------------------------------------------------------------------------------------------------------

http::Response Api::list(const Call& call) const {
  const http::Request& request = call.exchange->request();
  const std::string state_text = query(request, "state"), peer = query(request, "peer"), after_text = query(request, "after"), limit_text = query(request, "limit");
  const auto state = job::state_named(state_text);
  if (!state && !state_text.empty()) return problem({Fault::kUsage, "no job is ever " + to_display(std::string_view(state_text).substr(0, 32)), "write queued, running, waiting, paused, published, failed or cancelled"});
  const std::string order = query(request, "order");
  if (!order.empty() && order != "oldest" && order != "newest") return problem({Fault::kUsage, "there is no order " + to_display(std::string_view(order).substr(0, 32)), "write oldest or newest"});
  const bool is_newest = order == "newest";
  uint64_t after = is_newest ? ~uint64_t{} : 0, limit = kPageDefault;
  std::from_chars(after_text.data(), after_text.data() + after_text.size(), after);
  std::from_chars(limit_text.data(), limit_text.data() + limit_text.size(), limit);
  limit = std::clamp<uint64_t>(limit, 1, kPageMax);
  const bool sees_all = LocalGrants::is_privileged(call.caller);
  std::vector<const job::Job*> page;  // the `limit` first ones behind `after`, and one more
  const auto take = [&](const job::Job& job) {
    const bool is_wanted = (peer.empty() || job.peer == peer) && (sees_all || job.owner == call.caller.uid);
    if (is_wanted) page.push_back(&job);
    return page.size() <= limit;
  };
  const JobTable::ByNumber& jobs = state ? parts_.table.in_state(*state) : parts_.table.by_number();
  if (is_newest) {
    for (auto job = std::make_reverse_iterator(jobs.lower_bound(after)); job != jobs.rend() && take(*job->second);) ++job;
  } else {
    for (auto job = jobs.upper_bound(after); job != jobs.end() && take(*job->second);) ++job;
  }
  api::JobPage answer;
  if (page.size() > limit) {
    page.pop_back();
    answer.next = std::to_string(page.back()->number);
  }
  for (const job::Job* job : page) answer.jobs.push_back(view_of(*job));
  return ok(api::to_json(answer));
}

http::Response Api::change(const Call& call, const job::Job& job) {
  const auto change = api::parse_change(call.exchange->request().body);
  if (!change.ok()) return problem(change.error(), job.id);
  const auto service = change.value().service ? job::class_named(*change.value().service) : std::nullopt;
  if (change.value().service && !service) return problem({Fault::kUsage, "class is not restore, checkpoint, staging or best-effort", "see docs/openapi.json"}, job.id);
  if (service && *service != job.spec.service)
    if (Status status = LocalGrants::allow_class(call.caller, *service); !status.ok()) return problem(status.error(), job.id);
  const job::JobId id = job.id;
  if (change.value().deadline) {
    job::Spec wanted = job.spec;
    wanted.deadline = *change.value().deadline;
    Status fits = job::check(wanted);
    if (fits.ok() && wanted.deadline) fits = parts_.outlook.admit({wanted, job.peer, &job}, {now_, wall_});
    if (!fits.ok()) return problem(fits.error(), id);
  }
  if (service || change.value().weight || change.value().deadline)
    parts_.runner.set_rank(id, {service, change.value().weight, change.value().deadline}, now_, wall_);
  if (change.value().rate) parts_.runner.set_rate(id, *change.value().rate, now_, wall_);
  return ok(view(id), 202);
}

namespace {

constexpr uint64_t kYear = 366 * 86'400;

std::chrono::seconds duration_of(const api::RateState& state) { return std::chrono::seconds(std::min(state.seconds.value_or(kYear), kYear)); }

std::string rate_fields(const api::RateState& state, const http::Caller& caller) {
  return "bits_per_second=" + (state.rate.is_unlimited() ? "off" : std::to_string(static_cast<uint64_t>(state.rate.bits_per_second()))) + " uid=" + std::to_string(caller.uid);
}

}  // namespace

http::Response Api::rate() const {
  api::RateState state{parts_.gateway.engine().rate(), {}};
  if (rate_ends_at_ != kNever) state.seconds = static_cast<uint64_t>(std::chrono::ceil<std::chrono::seconds>(std::max(rate_ends_at_ - now_, Duration())).count());
  return ok(api::to_json(state));
}

http::Response Api::set_rate(const Call& call) {
  if (!LocalGrants::is_privileged(call.caller)) return problem(not_privileged());
  const auto wanted = api::parse_rate_state(call.exchange->request().body);
  if (!wanted.ok()) return problem(wanted.error());
  if (rate_ends_at_ == kNever) rate_after_ = parts_.gateway.engine().rate();
  rate_ends_at_ = wanted.value().seconds ? now_ + duration_of(wanted.value()) : kNever;
  parts_.gateway.set_rate(wanted.value().rate);
  log::info("rate_changed", rate_fields(wanted.value(), call.caller));
  return ok(api::to_json(wanted.value()));
}

// Of what our jobs send to one peer.
http::Response Api::link_rate(Route route, const Call& call) {
  if (std::ranges::count(parts_.peers.peers(), call.id, &session::PeerConfig::name) == 0)
    return problem({Fault::kUsage, "there is no peer " + to_display(std::string_view(call.id).substr(0, 64)), "see tideway peers"}, 404);
  if (route == Route::kSetLinkRate) {
    if (!LocalGrants::is_privileged(call.caller)) return problem(not_privileged());
    const auto wanted = api::parse_rate_state(call.exchange->request().body);
    if (!wanted.ok()) return problem(wanted.error());
    parts_.runner.set_ceiling(call.id, {wanted.value().rate, wanted.value().seconds ? wall_ + duration_of(wanted.value()) : job::WallTime::max()});
    log::info("rate_changed", "peer=" + call.id + ' ' + rate_fields(wanted.value(), call.caller));
  }
  const LinkShares::Ceiling ceiling = parts_.runner.shares().ceiling_of(call.id, wall_);
  api::RateState state{ceiling.rate, {}};
  if (ceiling.until != job::WallTime::max()) state.seconds = static_cast<uint64_t>(std::chrono::ceil<std::chrono::seconds>(ceiling.until - wall_).count());
  return ok(api::to_json(state));
}

http::Response Api::peers() const {
  const session::SessionCounts counts = parts_.gateway.counts();
  auto paths = paths_by_site(parts_.gateway, parts_.peers.peers());
  std::vector<api::PeerState> states;
  for (const session::PeerConfig& peer : parts_.peers.peers()) {
    api::PeerState state{.name = peer.name, .control = to_string(peer.control), .identity = to_string(peer.identity), .sessions = parts_.peers.count(peer.name), .is_up = parts_.peers.is_up(peer.name),
                         .carrier = {}, .rtt_s = {}, .path_mtu = {}, .certificate_ends = {}};
    const PeerPaths& path = paths[peer.name];
    if (path.is_up) state.carrier = path.is_fallback ? "tls" : "udp";
    if (path.rtt > Duration::zero()) state.rtt_s = std::chrono::duration<double>(path.rtt).count();
    if (path.mtu > 0) state.path_mtu = path.mtu;
    state.certificate_ends = path.certificate_ends;
    if (const auto traffic = counts.traffic.find(peer.name); traffic != counts.traffic.end()) {
      state.bytes_sent = traffic->second.sent.count();
      state.bytes_received = traffic->second.received.count();
    }
    states.push_back(std::move(state));
  }
  return ok(api::to_json(states));
}

http::Response Api::roots() {
  auto seen = room_.look();
  std::vector<api::RootState> states;
  for (const session::RootConfig& root : config_.roots) states.push_back({root.name, root.path, seen[root.name].free});
  return ok(api::to_json(states));
}

std::map<std::string, RootRoom::Work> Api::work_at_roots() const {
  std::map<std::string, RootRoom::Work> work;
  for (const session::RootConfig& root : config_.roots)
    if (auto dir = parts_.gateway.roots().find(root.name, storage::Side::kDestination)) work[root.name] = RootRoom::work_at(root.name, dir, parts_.gateway.staging_ttl());
  return work;
}

// By the grants and roots in force, which are those of the file only after a reload or a restart.
http::Response Api::test_policy(const Call& call) const {
  if (!LocalGrants::is_privileged(call.caller)) return problem(not_privileged());
  const auto test = api::parse_policy_test(call.exchange->request().body);
  if (!test.ok()) return problem(test.error());
  const auto has_root = [this](const std::string& name) { return std::ranges::count(config_.roots, name, &session::RootConfig::name) > 0; };
  const auto decision = session::explain({test.value().peer, test.value().op, test.value().path}, parts_.gateway.grants(), has_root);
  if (decision.ok()) return ok(api::to_policy_allowed(decision.value().rule(), session::limits_of(decision.value())));
  return decision.error().fault == Fault::kDenied ? ok(api::to_policy_denied(decision.error())) : problem(decision.error());
}

http::Response Api::health() const {
  api::Health health;
  health.is_well = !parts_.store.stats().is_failing;
  health.store = health.is_well ? "ok" : "takes nothing: see the log";
  health.running = parts_.table.count(job::State::kRunning);
  health.queued = parts_.table.count(job::State::kQueued);
  health.waiting = parts_.table.count(job::State::kWaiting);
  return ok(api::to_json(health), health.is_well ? 200 : 503);
}

http::Response Api::reload(const Call& call) {
  if (!LocalGrants::is_privileged(call.caller)) return problem(not_privileged());
  if (Status status = parts_.reload(); !status.ok()) return problem(status.error());
  return ok(api::to_json(api::ConfigState{config_.file, config_.sections, reload_failed_}));
}

}  // namespace tideway::daemon
