// SPDX-License-Identifier: Apache-2.0
//
// A gateway that has no peer to send to, for tests of what is held for whom.
#pragma once
#include "daemon/checkpoints.h"

#include "api/job_record.h"
#include "base/clock.h"
#include "support/temp_root.h"
#include "support/test_certificates.h"

#include <gtest/gtest.h>

#include <poll.h>
#include <pwd.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>

namespace tideway::daemon {

// What reached stable storage, and whether there is room for more.
struct Disk {
  std::atomic<bool> is_full = false;
  std::mutex mutex;
  std::map<job::JobId, job::Job> jobs;  // guarded by mutex

  std::optional<job::Job> find(const job::JobId& id) {
    const std::scoped_lock lock(mutex);
    const auto found = jobs.find(id);
    return found == jobs.end() ? std::nullopt : std::optional(found->second);
  }
};

class LimitedStore final : public store::JobStore {
 public:
  explicit LimitedStore(Disk& disk) : disk_(disk) {}
  Result<store::Contents> load(job::WallTime) override { return store::Contents(); }
  Status write(const store::Batch& batch, job::WallTime) override {
    if (disk_.is_full) return Error{Fault::kStoreUnavailable, "the disk is full", ""};
    const std::scoped_lock lock(disk_.mutex);
    for (const job::Job& job : batch.jobs) disk_.jobs[job.id] = job;
    return success();
  }

 private:
  Disk& disk_;
};

// Needs root: pins belong to users.
class CheckpointsFixture : public testing::Test {
 protected:
  static constexpr int kPatienceMs = 20'000;

  void SetUp() override {
    const passwd* nobody = ::getpwnam("nobody");
    if (::geteuid() != 0 || nobody == nullptr) GTEST_SKIP() << "only root can make files of two users";
    trainer_ = {nobody->pw_uid, nobody->pw_gid, {}};
    const passwd* other = ::getpwnam("daemon");
    if (other == nullptr) GTEST_SKIP() << "there is no second user";
    stranger_ = {other->pw_uid, other->pw_gid, {}};
    session::GatewayConfig config;
    const auto key = crypto::make_signed(test::gateway_spec(test::kAtlanta), sites_.authority).value();
    config.tls = test::write_files(sites_.folder, "serving", sites_.authority.certificate, key);
    config.engine.memory = 512_MiB;
    config.roots = {{"data", root_.path().string()}};
    config.data_addresses = {Endpoint::parse("127.0.0.1:0").value()};
    gateway_ = session::Gateway::start(std::move(config)).value();
    std::vector<LocalGrant> grants{{LocalGrant::Who::kGroup, "daemon", "data", {}, {session::GrantOp::kRead}, "test"}};
    for (const char* user : {"nobody", "daemon"}) grants.push_back({LocalGrant::Who::kUser, user, "data", {}, {session::GrantOp::kRead}, "test"});
    grants_ = LocalGrants::resolve(grants).value();
    peers_.emplace(*gateway_, std::vector<session::PeerConfig>{{"wisconsin", Endpoint::parse("127.0.0.1:9").value(), crypto::IdentityPattern::parse(test::kWisconsin).value()}});
    start({}, {});
  }
  void TearDown() override {
    checkpoints_.reset();
    disk_.is_full = false;
  }
  void start(store::Contents contents, CheckpointThreadConfig thread) {
    table_.emplace(std::move(contents), read_wall_clock());
    runner_.emplace(*gateway_, *peers_, *table_, ShareRules(), 1);
    store_ = StoreThread::start(std::make_unique<LimitedStore>(disk_)).value();
    intake_.emplace(Intake::Parts{*table_, *store_});
    thread.roots.push_back({"data", root_.path().string(), gateway_->roots().find("data", storage::Side::kSource)});
    checkpoints_ = Checkpoints::start({gateway_->roots(), *peers_, *table_, *runner_, *intake_, grants_}, std::move(thread), read_wall_clock()).value();
  }
  // As after kill -9: what is known is what the store was told.
  void restart(CheckpointThreadConfig thread = {}) {
    store::Contents contents;
    for (const auto& [id, job] : table_->all()) contents.jobs.push_back(api::parse_record(api::to_record(job)).value());
    std::ranges::sort(contents.jobs, {}, &job::Job::number);
    checkpoints_.reset();
    start(std::move(contents), std::move(thread));
  }

