// SPDX-License-Identifier: Apache-2.0
#include "storage/publish.h"

#include "support/as_nobody.h"
#include "unit/storage/staged_tree.h"

#include <gtest/gtest.h>

#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

namespace tideway::storage {
namespace {

TEST_F(PublishTest, ANewTreeAppearsWithModesAndTimesOfItsDirectories) {
  sample();
  const auto status = publish("up/copy");
  ASSERT_TRUE(status.ok()) << status.error().what;
  EXPECT_EQ(root_.read("up/copy/closed/inner"), "beta");
  EXPECT_EQ(root_.stat("up/copy").st_mode & 07777U, 0750U);
  EXPECT_EQ(root_.stat("up/copy/closed").st_mode & 07777U, 0555U);
  EXPECT_EQ(root_.stat("up/copy").st_mtim.tv_nsec, 9);
  EXPECT_EQ(root_.stat("up/copy/closed").st_mtim.tv_nsec, 9);
  EXPECT_EQ(root_.stat("up/copy/closed/deep/empty").st_size, 0);
  EXPECT_EQ(std::filesystem::read_symlink(root_ / "up/copy/link"), "closed/inner");
  EXPECT_EQ(root_.stat("up").st_mode & 07777U, 0755U);
}

TEST_F(PublishTest, AReadOnlyTopDirectoryIsPublishedToo) {
  dir(0, "", 0500);
  file(0, "f", "x");
  ASSERT_TRUE(publish("copy").ok());
  EXPECT_EQ(root_.stat("copy").st_mode & 07777U, 0500U);
  EXPECT_EQ(root_.stat("copy").st_mtim.tv_nsec, 9);
}

TEST_F(PublishTest, TheManifestLiesBesideANewTree) {
  sample();
  ASSERT_TRUE(publish("copy").ok());
  const auto dir = RootedDir::open_host_path((root_ / "copy").string(), Side::kSource).value();
  const auto stored = StoredManifest::open(dir, single_name(".tideway-manifest"));
  ASSERT_TRUE(stored.ok()) << stored.error().what;
  EXPECT_EQ(stored.value().header().entries, entries_.size());
  EXPECT_EQ(stored.value().header().leaves, 2U);
  PageStream pages = stored.value().pages();
  EXPECT_EQ(decode_page(pages.next().value()).value(), entries_);
}

TEST_F(PublishTest, AMissingObjectLeavesNothingBehindAndTheNextAttemptGoesOn) {
  dir(0, "");
  file(0, "a", "alpha");
  file(0, "b", "never sent", Staged::kNo);
  const auto status = publish("up/copy");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kManifestMismatch);
  EXPECT_TRUE(is_clean());
  {
    const Descriptor made = staging_->create_object(ObjectId(2)).value();
    ASSERT_EQ(write_all(made.get(), 0, std::as_bytes(std::span("never sent", 10))), 0);
  }
  ASSERT_TRUE(publish_staged(*staging_, order_, {decode_page}).ok());
  EXPECT_EQ(root_.read("up/copy/a"), "alpha");
  EXPECT_EQ(root_.read("up/copy/b"), "never sent");
}

TEST_F(PublishTest, AnExistingDirectoryKeepsItsModeAndItsFiles) {
  root_.write("copy/closed/mine", "mine");
  ASSERT_EQ(::chmod((root_ / "copy").c_str(), 0711), 0);
  sample();
  const auto status = publish("copy");
  ASSERT_TRUE(status.ok()) << status.error().what;
  EXPECT_EQ(root_.read("copy/closed/mine"), "mine");
  EXPECT_EQ(root_.read("copy/closed/inner"), "beta");
  EXPECT_EQ(root_.stat("copy").st_mode & 07777U, 0711U);
  EXPECT_EQ(root_.stat("copy/closed").st_mode & 07777U, 0755U) << "not ours";
  EXPECT_EQ(root_.stat("copy/closed/deep").st_mtim.tv_nsec, 9) << "ours";
  EXPECT_FALSE(root_.exists("copy/.tideway-manifest"));
  EXPECT_EQ(kept_manifests(), 1U);
}

TEST_F(PublishTest, ACompletionMarkerComesAfterWhatItMarks) {
  root_.make_dir("copy");
  dir(0, "");
  file(0, ".metadata", "complete");
  file(0, "shard", "never sent", Staged::kNo);
  EXPECT_FALSE(publish("copy").ok());
  EXPECT_FALSE(root_.exists("copy/.metadata"));
  const Descriptor made = staging_->create_object(ObjectId(2)).value();
  ASSERT_EQ(write_all(made.get(), 0, std::as_bytes(std::span("never sent", 10))), 0);
  ASSERT_TRUE(publish_staged(*staging_, order_, {decode_page}).ok());
  EXPECT_EQ(root_.read("copy/.metadata"), "complete");
}

// The names that appear in a directory, in their order.
class Appearances {
 public:
  explicit Appearances(const std::filesystem::path& dir) : fd_(::inotify_init1(IN_NONBLOCK)) {
    EXPECT_GE(::inotify_add_watch(fd_, dir.c_str(), IN_MOVED_TO | IN_CREATE), 0);
  }
  ~Appearances() { ::close(fd_); }
  Appearances(const Appearances&) = delete;
  Appearances& operator=(const Appearances&) = delete;
  std::string seen() {
    alignas(inotify_event) std::array<char, 8192> events{};
    const ssize_t size = ::read(fd_, events.data(), events.size());
    std::string names;
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
      names += std::string(event->name) + " ";
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
    return names;
  }

