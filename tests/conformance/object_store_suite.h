// SPDX-License-Identifier: Apache-2.0
//
// What every ObjectStore promises. To join, write a harness with these members and instantiate the suite with it:
//   void put(tree, name, node)      makes the directories above
//   void remove(tree, name)
//   ObjectStore& source(under)      a new source whose entry 0 is `under`
//   ObjectStore& sink()             a new sink
//   void on_entries(entries)        the newest sink has got this page of its manifest
//   std::string content(tree, name) of a file; empty when there is none
#pragma once
#include <tideway/object_store.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::conformance {

enum class Tree : uint8_t { kSource, kDestination };

struct Node {
  EntryType type = EntryType::kFile;
  std::string content;  // or target
  uint32_t mode = 0644;
  int64_t mtime_ns = 1'700'000'000'000'000'001;
};

inline ObjectName name(std::string_view text) { return ObjectName::from_text(text).value(); }

template <typename Harness>
class ObjectStoreSuite : public testing::Test {
 protected:
  static std::vector<ManifestEntry> list(ObjectStore& store, std::string_view under = "") {
    auto lister = store.list(name(under));
    std::vector<ManifestEntry> all, page(2);
    while (true) {
      const auto filled = lister->next(page);
      EXPECT_TRUE(filled.ok()) << (filled.ok() ? "" : filled.error().what);
      if (!filled.ok() || filled.value() == 0) return all;
      all.insert(all.end(), page.begin(), page.begin() + static_cast<ptrdiff_t>(filled.value()));
    }
  }

  // One request, to its answer. Stores answer by themselves, so this ends.
  static Status run(ObjectStore& store, StoreRequest request) {
    request.token = 77;
    while (store.submit({&request, 1}) == 0) {
      StoreDone other{0, success()};
      EXPECT_EQ(store.poll({&other, 1}), 0U) << "nothing else was asked";
    }
    StoreDone done{0, success()};
    while (store.poll({&done, 1}) == 0) {}
    EXPECT_EQ(done.token, 77U);
    return done.status;
  }
  static Status write(ObjectStore& store, ObjectId id, uint64_t offset, std::string bytes) {
    return run(store, {StoreOp::kWrite, 0, id, Bytes(offset), std::as_writable_bytes(std::span(bytes))});
  }
  static Status close(ObjectStore& store, ObjectId id) { return run(store, {StoreOp::kClose, 0, id, Bytes(), {}}); }
  static Result<std::string> read(ObjectStore& store, const ManifestEntry& entry) {
    std::string bytes(entry.size.count(), '?');
    auto status = run(store, {StoreOp::kRead, 0, entry.number, Bytes(), std::as_writable_bytes(std::span(bytes))});
    if (!status.ok()) return status.error();
    return bytes;
  }
  static void bind_all(ObjectStore& store, const std::vector<ManifestEntry>& entries) {
    for (const auto& entry : entries) store.bind(entry.number, entry);
  }

  // Moves a whole tree from source to sink and publishes it.
  Status copy(std::string_view under, const PublishOrder& order) {
    ObjectStore& source = harness_.source(name(under));
    ObjectStore& sink = harness_.sink();
    const auto entries = list(source);
    harness_.on_entries(entries);
    bind_all(source, entries);
    bind_all(sink, entries);
    for (const auto& entry : entries) {
      if (entry.type != EntryType::kFile || entry.size == Bytes()) continue;
      auto bytes = read(source, entry);
      if (!bytes.ok()) return bytes.error();
      if (auto status = write(sink, entry.number, 0, bytes.value()); !status.ok()) return status;
      if (auto status = close(sink, entry.number); !status.ok()) return status;
      if (auto status = close(source, entry.number); !status.ok()) return status;
    }
    if (auto status = run(sink, {StoreOp::kSync, 0, {}, {}, {}}); !status.ok()) return status;
    PublishOrder full = order;
    full.entries = entries.size();
    if (auto status = sink.publish(full); !status.ok()) return status;
    return sink.publish(full);  // twice is as good as once
  }

