// SPDX-License-Identifier: Apache-2.0
#include "session/verify_tree.h"

#include "digest/leaf_hash.h"
#include "digest/tree_hasher.h"
#include "messages/manifest_page.h"
#include "storage/publish.h"
#include "support/manifest_entries.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace tideway::session {
namespace {

Result<std::vector<ManifestEntry>> read_page(std::span<const std::byte> bytes) {
  auto page = messages::parse_manifest_page(bytes);
  if (!page.ok()) return std::move(page).error();
  return std::move(page.value().entries);
}

// Publishes small trees the way a sink does, and verifies them.
class VerifyTreeTest : public testing::Test {
 protected:
  enum class Sent : uint8_t { kYes, kKept };
  static constexpr int64_t kWholeSecond = 1'700'000'000'000'000'000;
  void begin(unsigned char id = 1) {
    TransferId transfer{};
    transfer[0] = std::byte{id};
    const auto root = std::make_shared<storage::RootedDir>(
        storage::RootedDir::open_host_path(root_.path().string(), storage::Side::kDestination).value());
    staging_.emplace(storage::Staging::create(root, transfer).value());
    pages_.emplace(transfer);
    tree_ = {};
    entries_ = 0;
    leaves_ = 0;
  }
  ObjectId add(uint32_t parent, std::string name, EntryType type, uint32_t mode, Bytes size = {}) {
    ManifestEntry entry = test::entry_of(entries_++, parent, std::move(name), type);
    entry.mode = mode;
    entry.mtime_ns = kWholeSecond;
    entry.size = size;
    EXPECT_TRUE(tree_.add(entry).ok());
    pages_->add(entry);
    return entry.number;
  }
  void dir(uint32_t parent, std::string name, uint32_t mode = 0755) { add(parent, std::move(name), EntryType::kDirectory, mode); }
  void file(uint32_t parent, std::string name, std::string_view content, Sent sent = Sent::kYes) {
    const auto bytes = std::as_bytes(std::span(content));
    const ObjectId id = add(parent, std::move(name), EntryType::kFile, 0640, Bytes(content.size()));
    if (content.empty()) return;
    const uint64_t leaf = leaves_++;
    if (sent == Sent::kKept) {
      EXPECT_TRUE(tree_.set_kept(id));
      return;
    }
    const Hash128 hash = digest::leaf_hash(bytes);
    EXPECT_TRUE(staging_->write_leaf_hash(leaf, hash).ok());
    digest::ObjectHasher hasher;
    hasher.add_leaf(static_cast<uint32_t>(content.size()), hash);
    EXPECT_TRUE(tree_.set_root(id, hasher.finish()));
    const auto made = staging_->create_object(id).value();
    EXPECT_EQ(storage::write_all(made.get(), 0, bytes), 0);
    EXPECT_EQ(::fchmod(made.get(), 0640 & modes_), 0);
    EXPECT_EQ(storage::set_times(made.get(), kWholeSecond), 0);
  }
  void publish(std::string_view to, storage::PublishRules::Form form = storage::PublishRules::Form::kAuto) {
    const std::string page = messages::serialize(pages_->take());
    ASSERT_TRUE(staging_->append_manifest(std::as_bytes(std::span(page))).ok());
    const PublishOrder order{ObjectName::from_text(to).value(), entries_, tree_.finish().value()};
    storage::PublishHow how{read_page, modes_};
    how.rules.form = form;
    const auto status = storage::publish_staged(*staging_, order, how);
    ASSERT_TRUE(status.ok()) << status.error().what;
    ASSERT_TRUE(staging_->remove().ok());
  }
  // A tree with the file "sub/f" and the directory "wide", and what to check its signature with.
  crypto::RootChecker publish_signed(std::string_view to, storage::PublishRules::Form form = storage::PublishRules::Form::kAuto) {
    const auto pair = crypto::make_signing_key();
    root_.write("a.key", pair.value().secret.text());
    EXPECT_EQ(::chmod((root_ / "a.key").c_str(), 0600), 0);
    root_.write("a.pub", pair.value().public_half);
    begin();
    dir(0, "");
    dir(0, "sub");
    file(1, "f", "content");
    dir(0, "wide");
    const crypto::SignedTree tree{tree_.finish().value(), entries_, 7};
    EXPECT_TRUE(staging_->keep_signature(crypto::RootSigner::open((root_ / "a.key").string()).value().sign("atlanta", tree)).ok());
    publish(to, form);
    return crypto::RootChecker::open((root_ / "a.pub").string()).value();
  }
  std::string verify(std::string_view name, const VerifyHow& how = {}) const {
    const auto report = verify_tree((root_ / name).string(), how);
    if (!report.ok()) return report.error().what;
    std::string text = report.value().is_good() ? "good" : "";
    for (const Difference& one : report.value().differences) text += one.path + " " + one.what + "; ";
    return text;
  }