 private:
  int fd_;
};

TEST_F(PublishTest, WhatIsNamedLastComesAfterAllElse) {
  root_.make_dir("copy");
  rules_.last = {"A-DONE*"};
  dir(0, "");
  file(0, ".metadata", "a marker that is known");
  file(0, "A-DONE.txt", "complete");
  file(0, "f", "x");
  Appearances appearances(root_ / "copy");
  ASSERT_TRUE(publish("copy").ok());
  EXPECT_EQ(appearances.seen(), "f .metadata A-DONE.txt ");
}

TEST_F(PublishTest, RenameAddsNothingToATreeThatIsThere) {
  rules_.form = PublishRules::Form::kRename;
  root_.make_dir("copy");
  sample();
  const auto status = publish("copy");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kDestExists);
  EXPECT_EQ(names_in("copy"), "");
}

TEST_F(PublishTest, RenameOfATreeThatIsThereWholeIsDoneAlready) {
  rules_.form = PublishRules::Form::kRename;
  sample();
  ASSERT_TRUE(publish("copy").ok());
  EXPECT_TRUE(root_.exists("copy/.tideway-manifest"));
  EXPECT_TRUE(publish_staged(*staging_, order_, {decode_page, modes_, rules_}).ok()) << "twice is as good as once";
}

TEST_F(PublishTest, MarkerMakesTheDirectoryAndFillsItPartByPart) {
  rules_.form = PublishRules::Form::kMarker;
  sample();
  const auto status = publish("up/copy");
  ASSERT_TRUE(status.ok()) << status.error().what;
  EXPECT_EQ(root_.read("up/copy/closed/inner"), "beta");
  EXPECT_FALSE(root_.exists("up/copy/.tideway-manifest")) << "a manifest in it would be another part";
  EXPECT_EQ(kept_manifests(), 1U);
}

// A directory that was made at its final name stayed there, closed, when the next one could not be made.
TEST_F(PublishTest, APublishThatRunsOutOfInodesShowsNothingAndTheNextOneIsWhole) {
  staging_.reset();
  is_mounted_ = ::mount("tideway-test", root_.path().c_str(), "tmpfs", 0, "size=4m,nr_inodes=60") == 0;
  if (!is_mounted_) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  const auto list = [this] {
    dir(0, "");
    for (int i = 0; i < 20; ++i) {
      dir(0, std::to_string(100 + i));
      file(static_cast<uint32_t>(entries_.size() - 1), "empty", "");
      file(static_cast<uint32_t>(entries_.size() - 2), "f", "x");
    }
  };
  root_.make_dir("copy");
  restart();
  list();
  const auto status = publish("copy");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kDestInodes) << status.error().what;
  EXPECT_EQ(names_in("copy"), "");

  ASSERT_EQ(::mount("tideway-test", root_.path().c_str(), "tmpfs", MS_REMOUNT, "size=4m,nr_inodes=600"), 0);
  restart();
  list();
  const auto again = publish("copy");
  ASSERT_TRUE(again.ok()) << again.error().what;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(root_.stat("copy/" + std::to_string(100 + i)).st_mode & 07777U, 0755U);
  EXPECT_EQ(root_.read("copy/119/f"), "x");
}

