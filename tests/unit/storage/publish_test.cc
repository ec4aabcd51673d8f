// SPDX-License-Identifier: Apache-2.0
#include "storage/publish.h"

#include "support/page_codec.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

namespace tideway::storage {
namespace {

class PublishTest : public testing::Test {
 public:  // for the lies below
  void SetUp() override { restart(); }
  void restart() {
    staging_.reset();
    entries_.clear();
    leaves_ = 0;
    const auto root = std::make_shared<RootedDir>(RootedDir::open_host_path(root_.path().string(), Side::kDestination).value());
    staging_.emplace(Staging::create(root, {}).value());
  }
  ManifestEntry& add(uint32_t parent, std::string name, EntryType type, uint32_t mode = 0755) {
    ManifestEntry entry;
    entry.number = ObjectId(static_cast<uint32_t>(entries_.size()));
    entry.parent = ObjectId(parent);
    entry.name = std::move(name);
    entry.type = type;
    entry.mode = mode;
    entry.mtime_ns = 1'500'000'000'000'000'009;
    entry.first_leaf = leaves_;
    entries_.push_back(std::move(entry));
    return entries_.back();
  }
  void dir(uint32_t parent, std::string name, uint32_t mode = 0755) { add(parent, std::move(name), EntryType::kDirectory, mode); }
  void link(uint32_t parent, std::string name, std::string target) {
    add(parent, std::move(name), EntryType::kSymlink).link_target = std::move(target);
  }
  enum class Staged : uint8_t { kYes, kNo };
  void file(uint32_t parent, std::string name, std::string_view content, Staged staged = Staged::kYes) {
    ManifestEntry& entry = add(parent, std::move(name), EntryType::kFile, 0640);
    entry.size = Bytes(content.size());
    leaves_ += leaf_count(entry.size);
    if (staged == Staged::kNo || content.empty()) return;
    const Descriptor made = staging_->create_object(entry.number).value();
    ASSERT_EQ(write_all(made.get(), 0, std::as_bytes(std::span(content))), 0);
    ASSERT_EQ(set_times(made.get(), entry.mtime_ns), 0);
  }
  void sample() {
    dir(0, "", 0750);
    file(0, "a", "alpha");
    dir(0, "closed", 0555);
    dir(2, "deep");
    file(3, "empty", "");
    file(2, "inner", "beta");
    link(0, "link", "closed/inner");
  }
  Status publish(std::string_view to) {
    const auto pages = encode_page(entries_);
    if (auto status = staging_->append_manifest(pages); !status.ok()) return status;
    order_.destination = ObjectName::from_text(to).value();
    order_.entries = entries_.size();
    order_.root[0] = std::byte{1};
    return publish_staged(*staging_, order_, decode_page);
  }
  bool is_clean() const { return !root_.exists("copy") && !root_.exists("up/copy"); }

  TempRoot root_;
  std::optional<Staging> staging_;
  std::vector<ManifestEntry> entries_;
  uint64_t leaves_ = 0;
  PublishOrder order_;
};

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
  ASSERT_TRUE(publish_staged(*staging_, order_, decode_page).ok());
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
  EXPECT_TRUE(root_.exists(".tideway/manifests/00000000000000000000000000000000"));
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
  ASSERT_TRUE(publish_staged(*staging_, order_, decode_page).ok());
  EXPECT_EQ(root_.read("copy/.metadata"), "complete");
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
  EXPECT_TRUE(root_.exists(".tideway/manifests/00000000000000000000000000000000"));
  ASSERT_TRUE(publish_staged(*staging_, order_, decode_page).ok()) << "twice is as good as once";

  restart();
  file(0, "", "different");
  EXPECT_EQ(publish("up/copy").error().fault, Fault::kDestExists);
  EXPECT_EQ(root_.read("up/copy"), "content");
  restart();
  file(0, "", "different");
  EXPECT_EQ(publish("up").error().fault, Fault::kTypeConflict);
}

// What a hostile peer may put into its list. Each is refused, and nothing of it is visible.
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
      EXPECT_EQ(publish_staged(*staging_, order_, decode_page).error().fault, lie.fault) << lie.what;
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
    EXPECT_EQ(publish_staged(*staging_, order_, decode_page).error().fault, Fault::kManifestMismatch) << announced;
    EXPECT_TRUE(is_clean());
  }
}

TEST_F(PublishTest, ADestinationInsideOurOwnDirectoryIsRefused) {
  sample();
  EXPECT_EQ(publish(".tideway/copy").error().fault, Fault::kNameReserved);
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

}  // namespace
}  // namespace tideway::storage
