// SPDX-License-Identifier: Apache-2.0
#include "storage/staging.h"

#include "storage/stored_manifest.h"
#include "support/as_nobody.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace tideway::storage {
namespace {

class StagingTest : public testing::Test {
 protected:
  std::shared_ptr<const RootedDir> open() const {
    return std::make_shared<RootedDir>(RootedDir::open_host_path(root_.path().string(), Side::kDestination).value());
  }
  Staging create(unsigned char first = 1) const { return Staging::create(open(), id(first)).value(); }
  static TransferId id(unsigned char first) {
    TransferId made{};
    made[0] = std::byte{first};
    return made;
  }
  static std::string path(unsigned char first) { return ".tideway/" + to_hex(id(first)); }
  TempRoot root_;
};

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST_F(StagingTest, OthersMayPassTheStateDirectoryButNotEnterATransfer) {
  const Staging staging = create();
  EXPECT_EQ(root_.stat(".tideway").st_mode & 07777U, 0711U);
  EXPECT_EQ(root_.stat(path(1)).st_mode & 07777U, 0700U);
}

TEST_F(StagingTest, ASecondLiveTransferOfTheSameIdIsRefused) {
  const Staging staging = create();
  const auto second = Staging::create(open(), id(1));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().fault, Fault::kDestBusy);
  EXPECT_TRUE(Staging::create(open(), id(2)).ok());
}

// The same transfer may come again while somebody reads the tree that its publish has replaced.
TEST_F(StagingTest, AFormerTreeThatIsLeftIsNotInTheWayOfTheNext) {
  {
    Staging published = create();
    root_.write(path(1) + "/tree/0/only", "of the former");
    ASSERT_TRUE(published.leave_former().ok());
  }
  const Staging next = create();
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root_.path() / ".tideway"))
    if (entry.path().filename() == "only") left.push_back(entry.path().lexically_relative(root_.path()).string());
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(root_.read(left.front()), "of the former");
  EXPECT_FALSE(left.front().starts_with(path(1)));
}

TEST_F(StagingTest, WhatADeadTransferLeftIsRemoved) {
  {
    Staging dead = create();
    ASSERT_TRUE(dead.create_object(ObjectId(5)).ok());
    ASSERT_TRUE(dead.append_manifest(bytes_of("page")).ok());
  }
  EXPECT_TRUE(root_.exists(path(1) + "/data/00000/005"));
  const Staging again = create();
  EXPECT_FALSE(root_.exists(path(1) + "/data/00000"));
  EXPECT_EQ(root_.read(path(1) + "/manifest"), "");
}

TEST_F(StagingTest, WhatADeadTransferLeftIsThereForOneThatGoesOn) {
  const std::string record(64, 'r');
  {
    Staging dead = Staging::open(this->open(), id(1)).value();
    EXPECT_FALSE(dead.was_there());
    ASSERT_TRUE(dead.create_object(ObjectId(5)).ok());
    ASSERT_TRUE(dead.append_manifest(bytes_of("page")).ok());
    ASSERT_TRUE(dead.write_leaf_hash(3, {std::byte{9}}).ok());
    ASSERT_TRUE(dead.record(bytes_of(record)).ok());
  }
  EXPECT_TRUE(Staging::exists(*this->open(), id(1)));
  EXPECT_FALSE(Staging::exists(*this->open(), id(2)));
  Staging again = Staging::open(this->open(), id(1)).value();
  EXPECT_TRUE(again.was_there());
  std::vector<std::byte> read(100);
  EXPECT_EQ(again.ledger().read(0, read), record.size());
  EXPECT_EQ(again.ledger().read(record.size(), read), 0U);
  std::array<Hash128, 1> hash;
  EXPECT_TRUE(again.read_leaf_hashes(3, hash));
  EXPECT_EQ(hash[0], Hash128{std::byte{9}});
  EXPECT_FALSE(again.read_leaf_hashes(4, hash)) << "behind the end";
  EXPECT_TRUE(again.stat_object(ObjectId(5)).value());
  ASSERT_TRUE(again.drop_object(ObjectId(5)).ok());
  EXPECT_TRUE(again.drop_object(ObjectId(5)).ok()) << "missing is fine";
  EXPECT_FALSE(again.stat_object(ObjectId(5)).value());
}