  TempRoot root_;
  std::optional<storage::Staging> staging_;
  std::optional<messages::PageBuilder> pages_;
  digest::TreeHasher tree_;
  uint32_t entries_ = 0, modes_ = 0777;
  uint64_t leaves_ = 0;
};

TEST_F(VerifyTreeTest, ANewTreeIsGoodUntilSomethingInItChanges) {
  begin();
  dir(0, "", 0750);
  dir(0, "sub", 0555);
  file(1, "f", "content");
  publish("copy");
  EXPECT_EQ(verify("copy"), "good");
  std::ofstream(root_ / "copy/sub/f", std::ios::binary | std::ios::in) << "Content";
  EXPECT_EQ(verify("copy"), "sub/f differs in bytes 0 to 6; ");
}

// Retention takes a checkpoint away whenever it likes.
TEST_F(VerifyTreeTest, D10ATreeThatIsRemovedWhileItIsReadIsMissingAndNotDamaged) {
  begin();
  dir(0, "");
  for (const char* name : {"a", "b", "c"}) file(0, name, "content");
  publish("copy");
  VerifyHow how;
  how.on_progress = [&](Bytes) { std::filesystem::remove_all(root_ / "copy"); };
  EXPECT_EQ(verify("copy", how), "b is missing; c is missing; ");
  const auto again = verify_tree((root_ / "copy").string());
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().fault, Fault::kSourceMissing);
}

TEST_F(VerifyTreeTest, DamagedLeavesAreNamedAndReadFromTheDevice) {
  begin();
  dir(0, "");
  file(0, "bad", "content");
  file(0, "gone", "content");
  file(0, "good", "content");
  publish("copy");
  std::vector<std::pair<std::string, std::vector<uint32_t>>> damaged;
  Bytes read;
  VerifyHow how{ReadFrom::kDevice, nullptr, [&](Bytes done) { read = done; },
                [&](const DamagedFile& file) { damaged.emplace_back(to_display(file.name), file.leaves); }};
  const auto is_in_memory = [&](const std::string& said) { return said.find("stays in memory") != std::string::npos; };
  std::ofstream(root_ / "copy/bad", std::ios::binary | std::ios::in) << "Content";
  std::filesystem::remove(root_ / "copy/gone");
  for (const char* file : {"copy/bad", "copy/good"}) {
    const int fd = ::open((root_ / file).c_str(), O_RDONLY);
    ASSERT_EQ(::fdatasync(fd), 0);
    ::close(fd);
  }
  const std::string said = verify("copy", how);
  if (is_in_memory(said)) GTEST_SKIP() << "temporary files lie in memory here";
  EXPECT_EQ(said, "bad differs in bytes 0 to 6; gone is missing; ");
  EXPECT_EQ(read, 14_B);
  using Leaves = std::vector<uint32_t>;
  EXPECT_EQ(damaged, (std::vector<std::pair<std::string, Leaves>>{{"bad", Leaves{0}}, {"gone", Leaves{0}}}));
}

TEST_F(VerifyTreeTest, ASignatureIsKeptWithTheTreeAndHasToBeOfItsKey) {
  const auto pair = crypto::make_signing_key();
  root_.write("a.key", pair.value().secret.text());
  ASSERT_EQ(::chmod((root_ / "a.key").c_str(), 0600), 0);
  root_.write("a.pub", pair.value().public_half);
  root_.write("b.pub", crypto::make_signing_key().value().public_half);
  const auto signer = crypto::RootSigner::open((root_ / "a.key").string());
  const auto right = crypto::RootChecker::open((root_ / "a.pub").string()), wrong = crypto::RootChecker::open((root_ / "b.pub").string());
  for (const char* name : {"plain", "signed", "early"}) {
    begin();
    dir(0, "");
    file(0, "f", "content");
    const crypto::SignedTree tree{tree_.finish().value(), entries_, std::string_view(name) == "early" ? 6U : 7U};
    const bool is_signed = std::string_view(name) != "plain";
    ASSERT_TRUE(staging_->keep_signature(is_signed ? std::optional(signer.value().sign("atlanta", tree)) : std::nullopt).ok());
    publish(name);
    EXPECT_EQ(verify(name), "good");
  }
  EXPECT_EQ(verify("signed", {.signer = &right.value()}), "good");
  EXPECT_EQ(verify_tree((root_ / "signed").string()).value().signed_by, "atlanta");
  EXPECT_EQ(verify("signed", {.signer = &wrong.value()}), "the signature of the tree, by site atlanta, is not one of this key");
  EXPECT_EQ(verify("early", {.signer = &right.value()}), "the signature of the tree, by site atlanta, is not one of this key");
  EXPECT_EQ(verify("plain", {.signer = &right.value()}), "the tree came without a signature");
}