TEST_F(PublishTest, NothingIsVisibleInAnExistingDirectoryBeforeAllIsReady) {
  root_.make_dir("copy");
  dir(0, "");
  file(0, "a-empty", "");
  dir(0, "b-dir");
  file(2, "inner", "x");
  link(0, "c-link", "a-empty");
  file(0, "d", "never sent", Staged::kNo);
  EXPECT_EQ(publish("copy").error().fault, Fault::kManifestMismatch);
  EXPECT_EQ(names_in("copy"), "");
  {
    const Descriptor made = staging_->create_object(ObjectId(5)).value();
    ASSERT_EQ(write_all(made.get(), 0, std::as_bytes(std::span("never sent", 10))), 0);
    ASSERT_EQ(set_times(made.get(), entries_.back().mtime_ns), 0);
  }
  const auto status = publish_staged(*staging_, order_, {decode_page});
  ASSERT_TRUE(status.ok()) << status.error().what;
  EXPECT_EQ(names_in("copy"), "a-empty b-dir c-link d inner ");
  EXPECT_EQ(root_.stat("copy/a-empty").st_mode & 07777U, 0640U);
  EXPECT_EQ(root_.stat("copy/a-empty").st_mtim.tv_nsec, 9);
  ASSERT_TRUE(publish_staged(*staging_, order_, {decode_page}).ok()) << "twice is as good as once";
}

TEST_F(PublishTest, AReadOnlyDirectoryGoesIntoAnExistingOneWithoutRootsRights) {
  ASSERT_TRUE(staging_->remove().ok());
  ASSERT_EQ(::chmod(root_.path().c_str(), 0777), 0);
  const AsNobody nobody;
  ASSERT_TRUE(RootedDir::open_host_path(root_.path().string(), Side::kDestination).value().make_dir(single_name("copy"), 0755).ok());
  restart(1);
  dir(0, "");
  dir(0, "closed", 0555);
  file(1, "f", "x");
  dir(1, "inner", 0500);
  file(3, "g", "y");
  const auto status = publish("copy");
  ASSERT_TRUE(status.ok()) << status.error().what;
  EXPECT_EQ(root_.stat("copy/closed").st_mode & 07777U, 0555U);
  EXPECT_EQ(root_.stat("copy/closed").st_mtim.tv_nsec, 9);
  EXPECT_EQ(root_.read("copy/closed/inner/g"), "y");
}

// As a process leaves them that dies between the rename and the mode.
TEST_F(PublishTest, WhoeverRepeatsAPublishGivesDirectoriesThatWereMovedTheirModes) {
  root_.make_dir("old/theirs");
  for (const std::string to : {"new", "old"}) {
    restart(1);
    dir(0, "", 0500);
    dir(0, "closed", 0555);
    file(1, "f", "x");
    dir(0, "theirs", 0555);
    const std::string moved = to == "new" ? to : to + "/closed";
    ASSERT_TRUE(publish(to).ok());
    ASSERT_EQ(::chmod((root_ / moved).c_str(), 0755), 0);
    const auto again = publish_staged(*staging_, order_, {decode_page, modes_, rules_});
    ASSERT_TRUE(again.ok()) << again.error().what;
    EXPECT_EQ(root_.stat(moved).st_mode & 07777U, to == "new" ? 0500U : 0555U);
    EXPECT_EQ(root_.stat(moved).st_mtim.tv_nsec, 9);
  }
  EXPECT_EQ(root_.stat("old").st_mode & 07777U, 0755U) << "not ours";
  EXPECT_EQ(root_.stat("old/theirs").st_mode & 07777U, 0755U) << "not ours";
}