  Checkpoints::Now now() const { return {read_clock() + skipped_, read_wall_clock()}; }
  void save(const std::string& name) const {
    root_.write(name + "/__0_0.distcp", "shard");
    root_.write(name + "/.metadata", "marker");
  }
  void make_pin(const std::string& pin, const http::Caller& owner) const {
    save(".tideway/pins/" + pin);
    for (const char* name : {"", "/__0_0.distcp", "/.metadata"}) ASSERT_EQ(::chown((root_ / (".tideway/pins/" + pin + name)).c_str(), owner.uid, owner.gid), 0);
  }
  struct Asked {
    std::string path, pin = "";
    api::CheckpointRequest::Source source = api::CheckpointRequest::Source::kWhole;
    bool is_looked_at = false;  // before it is answered
    std::map<std::string, std::string> labels = {};
    std::optional<uint64_t> step = {};
  };
  // Nothing that the checkpoint thread has to say is listened to meanwhile.
  Status submit(const http::Caller& caller, const Asked& asked) {
    api::CheckpointRequest request;
    request.path = "data:" + asked.path;
    request.format = "dcp";
    request.to = {"wisconsin:data/there"};
    request.pin = asked.pin;
    request.source = asked.source;
    request.labels = asked.labels;
    request.step = asked.step;
    std::optional<Status> status;
    checkpoints_->submit({request, caller}, now(), [&](const Result<std::string>& answer) { status = answer.ok() ? success() : Status(answer.error()); });
    if (asked.is_looked_at) comes([&] { return status.has_value(); });
    pollfd fd{store_->wait_fd(), POLLIN, 0};
    while (!status && ::poll(&fd, 1, kPatienceMs) == 1) store_->take_results();
    return status.value();
  }
  // With a pin that is looked at first, because another job is to hold the checkpoint.
  Status spare(const http::Caller& caller, const std::string& path, const std::string& pin) { return submit(caller, {path, pin, api::CheckpointRequest::Source::kWhole, true, {}}); }
  // Pin p of mine/step-1, which is not complete and which the gateway's own job is to hold.
  void spare_pin_of(const http::Caller& trainer) {
    root_.write("mine/step-1/__0_0.distcp", "shard");
    make_pin("p", trainer);
    ASSERT_TRUE(submit(gateway_user_, {"mine/step-1"}).ok());
    ASSERT_TRUE(spare(trainer, "mine/step-1", "p").ok());
  }
  Result<job::JobId> restore(const api::RestoreRequest& request) {
    std::optional<Result<std::string>> answer;
    checkpoints_->restore({request, gateway_user_}, now(), [&](const Result<std::string>& one) { answer = one; });
    comes([&] { return answer.has_value(); });
    return answer->ok() ? api::parse_accepted(answer->value()) : Result<job::JobId>(answer->error());
  }
  // As if it had been sent by an earlier process.
  static job::Job published(uint64_t step) {
    job::Job job;
    job.number = step;
    job.id = std::to_string(1'000'000'000'000'000 + step);
    job.state = job::State::kPublished;
    job.peer = "wisconsin";
    job.spec.sources = {"data:mine/step-" + std::to_string(step)};
    job.spec.destination = "wisconsin:data/there/step-" + std::to_string(step);
    job.spec.series = "llm7";
    job.spec.step = step;
    job.spec.checkpoint.emplace().path = job.spec.sources.front();
    job.outcome.emplace();
    return job;
  }
  // An hour ago, from mine/.
  void start_with_published_step_7() {
    store::Contents contents;
    contents.jobs = {published(7)};
    contents.jobs.front().spec.series = "mine";
    contents.jobs.front().started = read_wall_clock() - std::chrono::hours(1);
    checkpoints_.reset();
    start(std::move(contents), {});
  }
  const job::Job* job_of(const http::Caller& owner) const {
    for (const auto& [id, job] : table_->all())
      if (job.owner == owner.uid) return &job;
    return nullptr;
  }
  template <typename Done>
  bool comes(const Done& done) {
    for (int waited = 0; waited < kPatienceMs && !done(); waited += 10) {
      pollfd fd{checkpoints_->wait_fd(), POLLIN, 0};
      ::poll(&fd, 1, 10);
      store_->take_results();
      checkpoints_->turn(now());
    }
    return done();
  }
  const job::Job* job_of_step(uint64_t step) const {
    for (const auto& [id, job] : table_->all())
      if (job.spec.step == step && job.state != job::State::kPublished) return &job;
    return nullptr;
  }
  // In the order in which they came.
  std::vector<const job::Job*> saves_of_step(uint64_t step) const {
    std::vector<const job::Job*> saves;
    for (const auto& [number, job] : table_->by_number())
      if (job->spec.step == step) saves.push_back(job);
    return saves;
  }
  bool takes_its_place(const std::vector<const job::Job*>& saves) {
    return saves.size() == 2 && comes([&] { return saves[0]->state == job::State::kCancelled && !root_.exists(".tideway/pins/" + saves[0]->pin); }) &&
           saves[0]->superseded_by == saves[1]->id && saves[1]->hold == job::Hold::kPinned;
  }
  bool is_pinned(uint64_t step) const { return job_of_step(step) != nullptr && job_of_step(step)->hold == job::Hold::kPinned; }
  bool is_pinned(const http::Caller& owner) const { return job_of(owner) != nullptr && job_of(owner)->hold == job::Hold::kPinned; }
  bool has_failed(const http::Caller& owner) const { return job_of(owner) != nullptr && job_of(owner)->state == job::State::kFailed; }

  TempRoot root_;
  test::TwoSites sites_;
  http::Caller trainer_, stranger_, gateway_user_{::geteuid(), ::getegid(), {}};
  Duration skipped_{};
  Disk disk_;
  LocalGrants grants_;
  std::unique_ptr<session::Gateway> gateway_;
  std::optional<PeerSessions> peers_;
  std::optional<JobTable> table_;
  std::optional<JobRunner> runner_;
  std::unique_ptr<StoreThread> store_;
  std::optional<Intake> intake_;
  std::unique_ptr<Checkpoints> checkpoints_;
};

}  // namespace tideway::daemon
