// SPDX-License-Identifier: Apache-2.0
//
// One step that is saved, and told, more than once.
#include "checkpoints_fixture.h"

namespace tideway::daemon {
namespace {

class SavedAgainTest : public CheckpointsFixture {};

// Behind a roll-back a training saves a step again. Its hook must not hear that it is published: other bytes are.
TEST_F(SavedAgainTest, APublishedStepThatIsSavedAgainIsAnotherCheckpointAndOneThatIsToldAgainIsNot) {
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

TEST_F(SavedAgainTest, APublishedStepThatIsSavedAgainIsKnownByThePinOfItsTrainer) {
  start_with_published_step_7();
  make_pin("p", trainer_);
  ASSERT_TRUE(submit(trainer_, {.path = "mine/step-7", .pin = "p", .is_looked_at = true}).ok());
  ASSERT_TRUE(comes([&] { return is_pinned(trainer_); }));
  EXPECT_EQ(job_of(trainer_)->pin, "p");
}

// Trainers on other hosts have clocks of their own.
TEST_F(SavedAgainTest, WhatWasHeldIsKnownAgainByWhateverClockItWasWritten) {
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
TEST_F(SavedAgainTest, AStepThatIsSavedAgainWhileItsFirstSaveIsHeldGoesInItsPlace) {
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

TEST_F(SavedAgainTest, AStepThatIsSavedAgainIsKnownByThePinOfItsTrainerBehindARestartToo) {
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
TEST_F(SavedAgainTest, AStreamOfAStepThatIsHeldTakesItsPlaceOnceItIsHeldItself) {
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

TEST_F(SavedAgainTest, AStreamOfAPublishedStepIsAnotherCheckpointAndIsOpenedOnce) {
  start_with_published_step_7();
  for (const char* which : {"once", "again"}) {
    ASSERT_TRUE(submit(gateway_user_, {.path = "mine/step-7", .source = api::CheckpointRequest::Source::kGrowing}).ok());
    ASSERT_EQ(table_->all().size(), 2U) << which;
  }
  save("mine/step-7");
  ASSERT_TRUE(checkpoints_->complete(job_of_step(7)->id, {"", gateway_user_}, now()).ok());
  EXPECT_TRUE(comes([&] { return is_pinned(7); }));
}

}  // namespace
}  // namespace tideway::daemon