TEST_F(PublishTest, ADirectoryThatAppearedEarlyGetsItsModeAtTheEnd) {
  dir(0, "", 0750);
  dir(0, "closed", 0555);
  file(1, "early", "x");
  file(1, "late", "y");
  rules_.form = PublishRules::Form::kEach;
  const EarlyFile early{ObjectId(2), ObjectName::from_text("closed/early").value(), {0750, 0555}};
  ASSERT_TRUE(publish_early(*staging_, ObjectName::from_text("copy").value(), early).ok());
  EXPECT_EQ(root_.stat("copy").st_mode & 07777U, 0750U);
  EXPECT_EQ(root_.stat("copy/closed").st_mode & 07777U, 0755U) << "more comes into it";
  const auto status = publish("copy");
  ASSERT_TRUE(status.ok()) << status.error().what;
  EXPECT_EQ(root_.read("copy/closed/late"), "y");
  EXPECT_EQ(root_.stat("copy/closed").st_mode & 07777U, 0555U);
}

TEST_F(PublishTest, ANewDirectoryForPartsHasItsModeFromTheFirstOn) {
  for (const uint32_t mode : {0750U, 0550U}) {
    std::filesystem::remove_all(root_ / "up");
    restart();
    dir(0, "", mode);
    file(0, "a", "x");
    rules_.form = PublishRules::Form::kMarker;
    const auto status = publish("up/copy");
    ASSERT_TRUE(status.ok()) << status.error().what;
    EXPECT_EQ(root_.read("up/copy/a"), "x");
    EXPECT_EQ(root_.stat("up/copy").st_mode & 07777U, mode);
    EXPECT_EQ(root_.stat("up").st_mode & 07777U, 0755U) << "that is nobody's entry";
    std::filesystem::permissions(root_ / "up/copy", std::filesystem::perms::owner_all);
  }
}

TEST_F(PublishTest, ADirectoryThatHoldsAMarkerComesAfterTheFilesBesideIt) {
  root_.make_dir("copy");
  dir(0, "");
  dir(0, "a");
  file(1, ".metadata", "complete");
  file(0, "shard", "x");
  root_.write("copy/shard/in the way", "");  // a type conflict is found before anything moves
  EXPECT_EQ(publish("copy").error().fault, Fault::kTypeConflict);
  EXPECT_FALSE(root_.exists("copy/a"));
  std::filesystem::remove_all(root_ / "copy/shard");
  ASSERT_TRUE(publish_staged(*staging_, order_, {decode_page}).ok());
  EXPECT_EQ(root_.read("copy/a/.metadata"), "complete");
}

TEST_F(PublishTest, ACopyThatWasFasterIsNeitherMixedWithNorCalledOurs) {
  root_.make_dir("copy");
  dir(0, "");
  file(0, "0-extra", "mine alone");
  file(0, "shard", "x");
  std::optional<Staging> slower(std::move(*staging_));
  const auto slower_entries = entries_;
  restart(1);
  dir(0, "");
  file(0, "shard", "x");
  ASSERT_TRUE(publish("copy").ok());
  staging_.emplace(std::move(*slower));
  entries_ = slower_entries;
  EXPECT_EQ(publish("copy").error().fault, Fault::kDestExists);
  EXPECT_EQ(names_in("copy"), "shard ");
}

TEST_F(PublishTest, TheSlowerOfTwoEqualCopiesOfANewTreeIsPublishedToo) {
  sample();
  std::optional<Staging> slower(std::move(*staging_));
  restart(1);
  sample();
  ASSERT_TRUE(publish("copy").ok());
  staging_.emplace(std::move(*slower));
  const auto status = publish("copy");
  EXPECT_TRUE(status.ok()) << status.error().what;
}