TEST_F(StagingTest, OneThatWasNotMadeCompletelyIsMadeAnew) {
  { const Staging dead = create(); }
  std::filesystem::remove(root_ / (path(1) + "/ledger"));
  const Staging again = Staging::open(open(), id(1)).value();
  EXPECT_FALSE(again.was_there());
  EXPECT_TRUE(root_.exists(path(1) + "/ledger"));
}

// In a folder like /tmp anybody may be first, for ids can be guessed: what he staged would be published as ours.
TEST_F(StagingTest, WhatAnotherUserStagedIsNotGoneOnFrom) {
  if (::geteuid() != 0) GTEST_SKIP() << "gives files away";
  constexpr uid_t kAnother = 4321;
  const auto refused = [&](const char* what) {
    const auto found = Staging::open(open(), id(1));
    ASSERT_FALSE(found.ok()) << what;
    EXPECT_EQ(found.error().fault, Fault::kDenied) << what;
    EXPECT_NE(found.error().next.find("remove it"), std::string::npos) << found.error().next;
  };
  { const Staging dead = Staging::open(open(), id(1)).value(); }
  for (const char* part : {"", "/data", "/leaves", "/ledger"}) {
    ASSERT_EQ(::chown((root_ / (path(1) + part)).c_str(), kAnother, kAnother), 0);
    refused(part);
    ASSERT_EQ(::chown((root_ / (path(1) + part)).c_str(), 0, 0), 0);
  }
  EXPECT_TRUE(Staging::open(open(), id(1)).value().was_there());

  ASSERT_EQ(::chown((root_ / path(1)).c_str(), kAnother, kAnother), 0);
  const auto begun = Staging::create(open(), id(1));
  ASSERT_FALSE(begun.ok()) << "nor begun anew in";
  EXPECT_EQ(begun.error().fault, Fault::kDenied);
  EXPECT_TRUE(root_.exists(path(1) + "/ledger")) << "nothing of his is touched";
  EXPECT_FALSE(root_.exists(path(1) + "/probe"));

  ASSERT_EQ(::chmod(root_.path().c_str(), 0755), 0);
  for (const mode_t mode : {0777U, 0755U}) {  // one that lets us write there, and one that does not
    ASSERT_EQ(::chmod((root_ / path(1)).c_str(), mode), 0);
    const AsNobody nobody;
    refused("nor by one who is not root");
  }
  EXPECT_FALSE(root_.exists(path(1) + "/probe"));
}

TEST_F(StagingTest, OneThatOthersCanWriteToIsNotGoneOnFrom) {
  { const Staging dead = Staging::open(open(), id(1)).value(); }
  for (const mode_t mode : {0720U, 0702U, 0777U}) {
    ASSERT_EQ(::chmod((root_ / path(1)).c_str(), mode), 0);
    const auto found = Staging::open(open(), id(1));
    ASSERT_FALSE(found.ok()) << std::oct << mode;
    EXPECT_EQ(found.error().fault, Fault::kDenied);
  }
  ASSERT_EQ(::chmod((root_ / path(1)).c_str(), 0700), 0);
  EXPECT_TRUE(Staging::open(open(), id(1)).value().was_there());
}

// A look that closed it could be the last thing that a process does, and the next one would take what others wrote for its own.
TEST_F(StagingTest, OneThatOthersCanWriteToKeepsItsModeWhileItIsLookedAt) {
  { const Staging dead = Staging::open(open(), id(1)).value(); }
  ASSERT_EQ(::chmod((root_ / path(1)).c_str(), 0777), 0);
  const Descriptor watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(::inotify_add_watch(watch.get(), (root_ / path(1)).c_str(), IN_ATTRIB), 0);
  EXPECT_FALSE(Staging::open(open(), id(1)).ok());
  alignas(inotify_event) std::array<char, 4096> events{};
  const ssize_t size = ::read(watch.get(), events.data(), events.size());
  for (ssize_t at = 0; at < size;) {
    const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
    EXPECT_GT(event->len, 0U) << "its own mode was changed, not that of something in it";
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
  }
  EXPECT_EQ(root_.stat(path(1)).st_mode & 07777U, 0777U);
  EXPECT_FALSE(root_.exists(path(1) + "/probe"));
}