TEST_F(VerifyTreeTest, WhatWasPutIntoATreeSinceIsCountedAndNoSignatureStandsForIt) {
  const auto checker = publish_signed("copy");
  EXPECT_EQ(verify("copy", {.signer = &checker}), "good");
  EXPECT_EQ(verify_tree((root_ / "copy").string()).value().not_listed, 0U) << "our own files at its top are known";
  root_.write("copy/sub/model.pkl", "not from atlanta");
  root_.write("copy/wide/.more", "");
  const auto report = verify_tree((root_ / "copy").string());
  EXPECT_TRUE(report.value().is_good()) << "what was published is there";
  EXPECT_EQ(report.value().not_listed, 2U);
  EXPECT_EQ(report.value().not_listed_in, "sub");
  EXPECT_EQ(verify("copy", {.signer = &checker}), "\"sub\" holds what is not in the manifest, and the signature says nothing of that");
  std::filesystem::remove(root_ / "copy/sub/f");  // one for another
  EXPECT_EQ(verify_tree((root_ / "copy").string()).value().not_listed, 2U);
  EXPECT_EQ(verify("copy"), "sub/f is missing; ");
}

TEST_F(VerifyTreeTest, AtTheTopOfANewTreeNothingElseMayStandUnderASignature) {
  const auto checker = publish_signed("copy");
  root_.write("copy/model.pkl", "not from atlanta");
  EXPECT_EQ(verify("copy", {.signer = &checker}), "\".\" holds what is not in the manifest, and the signature says nothing of that");
}

TEST_F(VerifyTreeTest, NoSignatureStandsForWhatWasPutIntoDirectoriesOfATreeThatAppearedPartByPart) {
  for (const auto form : {storage::PublishRules::Form::kMarker, storage::PublishRules::Form::kEach}) {
    const std::string copy = form == storage::PublishRules::Form::kMarker ? "marker" : "each";
    const auto checker = publish_signed(copy, form);
    EXPECT_EQ(verify(copy, {.signer = &checker}), "good");
    EXPECT_EQ(verify_tree((root_ / copy).string()).value().not_listed, 0U);
    root_.write(copy + "/sub/model.pkl", "not from atlanta");
    root_.write(copy + "/other", "");
    const auto report = verify_tree((root_ / copy).string());
    EXPECT_TRUE(report.value().is_good());
    EXPECT_EQ(report.value().not_listed, 2U);
    EXPECT_EQ(report.value().beside, 1U);
    EXPECT_EQ(report.value().not_listed_in, copy + "/sub");
    EXPECT_EQ(verify(copy, {.signer = &checker}), '"' + copy + "/sub\" holds what is not in the manifest, and the signature says nothing of that");
  }
}

TEST_F(VerifyTreeTest, OthersBesideATreeThatCameIntoADirectoryAreCountedAndTakeNoSignatureFromIt) {
  root_.write("copy/other", "was here before");
  const auto checker = publish_signed("copy");
  root_.write("copy/later/file", "of another copy");
  EXPECT_EQ(verify("copy", {.signer = &checker}), "good");
  const auto report = verify_tree((root_ / "copy").string());
  EXPECT_EQ(report.value().not_listed, 2U);
  EXPECT_EQ(report.value().beside, 2U);
  EXPECT_EQ(report.value().not_listed_in, "copy");
}

TEST_F(VerifyTreeTest, OurOwnFilesAtTheRootThatATreeCameIntoAreKnown) {
  const auto checker = publish_signed("");
  EXPECT_EQ(verify(".", {.signer = &checker}), "good");
  const auto report = verify_tree(root_.path().string());
  EXPECT_EQ(report.value().not_listed, 2U) << "the keys of this test";
}