TEST_F(PublishTest, CopiesToOneDestinationLeaveOneManifest) {
  root_.make_dir("copy");
  for (unsigned char i = 1; i <= 3; ++i) {
    restart(i);
    dir(0, "");
    file(0, "f" + std::to_string(i), "x");
    ASSERT_TRUE(publish("copy").ok());
  }
  EXPECT_EQ(kept_manifests(), 1U);
  const auto root = RootedDir::open_host_path(root_.path().string(), Side::kSource).value();
  const auto kept = StoredManifest::open(root, kept_manifest_name(single_name("copy")));
  ASSERT_TRUE(kept.ok()) << kept.error().what;
  EXPECT_EQ(decode_page(kept.value().pages().next().value()).value().back().name, "f3") << "the newest";
  EXPECT_EQ(kept.value().header().destination, single_name("copy"));
}

TEST_F(PublishTest, ModesStayWithinWhatIsGranted) {
  modes_ = 0750;
  dir(0, "", 0755);
  file(0, "empty", "");
  entries_.back().mode = 0666;
  dir(0, "sub", 0775);
  ASSERT_TRUE(publish("copy").ok());
  EXPECT_EQ(root_.stat("copy").st_mode & 07777U, 0750U);
  EXPECT_EQ(root_.stat("copy/empty").st_mode & 07777U, 0640U);
  EXPECT_EQ(root_.stat("copy/sub").st_mode & 07777U, 0750U);
  const auto dir = RootedDir::open_host_path((root_ / "copy").string(), Side::kSource).value();
  EXPECT_EQ(StoredManifest::open(dir, single_name(".tideway-manifest")).value().header().modes, 0750U);

  restart(1);
  modes_ = 0444;
  this->dir(0, "", 0555);
  ASSERT_TRUE(publish("other").ok());
  EXPECT_EQ(root_.stat("other").st_mode & 07777U, 0544U) << "the owner's bits of a directory are left alone";
}

TEST_F(PublishTest, TheRootItselfMayBeTheDestination) {
  dir(0, "", 0700);
  file(0, "f", "x");
  ASSERT_TRUE(publish("").ok());
  EXPECT_EQ(root_.read("f"), "x");
}

TEST_F(PublishTest, ALinkAtTheDestinationIsNeitherFollowedNorReplaced) {
  TempRoot outside;
  root_.make_dir("copy");
  root_.link("copy/closed", outside.path().string());
  sample();
  EXPECT_EQ(publish("copy").error().fault, Fault::kTypeConflict);
  EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
  EXPECT_FALSE(root_.exists("copy/a")) << "checked before anything moves";

  restart();
  root_.link("door", outside.path().string());
  sample();
  EXPECT_FALSE(publish("door").ok());
  restart();
  sample();
  EXPECT_EQ(publish("door/copy").error().fault, Fault::kDenied);
  EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
}

TEST_F(PublishTest, AFileIsPublishedUnderItsNewNameAndNeverOverAnother) {
  file(0, "", "content");
  entries_[0].name.clear();
  ASSERT_TRUE(publish("up/copy").ok());
  EXPECT_EQ(root_.read("up/copy"), "content");
  EXPECT_EQ(kept_manifests(), 1U);
  ASSERT_TRUE(publish_staged(*staging_, order_, {decode_page}).ok()) << "twice is as good as once";

  restart();
  file(0, "", "different");
  EXPECT_EQ(publish("up/copy").error().fault, Fault::kDestExists);
  EXPECT_EQ(root_.read("up/copy"), "content");
  restart();
  file(0, "", "different");
  EXPECT_EQ(publish("up").error().fault, Fault::kTypeConflict);
}

// What a hostile peer may put into its list. Each is refused, and nothing of it is visible.
TEST_F(PublishTest, AnOlderFileIsReplacedAndALaterOneIsLeftWhereThatIsAsked) {
  rules_.replace = PublishRules::Replace::kIfOlder;
  root_.write("latest", "8000");
  ASSERT_EQ(set_times(RootedDir::open_host_path(root_.path().string(), Side::kDestination).value().open_file(single_name("latest"), Access::kWrite).value().get(),
                      1'400'000'000'000'000'000), 0);
  file(0, "", "9000");
  ASSERT_TRUE(publish("latest").ok());
  EXPECT_EQ(root_.read("latest"), "9000");
  root_.write("latest", "9500");  // its time is now, later than the entry's
  restart(1);
  file(0, "", "9000");
  const auto status = publish("latest");
  EXPECT_TRUE(status.ok()) << status.error().what;
  EXPECT_EQ(root_.read("latest"), "9500");
}