// As NFS does for root: this process is uid 0, and what it makes belongs to nobody.
TEST_F(StagingTest, WhereAFileSystemShowsAnotherOwnerOursIsGoneOnFrom) {
  ASSERT_EQ(::chmod(root_.path().c_str(), 0777), 0);
  const AsNobody nobody;
  { const Staging dead = Staging::open(open(), id(1)).value(); }
  root_.write(path(1) + "/probe", "of a process that died");
  EXPECT_TRUE(Staging::open(open(), id(1)).value().was_there());
  EXPECT_FALSE(root_.exists(path(1) + "/probe"));
}

// Those who pin and submit may write into .tideway; what is staged is ours by itself.
TEST_F(StagingTest, TheStateDirectoryMayBelongToAGroup) {
  { const Staging dead = Staging::open(open(), id(1)).value(); }
  ASSERT_EQ(::chmod((root_ / ".tideway").c_str(), 0775), 0);
  EXPECT_TRUE(Staging::open(open(), id(1)).value().was_there());
}

TEST_F(StagingTest, TheManifestThatListsMoreIsComparedWith) {
  const auto former = [&](const Staging& staging) {
    const Descriptor file = staging.open_former().value();
    PageStream pages(file.get(), 0, stat_of(file.get()).stat.size.count());
    const auto page = pages.next().value();
    return std::string(reinterpret_cast<const char*>(page.data()), page.size());
  };
  Staging staging = create();
  ASSERT_TRUE(staging.append_manifest(bytes_of("a long page")).ok());
  ASSERT_TRUE(staging.begin_manifest().ok());
  EXPECT_EQ(former(staging), "a long page");
  ASSERT_TRUE(staging.append_manifest(bytes_of("short")).ok());
  ASSERT_TRUE(staging.begin_manifest().ok());
  EXPECT_EQ(former(staging), "a long page");
  ASSERT_TRUE(staging.append_manifest(bytes_of("an even longer page")).ok());
  ASSERT_TRUE(staging.begin_manifest().ok());
  EXPECT_EQ(former(staging), "an even longer page");
  ASSERT_TRUE(staging.drop_former().ok());
  EXPECT_FALSE(staging.open_former().ok());
}

TEST_F(StagingTest, ObjectsLieByNumber) {
  Staging staging = create();
  ASSERT_TRUE(staging.create_object(ObjectId(0xaf3c)).ok());
  EXPECT_TRUE(root_.exists(path(1) + "/data/0000a/f3c"));
  EXPECT_TRUE(staging.open_object(ObjectId(0xaf3c), Caching::kBuffered).ok());
  EXPECT_FALSE(staging.place_object(ObjectId(0xaf3d), staging.dir(), single_name("x")).value()) << "never staged";
  EXPECT_FALSE(staging.place_object(ObjectId(0xff0000), staging.dir(), single_name("x")).value());
  EXPECT_TRUE(staging.place_object(ObjectId(0xaf3c), staging.dir(), single_name("x")).value());
}

TEST_F(StagingTest, MoreDirectoriesThanAreHeldOpenStillWork) {
  Staging staging = create();
  for (uint32_t high = 0; high < 20; ++high) ASSERT_TRUE(staging.create_object(ObjectId(high << 12)).ok());
  for (uint32_t high = 0; high < 20; ++high)
    EXPECT_TRUE(staging.open_object(ObjectId(high << 12), Caching::kBuffered).ok());
  EXPECT_TRUE(staging.sync_new_dirs().ok());
}

TEST_F(StagingTest, PagesComeBackInOrder) {
  Staging staging = create();
  for (const char* page : {"one", "two", "three"}) ASSERT_TRUE(staging.append_manifest(bytes_of(page)).ok());
  const Descriptor file = staging.open_manifest().value();
  PageStream pages(file.get(), 0, stat_of(file.get()).stat.size.count());
  for (const char* page : {"one", "two", "three"}) {
    const auto next = pages.next().value();
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(next.data()), next.size()), page);
  }
  EXPECT_TRUE(pages.next().value().empty());
}

TEST_F(StagingTest, ADamagedManifestIsNoticed) {
  Staging staging = create();
  ASSERT_TRUE(staging.append_manifest(bytes_of("one")).ok());
  ASSERT_TRUE(staging.append_manifest(bytes_of("two")).ok());
  const std::string whole = root_.read(path(1) + "/manifest");
  for (size_t cut = 1; cut < whole.size(); ++cut) {
    if (cut == whole.size() / 2) continue;  // one page less is a shorter manifest, not a damaged one
    root_.write("cut", whole.substr(0, cut));
    const Descriptor file = open()->open_file(single_name("cut"), Access::kRead).value();
    PageStream pages(file.get(), 0, cut);
    auto page = pages.next();
    while (page.ok() && !page.value().empty()) page = pages.next();
    ASSERT_FALSE(page.ok()) << cut;
    EXPECT_EQ(page.error().fault, Fault::kManifestMismatch);
  }
}