TEST_F(VerifyTreeTest, WhatStoodThereBeforeKeepsItsModeAndIsGood) {
  root_.write("copy/sub/empty", "");
  ASSERT_EQ(::chmod((root_ / "copy/sub").c_str(), 0711), 0);
  ASSERT_EQ(::chmod((root_ / "copy/sub/empty").c_str(), 0600), 0);
  const timespec times[2] = {{1'700'000'000, 0}, {1'700'000'000, 0}};
  ASSERT_EQ(::utimensat(-1, (root_ / "copy/sub/empty").c_str(), times, 0), 0);
  begin();
  dir(0, "", 0750);
  dir(0, "sub", 0755);
  file(1, "empty", "");
  file(1, "new", "content");
  publish("copy");
  EXPECT_EQ(verify("copy"), "good");
  ASSERT_EQ(::chmod((root_ / "copy/sub/new").c_str(), 0600), 0);
  EXPECT_EQ(verify("copy"), "copy/sub/new has other permissions; ") << "that one is ours";
}

TEST_F(VerifyTreeTest, TheNewerOfTwoManifestsCounts) {
  begin();
  dir(0, "");
  file(0, "old", "content");
  publish("copy");
  begin(2);
  dir(0, "");
  file(0, "new", "content");
  file(0, "old", "content", Sent::kKept);
  publish("copy");
  ASSERT_EQ(verify("copy"), "good");
  std::filesystem::remove(root_ / "copy/new");
  EXPECT_EQ(verify("copy"), "copy/new is missing; ");
}

TEST_F(VerifyTreeTest, ACopyThatBroughtNothingLeavesTheManifestThatKnowsTheHashes) {
  for (unsigned char id = 1; id <= 2; ++id) {
    begin(id);
    dir(0, "");
    file(0, "f", "content", id == 1 ? Sent::kYes : Sent::kKept);
    publish("copy");
  }
  EXPECT_EQ(verify("copy"), "good");
  std::ofstream(root_ / "copy/f", std::ios::binary | std::ios::in) << "Content";
  EXPECT_EQ(verify("copy"), "f differs in bytes 0 to 6; ");
}

TEST_F(VerifyTreeTest, ADirectoryThatWasItselfTheRootIsFound) {
  begin();
  dir(0, "", 0700);
  file(0, "f", "content");
  publish("");
  EXPECT_EQ(verify("."), "good");
}

TEST_F(VerifyTreeTest, ASingleFileIsFoundByItsName) {
  begin();
  file(0, "", "content");
  publish("sub/copy");
  EXPECT_EQ(verify("sub/copy"), "good");
  root_.write("sub/other", "x");
  EXPECT_NE(verify("sub/other").find("has no manifest"), std::string::npos);
}

TEST_F(VerifyTreeTest, ModesAreComparedWithWhatWasGranted) {
  modes_ = 0700;
  begin();
  dir(0, "", 0755);
  dir(0, "sub", 0755);
  file(1, "f", "content");
  publish("copy");
  EXPECT_EQ(verify("copy"), "good");
}

// A wrong hash in the manifest looks like a damaged file; its own root tells that it is not to be trusted.
TEST_F(VerifyTreeTest, ADamagedManifestIsReportedBesideTheDifferences) {
  begin();
  dir(0, "");
  file(0, "f", "content");
  publish("copy");
  const auto manifest = root_ / "copy/.tideway-manifest";
  std::string bytes = root_.read("copy/.tideway-manifest");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  std::ofstream(manifest, std::ios::binary) << bytes;
  const std::string found = verify("copy");
  EXPECT_NE(found.find("f differs"), std::string::npos) << found;
  EXPECT_NE(found.find("own root"), std::string::npos) << found;
}

TEST_F(VerifyTreeTest, ASizeThatTheHashesDoNotCoverIsDamageAndNoAllocation) {
  begin();
  dir(0, "");
  file(0, "f", "content");
  ManifestEntry huge = test::entry_of(entries_++, 0, "g");
  huge.size = Bytes(messages::kFileSizeMax);
  ASSERT_TRUE(tree_.add(huge).ok());
  pages_->add(huge);
  const std::string page = messages::serialize(pages_->take());
  ASSERT_TRUE(staging_->append_manifest(std::as_bytes(std::span(page))).ok());
  ASSERT_TRUE(staging_->flush().ok());
  root_.make_dir("copy");
  const auto copy = storage::RootedDir::open_host_path((root_ / "copy").string(), storage::Side::kDestination).value();
  storage::StoredManifestHeader header;
  header.entries = entries_;
  header.leaves = 1;
  ASSERT_TRUE(write_stored_manifest(*staging_, header, copy, storage::single_name(".tideway-manifest")).ok());
  root_.write("copy/f", "content");
  EXPECT_NE(verify("copy").find("hashes of \"g\" are missing"), std::string::npos) << verify("copy");
}

}  // namespace
}  // namespace tideway::session