TEST_F(PublishTest, NothingInATreeIsReplaced) {
  rules_.replace = PublishRules::Replace::kIfOlder;
  root_.write("copy/a", "old");
  dir(0, "");
  file(0, "a", "new");
  const auto status = publish("copy");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kDestExists);
  EXPECT_EQ(root_.read("copy/a"), "old");
}

TEST_F(PublishTest, AListThatLiesIsRefused) {
  struct Lie { const char* what; void (*tell)(PublishTest&); Fault fault; };
  const Lie lies[] = {
      {"a name that climbs", [](PublishTest& t) { t.file(0, "..", "x"); }, Fault::kManifestMismatch},
      {"a name with a slash", [](PublishTest& t) { t.file(0, "a/b", "x"); }, Fault::kManifestMismatch},
      {"a name twice", [](PublishTest& t) { t.file(0, "a", "x"); t.file(0, "a", "y"); }, Fault::kManifestMismatch},
      {"names out of order", [](PublishTest& t) { t.file(0, "b", "x"); t.file(0, "a", "y"); }, Fault::kManifestMismatch},
      {"a file as a parent", [](PublishTest& t) { t.file(0, "a", "x"); t.file(1, "b", "y"); }, Fault::kManifestMismatch},
      {"a link as a parent", [](PublishTest& t) { t.link(0, "a", "b"); t.file(1, "b", "y"); }, Fault::kManifestMismatch},
      {"a parent left behind", [](PublishTest& t) { t.dir(0, "a"); t.dir(0, "b"); t.file(1, "c", "y"); },
       Fault::kManifestMismatch},
      {"a number again", [](PublishTest& t) { t.dir(0, "a"); t.entries_[1].number = ObjectId(0); }, Fault::kManifestMismatch},
      {"a leaf out of place", [](PublishTest& t) { t.file(0, "a", "x"); t.entries_[1].first_leaf = 9; },
       Fault::kManifestMismatch},
      {"an absolute link", [](PublishTest& t) { t.link(0, "a", "/etc/passwd"); }, Fault::kUnsafeLink},
      {"a climbing link", [](PublishTest& t) { t.link(0, "a", "../x"); }, Fault::kUnsafeLink},
      {"our own name", [](PublishTest& t) { t.file(0, ".tideway-manifest", "x"); }, Fault::kNameReserved},
      {"our directory", [](PublishTest& t) { t.dir(0, ".tideway"); }, Fault::kNameReserved},
      {"no list at all", [](PublishTest& t) { t.entries_.clear(); }, Fault::kManifestMismatch},
  };
  for (const Lie& lie : lies) {
    restart();
    dir(0, "");
    lie.tell(*this);
    if (entries_.empty()) {
      order_ = {single_name("copy"), 1, {}};
      EXPECT_EQ(publish_staged(*staging_, order_, {decode_page}).error().fault, lie.fault) << lie.what;
    } else {
      const auto status = publish("copy");
      ASSERT_FALSE(status.ok()) << lie.what;
      EXPECT_EQ(status.error().fault, lie.fault) << lie.what << ": " << status.error().what;
    }
    EXPECT_TRUE(is_clean()) << lie.what;
  }
}

TEST_F(PublishTest, AnotherNumberOfEntriesThanAnnouncedIsRefused) {
  sample();
  ASSERT_TRUE(staging_->append_manifest(encode_page(entries_)).ok());
  for (const uint64_t announced : {entries_.size() - 1, entries_.size() + 1, size_t{2}}) {
    order_ = {single_name("copy"), announced, {}};
    EXPECT_EQ(publish_staged(*staging_, order_, {decode_page}).error().fault, Fault::kManifestMismatch) << announced;
    EXPECT_TRUE(is_clean());
  }
}