  void put_sample() {
    harness_.put(Tree::kSource, name("ckpt/model/shard-0"), {EntryType::kFile, std::string(10'000, 'a'), 0640});
    harness_.put(Tree::kSource, name("ckpt/model/shard-1"), {EntryType::kFile, "b"});
    harness_.put(Tree::kSource, name("ckpt/empty"), {EntryType::kFile, "", 0600});
    harness_.put(Tree::kSource, name("ckpt/link"), {EntryType::kSymlink, "model/shard-1", 0777});
    harness_.put(Tree::kSource, name("ckpt/model"), {EntryType::kDirectory, "", 0750});
    harness_.put(Tree::kSource, name("ckpt/\xFF"), {EntryType::kDirectory, ""});
    harness_.put(Tree::kSource, name("ckpt"), {EntryType::kDirectory, "", 0755});
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(ObjectStoreSuite);

TYPED_TEST_P(ObjectStoreSuite, ListsInManifestOrder) {
  for (const char* file : {"t/b/2", "t/b/1", "t/a", "t/b-x", "t/c"}) this->harness_.put(Tree::kSource, name(file), {});
  const auto entries = this->list(this->harness_.source(name("t")));
  std::vector<std::string> names;
  for (size_t i = 0; i < entries.size(); ++i) {
    names.push_back(entries[i].name);
    EXPECT_EQ(entries[i].number, ObjectId(static_cast<uint32_t>(i)));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"", "a", "b", "1", "2", "b-x", "c"}));
  EXPECT_EQ(entries[3].parent, ObjectId(2));
  EXPECT_EQ(entries[5].parent, ObjectId(0));
}

TYPED_TEST_P(ObjectStoreSuite, AMissingSourceIsSaidSo) {
  auto lister = this->harness_.source(name("nope")).list({});
  std::vector<ManifestEntry> page(1);
  const auto filled = lister->next(page);
  ASSERT_FALSE(filled.ok());
  EXPECT_EQ(filled.error().fault, Fault::kSourceMissing);
}

TYPED_TEST_P(ObjectStoreSuite, ACopiedTreeIsEqualInAllThatIsKept) {
  this->put_sample();
  const auto status = this->copy("ckpt", {name("deep/copy"), 0, {}});
  ASSERT_TRUE(status.ok()) << status.error().what;
  const auto before = this->list(this->harness_.source(name("ckpt")));
  auto after = this->list(this->harness_.sink(), "deep/copy");
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    after[i].version = before[i].version;  // of the file that it was read from
    if (before[i].type == EntryType::kSymlink) after[i].mtime_ns = before[i].mtime_ns;  // of a link is not kept
    EXPECT_EQ(before[i], after[i]) << before[i].name;
  }
}

TYPED_TEST_P(ObjectStoreSuite, ReadsGiveTheBytesFromTheirOffset) {
  this->harness_.put(Tree::kSource, name("f"), {EntryType::kFile, "0123456789"});
  ObjectStore& source = this->harness_.source(name("f"));
  this->bind_all(source, this->list(source));
  std::string bytes(4, '?');
  ASSERT_TRUE(this->run(source, {StoreOp::kRead, 0, ObjectId(0), 3_B, std::as_writable_bytes(std::span(bytes))}).ok());
  EXPECT_EQ(bytes, "3456");
  EXPECT_TRUE(this->close(source, ObjectId(0)).ok());
}

TYPED_TEST_P(ObjectStoreSuite, WritesMayComeInAnyOrder) {
  this->harness_.put(Tree::kSource, name("f"), {EntryType::kFile, "0123456789"});
  const auto entries = this->list(this->harness_.source(name("f")));
  ObjectStore& sink = this->harness_.sink();
  this->harness_.on_entries(entries);
  this->bind_all(sink, entries);
  ASSERT_TRUE(this->write(sink, ObjectId(0), 6, "6789").ok());
  ASSERT_TRUE(this->write(sink, ObjectId(0), 0, "012345").ok());
  ASSERT_TRUE(this->close(sink, ObjectId(0)).ok());
  ASSERT_TRUE(sink.publish({name("copy"), 1, {}}).ok());
  EXPECT_EQ(this->harness_.content(Tree::kDestination, name("copy")), "0123456789");
}

TYPED_TEST_P(ObjectStoreSuite, NothingShowsBeforePublish) {
  this->put_sample();
  const auto entries = this->list(this->harness_.source(name("ckpt")));
  ObjectStore& sink = this->harness_.sink();
  this->harness_.on_entries(entries);
  this->bind_all(sink, entries);
  for (const auto& entry : entries)
    if (entry.size > Bytes()) {
      ASSERT_TRUE(this->write(sink, entry.number, 0, std::string(entry.size.count(), 'x')).ok());
    }
  EXPECT_EQ(this->list(sink).size(), 1U) << "the root alone";
}

TYPED_TEST_P(ObjectStoreSuite, AByteTooManyIsRefusedAndHurtsNobodyElse) {
  this->put_sample();
  const auto entries = this->list(this->harness_.source(name("ckpt")));
  ObjectStore& sink = this->harness_.sink();
  this->bind_all(sink, entries);
  const auto file = std::find_if(entries.begin(), entries.end(), [](const auto& entry) { return entry.name == "shard-1"; });
  const auto status = this->write(sink, file->number, 0, "too long");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kProtocolError);
  EXPECT_FALSE(this->write(sink, ObjectId(4711), 0, "x").ok()) << "an object nobody announced";
  EXPECT_TRUE(this->write(sink, file->number, 0, "b").ok());
}

TYPED_TEST_P(ObjectStoreSuite, AnObjectThatNeverArrivedStopsThePublish) {
  this->put_sample();
  const auto entries = this->list(this->harness_.source(name("ckpt")));
  ObjectStore& sink = this->harness_.sink();
  this->harness_.on_entries(entries);
  this->bind_all(sink, entries);
  const auto status = sink.publish({name("copy"), entries.size(), {}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kManifestMismatch);
  EXPECT_EQ(this->list(sink).size(), 1U) << "nothing is visible";
}

TYPED_TEST_P(ObjectStoreSuite, AFileThatChangedWhileReadIsNoticedAtClose) {
  this->harness_.put(Tree::kSource, name("f"), {EntryType::kFile, "old"});
  ObjectStore& source = this->harness_.source(name("f"));
  const auto entries = this->list(source);
  this->bind_all(source, entries);
  ASSERT_TRUE(this->read(source, entries[0]).ok());
  this->harness_.put(Tree::kSource, name("f"), {EntryType::kFile, "new", 0644, 1'700'000'001'000'000'000});
  EXPECT_EQ(this->close(source, ObjectId(0)).error().fault, Fault::kSourceChanged);
}

TYPED_TEST_P(ObjectStoreSuite, AFileMayBeReadAgainAfterItsCloseAndIsComparedAgain) {
  this->harness_.put(Tree::kSource, name("f"), {EntryType::kFile, "old"});
  ObjectStore& source = this->harness_.source(name("f"));
  const auto entries = this->list(source);
  this->bind_all(source, entries);
  ASSERT_TRUE(this->read(source, entries[0]).ok());
  ASSERT_TRUE(this->close(source, ObjectId(0)).ok());
  const auto again = this->read(source, entries[0]);
  ASSERT_TRUE(again.ok()) << again.error().what;
  ASSERT_TRUE(this->close(source, ObjectId(0)).ok());
  this->harness_.put(Tree::kSource, name("f"), {EntryType::kFile, "new", 0644, 1'700'000'001'000'000'000});
  EXPECT_EQ(this->read(source, entries[0]).error().fault, Fault::kSourceChanged);
}

TYPED_TEST_P(ObjectStoreSuite, AFileThatBecameShorterIsNeverReadAsWhole) {
  this->harness_.put(Tree::kSource, name("f"), {EntryType::kFile, std::string(9'000, 'x')});
  ObjectStore& source = this->harness_.source(name("f"));
  const auto entries = this->list(source);
  this->bind_all(source, entries);
  this->harness_.put(Tree::kSource, name("f"), {EntryType::kFile, "short"});
  EXPECT_EQ(this->read(source, entries[0]).error().fault, Fault::kSourceChanged);
}

TYPED_TEST_P(ObjectStoreSuite, AFileThatIsGoneIsSaidSo) {
  this->harness_.put(Tree::kSource, name("f"), {EntryType::kFile, "old"});
  this->harness_.put(Tree::kSource, name("g"), {EntryType::kFile, "old"});
  ObjectStore& source = this->harness_.source({});
  const auto entries = this->list(source);
  this->bind_all(source, entries);
  ASSERT_TRUE(this->read(source, entries[1]).ok());
  this->harness_.remove(Tree::kSource, name("f"));
  this->harness_.remove(Tree::kSource, name("g"));
  EXPECT_EQ(this->close(source, ObjectId(1)).error().fault, Fault::kSourceVanished);
  EXPECT_EQ(this->read(source, entries[2]).error().fault, Fault::kSourceVanished);
}

TYPED_TEST_P(ObjectStoreSuite, AnExistingDirectoryGetsWhatItLacksAndKeepsTheRest) {
  this->put_sample();
  this->harness_.put(Tree::kDestination, name("copy/mine"), {EntryType::kFile, "mine"});
  const auto status = this->copy("ckpt", {name("copy"), 0, {}});
  ASSERT_TRUE(status.ok()) << status.error().what;
  EXPECT_EQ(this->harness_.content(Tree::kDestination, name("copy/mine")), "mine");
  EXPECT_EQ(this->harness_.content(Tree::kDestination, name("copy/model/shard-1")), "b");
}

TYPED_TEST_P(ObjectStoreSuite, ADifferentFileAtTheDestinationIsNeverReplaced) {
  this->put_sample();
  this->harness_.put(Tree::kDestination, name("copy/model/shard-1"), {EntryType::kFile, "precious"});
  const auto status = this->copy("ckpt", {name("copy"), 0, {}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kDestExists);
  EXPECT_EQ(this->harness_.content(Tree::kDestination, name("copy/model/shard-1")), "precious");
  EXPECT_EQ(this->harness_.content(Tree::kDestination, name("copy/model/shard-0")), "") << "checked before anything moves";
}

TYPED_TEST_P(ObjectStoreSuite, AFileInTheWayOfADirectoryIsATypeConflict) {
  this->put_sample();
  this->harness_.put(Tree::kDestination, name("copy/model"), {EntryType::kFile, "a file"});
  const auto status = this->copy("ckpt", {name("copy"), 0, {}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kTypeConflict);
  EXPECT_EQ(this->harness_.content(Tree::kDestination, name("copy/model")), "a file");
}

TYPED_TEST_P(ObjectStoreSuite, WhatTheDestinationAlreadyHasNeedsNotBeSent) {
  this->put_sample();
  ASSERT_TRUE(this->copy("ckpt", {name("copy"), 0, {}}).ok());
  const auto entries = this->list(this->harness_.source(name("ckpt")));
  ObjectStore& sink = this->harness_.sink();
  this->harness_.on_entries(entries);
  this->bind_all(sink, entries);
  const auto status = sink.publish({name("copy"), entries.size(), {}});
  EXPECT_TRUE(status.ok()) << status.error().what;
}

TYPED_TEST_P(ObjectStoreSuite, AsManyRequestsAsPromisedAreTakenAndAllAnswered) {
  this->harness_.put(Tree::kSource, name("f"), {EntryType::kFile, std::string(200, 'x')});
  ObjectStore& source = this->harness_.source(name("f"));
  this->bind_all(source, this->list(source));
  const uint32_t most = source.limits().in_flight_max;
  std::vector<std::byte> bytes(most + 8);
  std::vector<StoreRequest> requests;
  for (uint32_t i = 0; i < most + 8; ++i)
    requests.push_back({StoreOp::kRead, i, ObjectId(0), Bytes(i), std::span(bytes).subspan(i, 1)});
  const size_t taken = source.submit(requests);
  EXPECT_EQ(taken, most);
  std::map<uint32_t, int> answers;
  std::vector<StoreDone> done(5, {0, success()});
  while (answers.size() < taken) {
    const size_t count = source.poll(done);
    for (size_t i = 0; i < count; ++i) {
      EXPECT_TRUE(done[i].status.ok());
      ++answers[done[i].token];
    }
  }
  for (const auto& [token, count] : answers) EXPECT_EQ(count, 1) << token;
  EXPECT_EQ(source.poll(done), 0U);
}

REGISTER_TYPED_TEST_SUITE_P(ObjectStoreSuite, ListsInManifestOrder, AMissingSourceIsSaidSo,
                            ACopiedTreeIsEqualInAllThatIsKept, ReadsGiveTheBytesFromTheirOffset,
                            WritesMayComeInAnyOrder, NothingShowsBeforePublish, AByteTooManyIsRefusedAndHurtsNobodyElse,
                            AnObjectThatNeverArrivedStopsThePublish, AFileThatChangedWhileReadIsNoticedAtClose,
                            AFileMayBeReadAgainAfterItsCloseAndIsComparedAgain, AFileThatBecameShorterIsNeverReadAsWhole, AFileThatIsGoneIsSaidSo,
                            AnExistingDirectoryGetsWhatItLacksAndKeepsTheRest,
                            ADifferentFileAtTheDestinationIsNeverReplaced, AFileInTheWayOfADirectoryIsATypeConflict,
                            WhatTheDestinationAlreadyHasNeedsNotBeSent, AsManyRequestsAsPromisedAreTakenAndAllAnswered);

}  // namespace tideway::conformance
