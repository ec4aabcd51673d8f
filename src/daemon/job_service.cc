// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_service.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random_bytes.h"
#include "crypto/sha256.h"
#include "daemon/job_request.h"
#include "store/backups.h"
#include "store/memory_job_store.h"
#include "store/sqlite_job_store.h"

#include <grp.h>

#include <array>
#include <bit>

namespace tideway::daemon {
namespace {

constexpr const char* kTrainersGroup = "tideway";  // whose members may make pins and leave requests
constexpr std::string_view kStoreFile = "jobs.sqlite", kLeftoverFile = "leftover";
constexpr Duration kLookEvery = std::chrono::milliseconds(500);  // at what runs: the gateway's turn wakes up earlier for its events

uint64_t random_seed() {
  std::array<std::byte, 8> bytes{};
  crypto::random_bytes(bytes);
  return std::bit_cast<uint64_t>(bytes);
}

struct OpenedStore {
  std::unique_ptr<store::JobStore> store;
  StoreThread::Look back_up = {};  // of one that is a file
};

Result<OpenedStore> open_store(const JobServiceConfig& config) {
  if (config.api.socket.empty()) return OpenedStore{std::make_unique<store::MemoryJobStore>()};
  auto opened = store::SqliteJobStore::open(config.state_dir + '/' + std::string(kStoreFile));
  if (!opened.ok()) return std::move(opened).error();
  const auto backups = std::make_shared<store::Backups>(*opened.value());
  return OpenedStore{std::move(opened).value(), [backups](job::WallTime now) { return backups->turn(now); }};
}

// What a job brought here no peer's session tells of.
session::AuditEvent published(const job::Job& job) {
  session::AuditEvent line("job_published", session::AuditEvent::Care::kSynced);
  line.with("uid", job.owner).with("job", job.id).with("peer", job.peer).with("destination", job.spec.destination).with("transfer", crypto::to_hex(job.transfer));
  return std::move(line.with("entries", job.outcome->entries).with("bytes", job.outcome->bytes.count()).with("hash", crypto::to_sha256_text(job.outcome->root)));
}

// Nobody can speak of checkpoints where there is no API.
CheckpointThreadConfig checkpoint_config(const JobServiceConfig& config, const session::Gateway& gateway) {
  CheckpointThreadConfig made;
  if (config.api.socket.empty()) return made;
  for (const session::RootConfig& root : config.api.roots) made.roots.push_back({root.name, root.path, gateway.roots().find(root.name, storage::Side::kSource)});
  for (const WatchConfig& watch : config.watches) made.watches.push_back({watch, {}});
  if (const group* found = ::getgrnam(kTrainersGroup)) made.group = found->gr_gid;
  return made;
}

}  // namespace

JobService::JobService(session::Gateway& gateway, JobServiceConfig& config, store::Contents contents)
    : gateway_(gateway), peers_(gateway, std::move(config.rules.peers)), standing_(peers_, random_seed()), table_(std::move(contents), read_wall_clock()), runner_(gateway, peers_, table_, std::move(config.rules.shares), random_seed()),
      leftover_(config.api.socket.empty() ? "" : config.state_dir + '/' + std::string(kLeftoverFile)), outlook_(table_, runner_, leftover_.load()) {}

JobService::~JobService() {
  gateway_.write_paths_by({});
  api_.reset();
  checkpoints_.reset();
  if (store_ != nullptr) write_changes();
}

Result<std::unique_ptr<JobService>> JobService::start(JobServiceConfig config, session::Gateway& gateway, std::function<Status()> reload) {
  auto grants = LocalGrants();
  if (!config.api.socket.empty()) {
    auto resolved = LocalGrants::resolve(config.rules.grants, config.audit);
    if (!resolved.ok()) return std::move(resolved).error();
    grants = std::move(resolved).value();
  }
  auto store = open_store(config);
  if (!store.ok()) return std::move(store).error();
  auto contents = store.value().store->load(read_wall_clock());
  if (!contents.ok()) return std::move(contents).error();
  const size_t known = contents.value().jobs.size();
  std::unique_ptr<JobService> service(new JobService(gateway, config, std::move(contents).value()));
  auto thread = StoreThread::start(std::move(store.value().store), {.look = std::move(store.value().back_up)});
  if (!thread.ok()) return std::move(thread).error();
  service->store_ = std::move(thread).value();
  gateway.write_paths_by([store = service->store_.get()](std::function<void()> write) { store->later(StoreThread::Chore::kPaths, std::move(write)); });
  service->grants_ = std::move(grants);
  if (Status status = service->begin(std::move(config), gateway, std::move(reload)); !status.ok()) return std::move(status).error();
  if (known > 0) log::info("jobs_loaded", "jobs=" + std::to_string(known) + " queued=" + std::to_string(service->table_.count(job::State::kQueued)));
  return service;
}

Status JobService::begin(JobServiceConfig config, session::Gateway& gateway, std::function<Status()> reload) {
  if (!config.api.socket.empty()) watches_ = config.watches;
  if (config.audit) runner_.on_published([audit = config.audit](const job::Job& job) { audit(published(job)); });
  intake_ = std::make_unique<Intake>(Intake::Parts{table_, *store_, config.audit});
  auto checkpoints = Checkpoints::start({gateway.roots(), peers_, table_, runner_, *intake_, grants_}, checkpoint_config(config, gateway), read_wall_clock());
  if (!checkpoints.ok()) return std::move(checkpoints).error();
  checkpoints_ = std::move(checkpoints).value();
  auto api = Api::start(std::move(config.api), {gateway, peers_, table_, runner_, outlook_, *store_, *intake_, *checkpoints_, std::move(reload), config.phases,
                                            LinkSources{&gateway, config.gates, config.phases, std::move(config.links)}, std::move(config.audit), std::move(config.audit_end)}, grants_);
  if (!api.ok()) return std::move(api).error();
  api_ = std::move(api).value();
  refuse_what_is_not_granted();
  standing_.turn(read_clock(), standing_lines());  // the first turn may be seconds away
  return success();
}

// Whom watches and recurring jobs send to. What has a session of its own is not waited for. Asked for in every turn, so made anew only when a
// recurring job or the rules have changed.
const std::set<StandingSessions::Line>& JobService::standing_lines() {
  if (standing_of_ == table_.recurring_changes()) return standing_lines_;
  standing_of_ = table_.recurring_changes();
  std::set<StandingSessions::Line> lines;
  for (const WatchConfig& watch : watches_)
    for (const std::string& to : watch.to) lines.insert({to.substr(0, to.find(':')), watch.service, runner_.manners_of(watch.service)});
  for (const job::JobId& id : table_.recurring()) {
    const job::Job& series = *table_.find(id);
    const bool is_paused = series.state == job::State::kPaused;
    if (!is_paused && sharing_of(series.spec) == PeerSessions::Sharing::kShared) lines.insert({series.peer, series.spec.service, runner_.manners_of(series.spec.service)});
  }
  return standing_lines_ = std::move(lines);
}

// Jobs run with the rights of this gateway, for hours or again each day: who has lost the grant by which one was taken in has lost the job.
void JobService::refuse_what_is_not_granted() {
  std::vector<std::pair<job::JobId, Error>> refused;
  for (const auto& [id, job] : table_.all()) {
    if (job::is_over(job.state)) continue;
    const auto request = request_of(job.spec, {gateway_.roots(), peers_});
    if (!request.ok()) continue;  // of a peer that has gone: whoever starts it says so
    if (Status status = grants_.allow_still(job, request.value()); !status.ok()) refused.emplace_back(id, std::move(status).error());
  }
  for (const auto& [id, why] : refused) runner_.refuse(id, why, read_clock(), read_wall_clock());
}

std::vector<int> JobService::wait_fds() const {
  std::vector<int> fds = api_->wait_fds();
  fds.push_back(store_->wait_fd());
  fds.push_back(checkpoints_->wait_fd());
  return fds;
}

Time JobService::next_deadline(Time now) const {
  Time next = std::min({runner_.next_deadline(), outlook_.next_deadline(), api_->next_deadline(now), checkpoints_->next_deadline(), standing_.next_deadline()});
  if (runner_.running() > 0) next = std::min(next, now + kLookEvery);
  const job::WallTime due = table_.next_due(), wall = read_wall_clock();
  if (due != job::WallTime::max()) next = std::min(next, now + std::max<Duration>(due - wall, Duration()));
  return next;
}

void JobService::turn(Time now) {
  store_->take_results();
  standing_.turn(now, standing_lines());
  runner_.turn(now, read_wall_clock());
  api_->turn(now, read_wall_clock());
  const LinkSampler& links = api_->links();
  for (size_t i = 0; i < links.sources().links.size(); ++i) runner_.see_gate(links.sources().links[i].peer, links.gate_time(i));
  checkpoints_->turn({now, read_wall_clock()});
  outlook_.turn({now, read_wall_clock()}, links);
  runner_.turn(now, read_wall_clock());  // what was asked for a moment ago starts now
  write_changes();
  if (auto histories = outlook_.take_histories()) store_->later(StoreThread::Chore::kLeftover, [file = leftover_, seen = std::move(*histories)] { file.save(seen); });
}

// The thread of checkpoints may be in a sync of minutes. It is waited for at the very end, when peers have heard that we go.
void JobService::stop(Time now) {
  api_.reset();  // it admits nothing any more
  checkpoints_->stop(now);
  runner_.stop(now, read_wall_clock());
  write_changes();
}

}  // namespace tideway::daemon