TEST_F(PublishTest, ADestinationInsideOurOwnDirectoryIsRefused) {
  sample();
  EXPECT_EQ(publish(".tideway/copy").error().fault, Fault::kNameReserved);
  for (const char* name : {".tideway", ".tideway-manifest", ".tideway-commit", "tree/.tideway-manifest"}) {
    restart();
    file(0, "", "content");
    EXPECT_EQ(publish(name).error().fault, Fault::kNameReserved) << name;
  }
  EXPECT_FALSE(root_.exists("tree"));
}

TEST_F(PublishTest, ManyDirectoriesAreSyncedAndPublishedAsFewAre) {
  dir(0, "");
  for (int i = 0; i < 100; ++i) {
    dir(0, std::to_string(1000 + i));
    file(static_cast<uint32_t>(entries_.size() - 1), "f", "x");
  }
  ASSERT_TRUE(publish("copy").ok());
  EXPECT_EQ(root_.read("copy/1099/f"), "x");
}

class ReplaceTest : public PublishTest {
 protected:
  void publish_former() {
    sample();
    file(0, "only", "of the former");
    ASSERT_TRUE(publish("copy").ok());
    restart(1);
    rules_ = {PublishRules::Form::kRename, {}, PublishRules::Replace::kAlways};
  }
  void next() {
    dir(0, "", 0755);
    file(0, "a", "ALPHA, and longer");
    dir(0, "closed", 0555);
    file(2, "new", "gamma");
  }
};

TEST_F(ReplaceTest, ATreeTakesThePlaceOfTheOneThatIsThereWithAllThatIsInIt) {
  publish_former();
  next();
  const auto status = publish("copy");
  ASSERT_TRUE(status.ok()) << status.error().what;
  EXPECT_EQ(names_in("copy"), ".tideway-manifest a closed new ");
  EXPECT_EQ(root_.read("copy/a"), "ALPHA, and longer");
  EXPECT_EQ(root_.stat("copy/closed").st_mode & 07777U, 0555U);
  const auto again = publish_staged(*staging_, order_, {decode_page, modes_, rules_});
  ASSERT_TRUE(again.ok()) << again.error().what;
  EXPECT_EQ(root_.read("copy/a"), "ALPHA, and longer") << "whoever died behind the exchange does not exchange again";
  ASSERT_TRUE(staging_->remove().ok()) << "the former one goes with staging";
}

TEST_F(ReplaceTest, WhoeverDiedBehindTheExchangeGivesTheTreeItsMode) {
  publish_former();
  dir(0, "", 0500);
  file(0, "a", "ALPHA");
  ASSERT_TRUE(publish("copy").ok());
  ASSERT_EQ(::chmod((root_ / "copy").c_str(), 0700), 0);
  const auto again = publish_staged(*staging_, order_, {decode_page, modes_, rules_});
  ASSERT_TRUE(again.ok()) << again.error().what;
  EXPECT_EQ(root_.stat("copy").st_mode & 07777U, 0500U);
  EXPECT_EQ(root_.read("copy/a"), "ALPHA");
}

TEST_F(ReplaceTest, NothingIsReplacedWithoutBeingAskedFor) {
  publish_former();
  next();
  rules_.replace = PublishRules::Replace::kNever;
  const auto status = publish("copy");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kDestExists);
  EXPECT_EQ(root_.read("copy/only"), "of the former");
}

TEST_F(ReplaceTest, AFileIsNotReplacedByATreeNorTheRootItself) {
  root_.write("copy", "a file");
  rules_ = {PublishRules::Form::kRename, {}, PublishRules::Replace::kAlways};
  next();
  for (const std::string place : {"copy", ""}) {
    const auto status = publish(place);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().fault, Fault::kTypeConflict);
    EXPECT_EQ(root_.read("copy"), "a file");
    restart(1);
    next();
  }
}

TEST_F(ReplaceTest, AFileReplacesALaterOneWhenAskedFor) {
  root_.write("file", "later, for it was written just now");
  rules_.replace = PublishRules::Replace::kAlways;
  file(0, "", "new");
  const auto status = publish("file");
  ASSERT_TRUE(status.ok()) << status.error().what;
  EXPECT_EQ(root_.read("file"), "new");
}

}  // namespace
}  // namespace tideway::storage