TEST_F(StagingTest, LeafHashesLieAtTheirNumberInWhateverOrderTheyCame) {
  Staging staging = create();
  for (const uint64_t leaf : {7U, 1U, 0U, 3000U, 2U}) {
    Hash128 hash{};
    hash[15] = static_cast<std::byte>(leaf % 251 + 1);
    ASSERT_TRUE(staging.write_leaf_hash(leaf, hash).ok());
  }
  ASSERT_TRUE(staging.flush().ok());
  const std::string leaves = root_.read(path(1) + "/leaves");
  ASSERT_EQ(leaves.size(), 3001U * 16);
  for (const size_t leaf : {0U, 1U, 2U, 7U, 3000U}) EXPECT_EQ(leaves[leaf * 16 + 15], static_cast<char>(leaf % 251 + 1));
  EXPECT_EQ(leaves[5 * 16 + 15], '\0');
}

TEST_F(StagingTest, TheLastTransferTakesTheStateDirectoryAway) {
  Staging one = create(1), two = create(2);
  EXPECT_TRUE(one.remove().ok());
  EXPECT_TRUE(root_.exists(".tideway"));
  EXPECT_TRUE(two.remove().ok());
  EXPECT_FALSE(root_.exists(".tideway"));
}

TEST_F(StagingTest, ALinkInPlaceOfTheStateDirectoryIsDenied) {
  TempRoot outside;
  root_.link(".tideway", outside.path().string());
  EXPECT_FALSE(Staging::create(open(), id(1)).ok());
  EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
}

TEST_F(StagingTest, AStoredManifestComesBackAsItWasWritten) {
  Staging staging = create();
  ASSERT_TRUE(staging.append_manifest(bytes_of("a page")).ok());
  Hash128 hash{};
  hash[0] = std::byte{9};
  ASSERT_TRUE(staging.write_leaf_hash(1, hash).ok());
  ASSERT_TRUE(staging.flush().ok());
  StoredManifestHeader header;
  header.root[3] = std::byte{5};
  header.entries = 4;
  header.leaves = 3;  // the last one was kept and has no hash
  header.destination = ObjectName::from_components({"a", "\xFF"}).value();
  ASSERT_TRUE(write_stored_manifest(staging, header, *open(), single_name("m")).ok());
  const auto stored = StoredManifest::open(*open(), single_name("m"));
  ASSERT_TRUE(stored.ok()) << stored.error().what;
  EXPECT_EQ(stored.value().header().root, header.root);
  EXPECT_EQ(stored.value().header().entries, 4U);
  EXPECT_EQ(stored.value().header().destination, header.destination);
  PageStream pages = stored.value().pages();
  EXPECT_EQ(pages.next().value().size(), 6U);
  EXPECT_TRUE(pages.next().value().empty());
  std::vector<Hash128> leaves(3);
  ASSERT_TRUE(stored.value().read_leaves(0, leaves));
  EXPECT_EQ(leaves[1], hash);
  EXPECT_EQ(leaves[2], Hash128{});
  EXPECT_FALSE(stored.value().read_leaves(1, leaves));
}

TEST_F(StagingTest, AStoredManifestThatWasCutOrChangedIsNeverTakenForWhole) {
  Staging staging = create();
  ASSERT_TRUE(staging.append_manifest(bytes_of("a page")).ok());
  StoredManifestHeader header;
  header.leaves = 2;
  header.destination = ObjectName::from_components({"a"}).value();
  ASSERT_TRUE(write_stored_manifest(staging, header, *open(), single_name("m")).ok());
  const std::string whole = root_.read("m");
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    root_.write("cut", whole.substr(0, cut));
    EXPECT_FALSE(StoredManifest::open(*open(), single_name("cut")).ok()) << cut;
  }
  for (const size_t at : {0U, 5U, 7U, 40U, 50U, 60U, 66U}) {  // magic, version, lengths, algorithm, counts
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x40);
    root_.write("changed", changed);
    EXPECT_FALSE(StoredManifest::open(*open(), single_name("changed")).ok()) << at;
  }
}

}  // namespace
}  // namespace tideway::storage
