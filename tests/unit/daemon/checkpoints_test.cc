// SPDX-License-Identifier: Apache-2.0
//
// Users who speak of the same pins and checkpoints.
#include "checkpoints_fixture.h"

namespace tideway::daemon {
namespace {

class CheckpointsTest : public CheckpointsFixture {};

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

TEST_F(CheckpointsTest, F24WhatNothingWasWrittenToForMinutesFailsAsNotComplete) {
  checkpoints_.reset();
  const auto skipped = std::make_shared<std::atomic<int64_t>>(0);  // outlives the thread
  CheckpointThreadConfig thread;
  thread.clock = [skipped] { return read_clock() + std::chrono::minutes(skipped->load()); };
  start({}, thread);
  root_.write("mine/step-1/__0_0.distcp", "a writer that died");
  ASSERT_TRUE(submit(trainer_, {"mine/step-1", "", api::CheckpointRequest::Source::kGrowing}).ok());
  EXPECT_FALSE(has_failed(trainer_));
  EXPECT_TRUE(comes([&] {
    *skipped += 1;
    return has_failed(trainer_);
  }));
  EXPECT_GE(skipped->load(), GrowthWatch::kSilentMax / std::chrono::minutes(1));
  EXPECT_EQ(job_of(trainer_)->error->fault, Fault::kNotComplete);
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

// Words were looked for in its text.
TEST_F(CheckpointsTest, AJobInTheInboxIsOneWhateverItsValuesAreCalled) {
  root_.write("draft", R"({"sources":["to"],"destination":"wisconsin:data/there/to"})");
  std::filesystem::rename(root_ / "draft", root_ / ".tideway/inbox/asked.json");
  ASSERT_TRUE(comes([&] { return root_.exists(".tideway/inbox/asked.status.json"); }));
  ASSERT_EQ(table_->all().size(), 1U) << root_.read(".tideway/inbox/asked.status.json");
  EXPECT_EQ(table_->all().begin()->second.spec.sources, std::vector<std::string>{"data:to"});
}

// As of a trainer in a container, which knows the root by another path.
TEST_F(CheckpointsTest, ARestoreInTheInboxMeansAPlaceBelowItsRoot) {
  store::Contents contents;
  contents.jobs = {published(7)};
  checkpoints_.reset();
  start(std::move(contents), {});
  const auto ask = [&](const std::string& name, const std::string& body) {
    root_.write("draft", body);
    std::filesystem::rename(root_ / "draft", root_ / (".tideway/inbox/" + name + ".json"));
    EXPECT_TRUE(comes([&] { return root_.exists(".tideway/inbox/" + name + ".status.json"); }));
    return root_.read(".tideway/inbox/" + name + ".status.json");
  };
  const auto id = api::parse_accepted(ask("back", R"({"submission_id":"back","series":"llm7","step":"latest","dst":"back/here"})"));
  ASSERT_TRUE(id.ok()) << id.error().what;
  EXPECT_EQ(table_->find(id.value())->spec.destination, "data:back/here");
  EXPECT_EQ(table_->find(id.value())->spec.submission_id, "back");
  EXPECT_NE(ask("other", R"({"submission_id":"back","series":"llm7","dst":"back/there"})").find("another one than the name"), std::string::npos);
  EXPECT_NE(ask("nothing", R"({"series":"llm9","dst":"back/there"})").find("source_missing"), std::string::npos);
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
