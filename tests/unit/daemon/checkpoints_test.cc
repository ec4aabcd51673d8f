// SPDX-License-Identifier: Apache-2.0
//
// Users who speak of the same pins and checkpoints, with a gateway that has no peer to send to: all is about what is held for whom.
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
namespace {

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
class CheckpointsTest : public testing::Test {
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

TEST_F(CheckpointsTest, APinThatAStrangerNamedFirstHoldsForWhoeverMadeIt) {
  for (const char* name : {"mine/step-1", "other/step-7"}) save(name);
  make_pin("p", trainer_);
  ASSERT_TRUE(submit(stranger_, {"other/step-7", "p"}).ok());
  ASSERT_TRUE(submit(trainer_, {"mine/step-1", "p"}).ok()) << "whose it is nobody has looked at yet";
  EXPECT_TRUE(comes([&] { return is_pinned(trainer_) && has_failed(stranger_); }));
  EXPECT_EQ(job_of(stranger_)->error->fault, Fault::kDenied);
  EXPECT_NE(job_of(trainer_)->state, job::State::kFailed);
  EXPECT_TRUE(root_.exists(".tideway/pins/p/.metadata"));
}

TEST_F(CheckpointsTest, APinThatAStrangerNamesMeanwhileIsNotHeldForHim) {
  for (const char* name : {"mine/step-1", "other/step-7"}) save(name);
  make_pin("p", trainer_);
  ASSERT_TRUE(submit(trainer_, {"mine/step-1", "p"}).ok());
  static_cast<void>(submit(stranger_, {"other/step-7", "p"}).ok());
  EXPECT_TRUE(comes([&] { return is_pinned(trainer_) && (job_of(stranger_) == nullptr || has_failed(stranger_)); }));
  EXPECT_FALSE(is_pinned(stranger_));
  EXPECT_FALSE(submit(stranger_, {"other/step-8", "p"}).ok()) << "it is held for another";
}

TEST_F(CheckpointsTest, APinThatAStrangerNamesCompletesWhatGrewAllTheSame) {
  save("other/step-7");
  make_pin("p", trainer_);
  ASSERT_TRUE(submit(trainer_, {"mine/step-1", "", api::CheckpointRequest::Source::kGrowing}).ok());
  ASSERT_TRUE(submit(stranger_, {"other/step-7", "p"}).ok());
  ASSERT_TRUE(checkpoints_->complete(job_of(trainer_)->id, {"p", trainer_}, now()).ok());
  EXPECT_TRUE(comes([&] { return is_pinned(trainer_) && has_failed(stranger_); })) << "the trainer may have deleted it";
  EXPECT_EQ(job_of(trainer_)->pin, "p");
}

TEST_F(CheckpointsTest, WhatAStrangerGivesUpOrCompletesTouchesNoJobOfAnother) {
  save("mine/step-1");
  for (const char* pin : {"p", "q"}) make_pin(pin, pin == std::string("p") ? trainer_ : stranger_);
  ASSERT_TRUE(submit(stranger_, {"other/step-7", "p"}).ok());
  ASSERT_TRUE(submit(trainer_, {"mine/step-1", "p"}).ok());
  ASSERT_TRUE(checkpoints_->complete(job_of(stranger_)->id, {"q", stranger_}, now()).ok());
  ASSERT_TRUE(checkpoints_->abort(job_of(stranger_)->id, now()).ok());
  EXPECT_TRUE(comes([&] { return is_pinned(trainer_); }));
  EXPECT_EQ(job_of(trainer_)->pin, "p");
  EXPECT_EQ(job_of(stranger_)->state, job::State::kCancelled);
}

// What a watch found, that is: the job is the gateway's user's.
TEST_F(CheckpointsTest, ATrainersPinStaysUntilTheCheckpointIsHeldByTheJobThatThereIs) {
  ASSERT_NO_FATAL_FAILURE(spare_pin_of(trainer_));
  ASSERT_EQ(job_of(trainer_), nullptr) << "it is sent once";
  ASSERT_TRUE(comes([&] { return job_of(gateway_user_)->wait.has_value(); })) << "orders before this look are done";
  EXPECT_TRUE(root_.exists(".tideway/pins/p/.metadata"));
  root_.write("mine/step-1/.metadata", "marker");
  EXPECT_TRUE(comes([&] { return is_pinned(gateway_user_) && !root_.exists(".tideway/pins/p"); }));
  EXPECT_EQ(job_of(trainer_), nullptr);
}

TEST_F(CheckpointsTest, ATrainersPinTakesOverWhenTheCheckpointGoesBeforeItIsHeld) {
  ASSERT_NO_FATAL_FAILURE(spare_pin_of(trainer_));
  std::filesystem::remove_all(root_ / "mine/step-1");
  EXPECT_TRUE(comes([&] { return has_failed(gateway_user_) && is_pinned(trainer_); }));
  EXPECT_TRUE(root_.exists(".tideway/pins/p/.metadata"));
}

TEST_F(CheckpointsTest, ATrainersPinIsKnownBehindARestart) {
  ASSERT_NO_FATAL_FAILURE(spare_pin_of(trainer_));
  ASSERT_TRUE(spare(trainer_, "mine/step-1", "p").ok()) << "and again, as one that was not answered does";
  EXPECT_EQ(job_of(gateway_user_)->spares.size(), 1U);
  restart();
  ASSERT_TRUE(comes([&] { return job_of(gateway_user_)->wait && job_of(gateway_user_)->wait->what.find(':') != std::string::npos; })) << "it was looked at";
  EXPECT_TRUE(root_.exists(".tideway/pins/p/.metadata"));
  root_.write("mine/step-1/.metadata", "marker");
  EXPECT_TRUE(comes([&] { return is_pinned(gateway_user_) && !root_.exists(".tideway/pins/p"); }));
  EXPECT_TRUE(job_of(gateway_user_)->spares.empty());
}

TEST_F(CheckpointsTest, ATrainersPinTakesOverBehindARestartToo) {
  ASSERT_NO_FATAL_FAILURE(spare_pin_of(trainer_));
  std::filesystem::remove_all(root_ / "mine/step-1");
  restart();
  EXPECT_TRUE(comes([&] { return has_failed(gateway_user_) && is_pinned(trainer_); }));
  EXPECT_TRUE(root_.exists(".tideway/pins/p/.metadata"));
  restart();
  EXPECT_TRUE(is_pinned(trainer_));
  EXPECT_TRUE(job_of(gateway_user_)->spares.empty()) << "it is not submitted for good";
}

// The process died when the job was over, and before it came to what was spared for it.
TEST_F(CheckpointsTest, ATrainersPinThatNobodyCameToIsDroppedByTheNextProcess) {
  ASSERT_NO_FATAL_FAILURE(spare_pin_of(trainer_));
  table_->change(job_of(gateway_user_)->id, read_wall_clock(), [](job::Job& job) { return job::cancel(job, read_wall_clock()); });
  restart();
  EXPECT_TRUE(comes([&] { return !root_.exists(".tideway/pins/p"); }));
  EXPECT_TRUE(job_of(gateway_user_)->spares.empty());
}

TEST_F(CheckpointsTest, APinThatNobodyNamesForLongGoes) {
  root_.write("mine/step-1/__0_0.distcp", "shard");
  save("other/step-2");
  for (const char* pin : {"spared", "named", "lost", "lost.part"}) make_pin(pin, trainer_);
  ASSERT_TRUE(submit(gateway_user_, {"mine/step-1"}).ok());
  ASSERT_TRUE(spare(trainer_, "mine/step-1", "spared").ok());
  ASSERT_TRUE(submit(trainer_, {"other/step-2", "named"}).ok());
  CheckpointThreadConfig often;
  often.pins_every = std::chrono::milliseconds(20);
  often.pin_idle = std::chrono::seconds(-1);  // those that were just made count
  restart(std::move(often));
  EXPECT_TRUE(comes([&] { return is_pinned(trainer_) && !root_.exists(".tideway/pins/lost") && !root_.exists(".tideway/pins/lost.part"); }));
  for (const char* pin : {"spared", "named"}) EXPECT_TRUE(root_.exists(std::string(".tideway/pins/") + pin + "/.metadata")) << pin;
}

// Such as that of a container, or of a user whom the directory of this site has forgotten.
TEST_F(CheckpointsTest, ATrainersPinTakesOverForWhoeverWasAllowedByTheGroupsOfItsProcess) {
  const http::Caller guest{54321, 54321, {54322, stranger_.gid}};
  ASSERT_NO_FATAL_FAILURE(spare_pin_of(guest));
  std::filesystem::remove_all(root_ / "mine/step-1");
  restart();
  EXPECT_TRUE(comes([&] { return has_failed(gateway_user_) && is_pinned(guest); }));
  EXPECT_TRUE(root_.exists(".tideway/pins/p/.metadata"));
}

TEST_F(CheckpointsTest, ATrainersPinTakesOverWhenTheStoreIsBack) {
  ASSERT_NO_FATAL_FAILURE(spare_pin_of(trainer_));
  disk_.is_full = true;
  std::filesystem::remove_all(root_ / "mine/step-1");
  ASSERT_TRUE(comes([&] { return has_failed(gateway_user_) && checkpoints_->next_deadline() < kNever; })) << "it was refused for now";
  EXPECT_EQ(job_of(gateway_user_)->spares.size(), 1U);
  EXPECT_TRUE(root_.exists(".tideway/pins/p/.metadata"));
  disk_.is_full = false;
  store_->write(table_->take_changes());
  ASSERT_TRUE(comes([&] { return !store_->stats().is_failing; }));
  skipped_ = std::chrono::minutes(1);
  EXPECT_TRUE(comes([&] { return is_pinned(trainer_); }));
  EXPECT_TRUE(job_of(gateway_user_)->spares.empty());
  EXPECT_TRUE(root_.exists(".tideway/pins/p/.metadata"));
}

TEST_F(CheckpointsTest, ATrainersPinThatIsRefusedForGoodStays) {
  ASSERT_NO_FATAL_FAILURE(spare_pin_of(trainer_));
  checkpoints_.reset();
  grants_ = LocalGrants();
  restart();
  std::filesystem::remove_all(root_ / "mine/step-1");
  EXPECT_TRUE(comes([&] { return has_failed(gateway_user_) && job_of(gateway_user_)->spares.empty(); }));
  save("mine/step-2");
  ASSERT_TRUE(submit(gateway_user_, {"mine/step-2"}).ok());
  EXPECT_TRUE(comes([&] { return checkpoints_->counts().pinned > 0; })) << "orders before it are done";
  EXPECT_TRUE(root_.exists(".tideway/pins/p/.metadata")) << "it may be all that is left";
}

TEST_F(CheckpointsTest, WhatTheDiskRefusesWithASpareIsTheSpareAlone) {
  root_.write("mine/step-1/__0_0.distcp", "shard");
  make_pin("p", trainer_);
  ASSERT_TRUE(submit(gateway_user_, {"mine/step-1"}).ok());
  ASSERT_TRUE(submit(stranger_, {"other/step-7"}).ok());
  const job::JobId waits = job_of(gateway_user_)->id, cancelled = job_of(stranger_)->id;
  disk_.is_full = true;
  ASSERT_TRUE(checkpoints_->abort(cancelled, now()).ok());
  for (const char* which : {"the first", "the next"}) EXPECT_EQ(spare(trainer_, "mine/step-1", "p").error().fault, Fault::kStoreUnavailable) << which << " is not stored";
  EXPECT_TRUE(job_of(gateway_user_)->spares.empty());
  disk_.is_full = false;
  ASSERT_TRUE(comes([&] { return disk_.find(cancelled)->state == job::State::kCancelled; })) << "it would run again behind a restart";
  ASSERT_TRUE(comes([&] { return !store_->stats().is_failing; }));
  EXPECT_TRUE(spare(trainer_, "mine/step-1", "p").ok());
  EXPECT_EQ(disk_.find(waits)->spares.size(), 1U) << "it is stored before it is answered";
}

TEST_F(CheckpointsTest, OneTrainersPinTooManyIsRefusedAndStays) {
  root_.write("mine/step-1/__0_0.distcp", "shard");
  ASSERT_TRUE(submit(gateway_user_, {"mine/step-1"}).ok());
  for (size_t i = 0; i <= job::kSparesMax; ++i) make_pin("p" + std::to_string(i), trainer_);
  for (size_t i = 0; i < job::kSparesMax; ++i) ASSERT_TRUE(spare(trainer_, "mine/step-1", "p" + std::to_string(i)).ok());
  const std::string last = "p" + std::to_string(job::kSparesMax);
  EXPECT_EQ(spare(trainer_, "mine/step-1", last).error().fault, Fault::kOverloaded);
  EXPECT_TRUE(spare(trainer_, "mine/step-1", "p0").ok()) << "that one is spared already";
  save("mine/step-2");
  ASSERT_TRUE(submit(gateway_user_, {"mine/step-2"}).ok());
  EXPECT_TRUE(comes([&] { return checkpoints_->counts().pinned > 0; })) << "orders before it are done";
  EXPECT_TRUE(root_.exists(".tideway/pins/" + last + "/.metadata"));
}

TEST_F(CheckpointsTest, APinThatIsNotThereTakesNoRoomOfOneThatIs) {
  root_.write("mine/step-1/__0_0.distcp", "shard");
  make_pin("p", trainer_);
  ASSERT_TRUE(submit(gateway_user_, {"mine/step-1"}).ok());
  EXPECT_EQ(spare(stranger_, "mine/step-1", "invented").error().fault, Fault::kSourceMissing);
  EXPECT_EQ(spare(stranger_, "mine/step-1", "p").error().fault, Fault::kDenied);
  EXPECT_TRUE(job_of(gateway_user_)->spares.empty());
  const auto long_one = submit(trainer_, {"mine/step-1", "p", api::CheckpointRequest::Source::kWhole, true, {{"why", std::string(job::kSpareRequestMax, 'a')}}});
  EXPECT_EQ(long_one.error().fault, Fault::kUsage) << "it is written again with each change of the job";
  EXPECT_TRUE(root_.exists(".tideway/pins/p/.metadata"));
}

// A name that is published is not replaced, so the second save under it ends as dest_exists; the one before it must arrive all the same.
TEST_F(CheckpointsTest, NobodyGivesWayToACheckpointUnderANameThatIsPublished) {
  store::Contents contents;
  contents.jobs = {published(300)};
  contents.jobs.front().spec.series = "mine";
  contents.jobs.front().spec.destination = "wisconsin:data/there/last.ckpt";
  checkpoints_.reset();
  start(std::move(contents), {});
  for (const char* name : {"mine/step-350", "mine/last.ckpt", "mine/step-450"}) save(name);
  ASSERT_TRUE(submit(gateway_user_, {"mine/step-350"}).ok());
  ASSERT_TRUE(comes([&] { return is_pinned(350); }));
  ASSERT_TRUE(submit(gateway_user_, {.path = "mine/last.ckpt", .step = 400}).ok());
  ASSERT_TRUE(comes([&] { return is_pinned(400); }));
  EXPECT_EQ(job_of_step(350)->superseded_by, "");
  ASSERT_TRUE(submit(gateway_user_, {"mine/step-450"}).ok());
  EXPECT_TRUE(comes([&] { return job_of_step(350)->superseded_by == job_of_step(450)->id; })) << "to others it does";
}

// Such as one of deepspeed whose world nobody has said: it is not to look as well as one that is replicated.
TEST_F(CheckpointsTest, AWatchThatHasFoundNothingCompleteHasItsAgeAndObjective) {
  root_.write("mine/step-1/__0_0.distcp", "shard");
  CheckpointThreadConfig thread;
  WatchConfig watch;
  watch.root = "data";
  watch.dir = ObjectName::from_text("mine").value();
  watch.series = "llm7";
  watch.rpo = std::chrono::minutes(30);
  watch.format.kind = checkpoint::Kind::kDcp;
  thread.watches.push_back({watch, {}});
  const job::WallTime before = read_wall_clock();
  checkpoints_.reset();
  start({}, std::move(thread));
  const Checkpoints::Counts counts = checkpoints_->counts();
  ASSERT_TRUE(counts.saved_at.contains("llm7"));
  EXPECT_GE(counts.saved_at.at("llm7"), before);
  EXPECT_LE(counts.saved_at.at("llm7"), read_wall_clock());
  EXPECT_EQ(counts.rpo.at("llm7"), std::chrono::minutes(30));
}

TEST_F(CheckpointsTest, ARequestInTheInboxIsPendingUntilItIsAnswered) {
  save("mine/step-1");
  EXPECT_EQ(checkpoints_->counts().inbox_pending, 0U);
  root_.write("draft", R"({"path":"data:mine/step-1","format":"dcp","to":["wisconsin:data/there"]})");
  std::filesystem::rename(root_ / "draft", root_ / ".tideway/inbox/asked.json");
  for (int waited = 0; waited < kPatienceMs && checkpoints_->counts().inbox_pending == 0; waited += 10) ::poll(nullptr, 0, 10);  // nobody answers meanwhile
  EXPECT_EQ(checkpoints_->counts().inbox_pending, 1U);
  EXPECT_TRUE(comes([&] { return checkpoints_->counts().inbox_pending == 0; }));
  EXPECT_TRUE(root_.exists(".tideway/inbox/asked.status.json"));
}

// As of a trainer that has never heard what the root is called, since the gateway was away.
TEST_F(CheckpointsTest, AJobInTheInboxMeansPathsBelowItsRoot) {
  root_.write("draft", R"({"sources":["mine/file"],"destination":"wisconsin:data/there/file"})");
  std::filesystem::rename(root_ / "draft", root_ / ".tideway/inbox/asked.json");
  ASSERT_TRUE(comes([&] { return root_.exists(".tideway/inbox/asked.status.json"); }));
  ASSERT_EQ(table_->all().size(), 1U) << root_.read(".tideway/inbox/asked.status.json");
  EXPECT_EQ(table_->all().begin()->second.spec.sources, std::vector<std::string>{"data:mine/file"});
}

// Behind a roll-back a training saves a step again. Its hook must not hear that it is published: other bytes are.
TEST_F(CheckpointsTest, APublishedStepThatIsSavedAgainIsAnotherCheckpointAndOneThatIsToldAgainIsNot) {
  start_with_published_step_7();
  save("mine/step-7");
  for (const char* name : {"/__0_0.distcp", "/.metadata"}) std::filesystem::last_write_time(root_ / (std::string("mine/step-7") + name), std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7", .is_looked_at = true}).ok());
  EXPECT_EQ(table_->all().size(), 1U) << "it is the one that was sent";
  save("mine/step-7");
  for (const char* which : {"once", "again"}) {
    ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7", .is_looked_at = true}).ok());
    EXPECT_EQ(table_->all().size(), 2U) << which;
  }
  EXPECT_TRUE(comes([&] { return is_pinned(7); }));
}

TEST_F(CheckpointsTest, APublishedStepThatIsSavedAgainIsKnownByThePinOfItsTrainer) {
  start_with_published_step_7();
  make_pin("p", trainer_);
  ASSERT_TRUE(submit(trainer_, {.path = "mine/step-7", .pin = "p", .is_looked_at = true}).ok());
  ASSERT_TRUE(comes([&] { return is_pinned(trainer_); }));
  EXPECT_EQ(job_of(trainer_)->pin, "p");
}

// Trainers on other hosts have clocks of their own.
TEST_F(CheckpointsTest, WhatWasHeldIsKnownAgainByWhateverClockItWasWritten) {
  save("mine/step-7");
  ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7"}).ok());
  ASSERT_TRUE(comes([&] { return is_pinned(7); }));
  table_->change(job_of_step(7)->id, read_wall_clock(), [](job::Job& job) {
    job.state = job::State::kPublished;
    job.started = job.ended = read_wall_clock() - std::chrono::hours(1);  // by the clock of the gateway, which is behind
    job.outcome.emplace();
    return true;
  });
  ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7", .is_looked_at = true}).ok());
  EXPECT_EQ(table_->all().size(), 1U) << "it is the one that was sent";
  for (const char* name : {"/__0_0.distcp", "/.metadata"}) std::filesystem::last_write_time(root_ / (std::string("mine/step-7") + name), std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7", .is_looked_at = true}).ok());
  EXPECT_EQ(table_->all().size(), 2U) << "by the clock of the trainer, which is behind that";
}

// The first save waits for a peer that is away, or is being sent: what its trainer saved last is what arrives.
TEST_F(CheckpointsTest, AStepThatIsSavedAgainWhileItsFirstSaveIsHeldGoesInItsPlace) {
  save("mine/step-7");
  ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7"}).ok());
  ASSERT_TRUE(comes([&] { return is_pinned(7); }));
  ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7", .is_looked_at = true}).ok());
  EXPECT_EQ(saves_of_step(7).size(), 1U) << "it is the same save, of which a watch speaks, too";
  root_.write("mine/step-7/__0_0.distcp", "saved again");
  root_.write("mine/step-7/.metadata", "marker");
  ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7", .is_looked_at = true}).ok());
  const auto saves = saves_of_step(7);
  ASSERT_TRUE(takes_its_place(saves));
  EXPECT_EQ(root_.read(".tideway/pins/" + saves[1]->pin + "/__0_0.distcp"), "saved again");
}

TEST_F(CheckpointsTest, AStepThatIsSavedAgainIsKnownByThePinOfItsTrainerBehindARestartToo) {
  make_pin("p", trainer_);
  ASSERT_TRUE(submit(trainer_, {.path = "mine/step-7", .pin = "p"}).ok());
  ASSERT_TRUE(comes([&] { return is_pinned(trainer_); }));
  restart();
  ASSERT_TRUE(submit(trainer_, {.path = "mine/step-7", .pin = "p", .is_looked_at = true}).ok());
  EXPECT_EQ(saves_of_step(7).size(), 1U) << "that pin is what is held";
  make_pin("q", trainer_);
  ASSERT_TRUE(submit(trainer_, {.path = "mine/step-7", .pin = "q", .is_looked_at = true}).ok());
  const auto saves = saves_of_step(7);
  ASSERT_TRUE(takes_its_place(saves));
  EXPECT_EQ(saves[1]->pin, "q");
  EXPECT_TRUE(root_.exists(".tideway/pins/q/.metadata"));
}

// Nobody can say yet whether it will ever be complete.
TEST_F(CheckpointsTest, AStreamOfAStepThatIsHeldTakesItsPlaceOnceItIsHeldItself) {
  save("mine/step-7");
  ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7"}).ok());
  ASSERT_TRUE(comes([&] { return is_pinned(7); }));
  ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7", .source = api::CheckpointRequest::Source::kGrowing}).ok());
  const auto saves = saves_of_step(7);
  ASSERT_EQ(saves.size(), 2U);
  checkpoints_->turn(now());
  EXPECT_FALSE(job::is_over(saves[0]->state)) << "what is whole goes on meanwhile";
  save("mine/step-7");
  ASSERT_TRUE(checkpoints_->complete(saves[1]->id, {"", gateway_user_}, now()).ok());
  EXPECT_TRUE(takes_its_place(saves));
}

TEST_F(CheckpointsTest, AStreamOfAPublishedStepIsAnotherCheckpointAndIsOpenedOnce) {
  start_with_published_step_7();
  for (const char* which : {"once", "again"}) {
    ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7", .source = api::CheckpointRequest::Source::kGrowing}).ok());
    ASSERT_EQ(table_->all().size(), 2U) << which;
  }
  save("mine/step-7");
  ASSERT_TRUE(checkpoints_->complete(job_of_step(7)->id, {"", gateway_user_}, now()).ok());
  EXPECT_TRUE(comes([&] { return is_pinned(7); }));
}

// The command of a trainer that starts again, after the next checkpoint came.
TEST_F(CheckpointsTest, ARestoreThatIsAskedForAgainIsTheSameJobWhateverIsFoundByThen) {
  store::Contents contents;
  contents.jobs = {published(7)};
  checkpoints_.reset();
  start(std::move(contents), {});
  api::RestoreRequest request;
  request.submission_id = "run-7";
  request.series = "llm7";
  request.destination = "data:back";
  const auto first = restore(request);
  ASSERT_TRUE(first.ok()) << first.error().what;
  EXPECT_EQ(table_->find(first.value())->spec.step, 7U);
  contents.jobs = {published(7), published(6), published(8), api::parse_record(api::to_record(*table_->find(first.value()))).value()};
  contents.jobs.back().number = 9;
  checkpoints_.reset();
  start(std::move(contents), {});
  const auto again = restore(request);
  ASSERT_TRUE(again.ok()) << again.error().what;
  EXPECT_EQ(again.value(), first.value());
  request.destination = "data:elsewhere";
  EXPECT_EQ(restore(request).error().fault, Fault::kSubmissionConflict);
}

}  // namespace
}  // namespace tideway::daemon
