// SPDX-License-Identifier: Apache-2.0
//
// A sink's way to disk, with everything behind it and a source in memory in front of it: what it leaves when its source goes away,
// and what another one makes of that. Kills, losses of power and calls that fail are tried in sim/copy_faults_test.cc.
#include "engine/receive_path.h"

#include "digest/leaf_hash.h"
#include "engine/published_entries.h"
#include "mem/buffer_pool.h"
#include "storage/blocking_queue.h"
#include "storage/memory_store.h"
#include "storage/scan.h"
#include "support/temp_root.h"
#include "transfer/sender.h"

#include <gtest/gtest.h>

#include <fstream>

namespace tideway::engine {
namespace {

namespace fs = std::filesystem;
using storage::MemoryNode;
using storage::MemoryTree;

constexpr TransferId kId{std::byte{5}};
constexpr int64_t kMtime = 1'700'000'000'000'000'000;
constexpr size_t kBuffers = 4;
constexpr size_t kLast = 300'000, kLastOfTwo = 6'000'000;  // bytes of the last file: of one leaf, of two

MemoryNode file_of(size_t size, uint8_t seed) {
  MemoryNode node;
  node.mtime_ns = kMtime;
  node.bytes.resize(size);
  for (size_t i = 0; i < size; ++i) node.bytes[i] = static_cast<std::byte>((i * 31 + (i >> 12) + seed) | 1);
  return node;
}

ObjectName named(std::string_view text) { return ObjectName::from_text(text).value(); }

MemoryTree some_tree(size_t last = kLast) {
  MemoryTree tree;
  tree.put(named("a"), file_of(4'194'304 + 5000, 1));
  tree.put(named("b"), file_of(10, 2));
  tree.put(named("c/e"), file_of(100, 3));
  tree.put(named("c/f"), file_of(0, 4));
  tree.put(named("z"), file_of(last, 5));
  return tree;
}

// A device that changes bytes of the first large writes it is given.
class RottingQueue final : public storage::IoQueue {
 public:
  explicit RottingQueue(int rotten) : rotten_(rotten) {}
  std::string_view name() const override { return inner_.name(); }
  size_t room() const override { return inner_.room(); }
  void submit(const storage::IoRequest& request) override {
    inner_.submit(request);
    reads_ += request.op == storage::IoOp::kRead ? 1 : 0;
    if (request.op != storage::IoOp::kWrite || rotten_-- <= 0) return;
    const char other = '!';
    EXPECT_EQ(::pwrite(request.fd, &other, 1, static_cast<off_t>(request.offset) + 7), 1);
  }
  size_t poll(uint32_t owner, std::span<storage::IoDone> out) override { return inner_.poll(owner, out); }
  void drain(uint32_t owner) override { inner_.drain(owner); }
  int reads() const { return reads_; }

 private:
  storage::BlockingQueue inner_;
  int rotten_, reads_ = 0;
};

struct CopyOptions {
  messages::VerifyLevel verify = messages::VerifyLevel::kMemory;
  int rotten = 0;  // writes
  const char* to = "out";
  StartSink::Base base = StartSink::Base::kNone;
};

// One run of the transfer, as the control thread, the cpu worker and a peer would drive it.
class Copy {
 public:
  Copy(const MemoryTree& tree, const fs::path& root, const CopyOptions& options = {})
      : tree_(tree), queue_(options.rotten) {
    start_board_ = std::make_shared<TransferBoard>();
    rings_.io_bell = rings_.control_bell = bell_.get();
    rings_.net_bells = rings_.cpu_bells = {bell_.get()};
    StartSink start;
    start.transfer = TransferHandle(1);
    start.id = start.staging = kId;
    start.board = start_board_;
    start.options.verify = options.verify;
    start.root = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root.string(), storage::Side::kDestination).value());
    start.destination = named(options.to);
    start.base = options.base;
    path_ = std::make_unique<ReceivePath>(std::move(start), ReceivePath::Around{queue_, rings_, leaf_buffers_});
    storage::MemorySource source(tree, {});
    const auto lister = source.list({});
    std::vector<ManifestEntry> entries(64);
    entries.resize(lister->next(entries).value());
    for (ManifestEntry& entry : entries) {
      names_[entry.number] = entry.number == entry.parent ? ObjectName() : names_[entry.parent].child(entry.name).value();
      if (entry.type == EntryType::kFile) entry.version = tree.find(names_[entry.number])->version;
    }
    EXPECT_TRUE(sender_.on_listed(entries).ok());
    sender_.on_scan_end();
  }

  // Turns until it is over, at most so many; it is dropped after the last.
  std::optional<Result<TransferDone::Outcome>> go(int turns = 10'000) {
    for (; turns > 0 && !outcome_; --turns) turn();
    path_->leave(now_, outcome_ && outcome_->ok() ? Leftovers::kRemoved : Leftovers::kKept);
    path_.reset();
    return outcome_;
  }
  const transfer::Sender& sender() const { return sender_; }
  const TransferBoard& board() const { return *start_board_; }
  Bytes crossed() const { return crossed_; }  // raw bytes of blocks that were sent
  int reads() const { return queue_.reads(); }

 private:
  void turn() {
    now_ += std::chrono::milliseconds(400);
    while (auto message = sender_.next_message())
      std::visit([&](auto&& m) { path_->on_peer_message(TransferMessage(std::move(m)), events_); }, std::move(*message));
    path_->poll(now_, events_);
    while (auto event = rings_.io_control.events.pop()) std::visit([&](auto&& e) { on(std::move(e)); }, std::move(*event));
    while (rings_.io_net[0]->freed.pop()) {}
    send_block();
    while (const auto object = sender_.next_close()) sender_.on_closed(*object);
    while (sender_.next_release()) {}
  }
  void send_block() {
    Buffer buffer = pool_->take();
    auto plan = is_accepted_ && !buffer.is_empty() ? sender_.next_block() : std::nullopt;
    if (!plan) return;
    block::UnpackedBlock block{{SlotId(1), plan->key.block}, {}, std::move(buffer), {}, {}};
    for (const transfer::LeafRead& leaf : plan->leaves) {
      const auto from = std::span(tree_.find(names_[leaf.object])->bytes).subspan(leaf.leaf * kLeafSize.count(), leaf.length);
      std::ranges::copy(from, block.bytes.data().begin() + leaf.at);
      block.segments.push_back({leaf.object, leaf.leaf, leaf.length, digest::leaf_hash(from)});
    }
    block.raw = block.bytes.data().first(plan->raw_size);
    const std::vector<Hash128> base = sender_.base_of(block.segments);
    if (!base.empty() && std::ranges::equal(block.segments, base, {}, &block::Segment::hash)) return sender_.on_same(plan->key, block.segments);
    sender_.on_packed(plan->key, block.segments);
    crossed_ += Bytes(plan->raw_size);
    const BlockKey key = block.key;
    path_->on_block({lane_handle(0, 1), TransferHandle(1), std::move(block), key, 0}, events_);
  }
  void on(SinkReady&& ready) {
    is_accepted_ = true;
    sender_.on_accepted(ready.needed == SourceAccepted::Needed::kEverything ? transfer::Answers::kEverythingNeeded
                                                                            : transfer::Answers::kPerPage);
  }
  void on(ToPeer&& to) {
    path_->on_message_taken();
    Status status = success();
    if (auto* held = std::get_if<messages::ObjectsHeld>(&to.message)) status = sender_.on_held(*held);
    if (auto* base = std::get_if<messages::BaseLeaves>(&to.message)) sender_.on_base(*base);
    if (auto* needs = std::get_if<messages::Needs>(&to.message)) status = sender_.on_needs(*needs);
    if (auto* delivered = std::get_if<messages::BlocksDelivered>(&to.message)) status = sender_.on_delivered(*delivered);
    if (auto* rejected = std::get_if<messages::SegmentsRejected>(&to.message)) status = sender_.on_rejected(*rejected);
    EXPECT_TRUE(status.ok());
  }
  void on(TransferDone&& done) { outcome_ = std::move(done.outcome); }
  template <typename Event>
  void on(Event&&) {}

  const MemoryTree& tree_;
  std::unique_ptr<BufferPool> pool_ = BufferPool::create(kBuffers).value();
  std::unique_ptr<Doorbell> bell_ = Doorbell::create().value();
  Rings rings_{1, 1, kBuffers};
  EventOutlet events_{rings_};
  RottingQueue queue_;
  LeafBuffers leaf_buffers_;
  std::shared_ptr<TransferBoard> start_board_;
  std::unique_ptr<ReceivePath> path_;
  transfer::Sender sender_{{.transfer = kId}};
  std::map<ObjectId, ObjectName> names_;
  bool is_accepted_ = false;
  Bytes crossed_;
  std::optional<Result<TransferDone::Outcome>> outcome_;
  Time now_{};
};

class ReceivePathTest : public testing::Test {
 protected:
  fs::path root() const { return dir_ / "root"; }
  void SetUp() override { dir_.make_dir("root"); }
  // All of the tree is at its place; nothing else is there.
  void expect_published(const MemoryTree& tree, const std::string& as = "out") const {
    for (const auto& [name, node] : tree.nodes()) {
      const std::string shown = "root/" + as + (name.is_root() ? "" : "/" + to_display(name));
      ASSERT_TRUE(dir_.exists(shown)) << shown;
      if (node.type != EntryType::kFile) continue;
      const std::string bytes = dir_.read(shown);
      ASSERT_TRUE(std::ranges::equal(std::as_bytes(std::span(bytes)), node.bytes)) << shown << " has other bytes";
    }
    EXPECT_TRUE(staged().empty()) << "staging is left";
  }
  std::vector<fs::path> staged() const {
    std::vector<fs::path> found;
    if (!fs::exists(root() / ".tideway")) return found;
    for (const auto& entry : fs::directory_iterator(root() / ".tideway"))
      if (entry.path().filename() != "manifests") found.push_back(entry.path());
    return found;
  }
  TempRoot dir_;
};

TEST_F(ReceivePathTest, GoesOnAfterTheSourceVanishedAtAnyTurn) {
  const MemoryTree tree = some_tree();
  Bytes held_max;
  for (int turns = 1;; ++turns) {
    fs::remove_all(root());
    fs::create_directory(root());
    if (Copy(tree, root()).go(turns) || fs::exists(root() / "out")) break;
    ASSERT_LT(turns, 1000);
    Copy again(tree, root());
    const auto outcome = again.go();
    ASSERT_TRUE(outcome && outcome->ok()) << turns << ": " << (outcome ? outcome->error().what : "no end");
    expect_published(tree);
    held_max = std::max(held_max, again.sender().bytes_held());
  }
  EXPECT_GE(held_max, 4_MiB) << "all that was written before it vanished counts";
}

// Each run is stopped a little later than the one before it has come.
TEST_F(ReceivePathTest, ManyRunsTogetherComeToTheEnd) {
  const MemoryTree tree = some_tree();
  Bytes held;
  for (int run = 0; run < 50; ++run) {
    Copy one(tree, root());
    one.go(3);
    if (fs::exists(root() / "out")) return expect_published(tree);
    EXPECT_GE(one.sender().bytes_held(), held) << "what was safe once stays so";
    held = one.sender().bytes_held();
  }
  FAIL() << "no run came to the end";
}

// ---- what is not the same any more -----------------------------------------------------------------------------------

class ChangedSourceTest : public ReceivePathTest {
 protected:
  // All but the end of `before` arrives, then `after` is copied; gives what that run found.
  Bytes held_of(const MemoryTree& before, const MemoryTree& after) {
    fs::remove_all(root());
    fs::create_directory(root());
    EXPECT_FALSE(Copy(before, root()).go(6));
    EXPECT_EQ(staged().size(), 1U);
    Copy again(after, root());
    const auto outcome = again.go();
    EXPECT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
    if (outcome && outcome->ok()) expect_published(after);
    return again.sender().bytes_held();
  }
};

TEST_F(ChangedSourceTest, AnObjectThatChangedIsSentAnewByItself) {
  const MemoryTree before = some_tree(kLastOfTwo);
  const Bytes all = held_of(before, before);
  EXPECT_GE(all, 4_MiB + 5000_B + 4_MiB);
  MemoryTree after = before;
  after.put(named("a"), file_of(4'194'304 + 4000, 9));
  EXPECT_EQ(held_of(before, after), all - 4_MiB - 5000_B) << "another size, and as many leaves";
  after = before;
  after.put(named("a"), file_of(4'194'304 + 5000, 9));
  EXPECT_EQ(held_of(before, after), all - 4_MiB - 5000_B) << "the same size and time: only its version tells";
}

TEST_F(ChangedSourceTest, FromAnEntryOnThatCameOrWentAllIsSentAnew) {
  const MemoryTree before = some_tree(kLastOfTwo);
  MemoryTree after = before;
  after.put(named("aa"), file_of(3, 9));
  EXPECT_EQ(held_of(before, after), 4_MiB + 5000_B);
  after = before;
  after.remove(named("b"));
  EXPECT_EQ(held_of(before, after), 4_MiB + 5000_B);
}

TEST_F(ChangedSourceTest, WhatIsTakenOutOfStagingIsSentAgain) {
  const MemoryTree tree = some_tree(kLastOfTwo);
  EXPECT_FALSE(Copy(tree, root()).go(6));
  ASSERT_EQ(staged().size(), 1U);
  fs::remove(staged().front() / "data/00000/001");
  fs::resize_file(staged().front() / "data/00000/002", 3);
  Copy again(tree, root());
  const auto outcome = again.go();
  ASSERT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
  expect_published(tree);
  EXPECT_LE(again.sender().bytes_held(), Bytes(kLastOfTwo) + 100_B);
}

TEST_F(ChangedSourceTest, ALedgerOfNonsenseProvesNothing) {
  const MemoryTree tree = some_tree(kLastOfTwo);
  EXPECT_FALSE(Copy(tree, root()).go(6));
  ASSERT_EQ(staged().size(), 1U);
  std::ofstream(staged().front() / "ledger", std::ios::binary) << std::string(1000, 'x');
  Copy again(tree, root());
  const auto outcome = again.go();
  ASSERT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
  expect_published(tree);
  EXPECT_EQ(again.sender().bytes_held(), 0_B);
}

// ---- reading back ----------------------------------------------------------------------------------------------------

class ReadBackTest : public ReceivePathTest {
 protected:
  const MemoryTree tree_ = some_tree();
  std::unique_ptr<Copy> run(messages::VerifyLevel level, int rotten) {
    auto copy = std::make_unique<Copy>(tree_, root(), CopyOptions{level, rotten});
    outcome_ = copy->go();
    EXPECT_TRUE(outcome_) << "it does not end";
    return copy;
  }
  std::optional<Result<TransferDone::Outcome>> outcome_;
};

TEST_F(ReadBackTest, ReadsEachLeafOnceAndPublishes) {
  const auto copy = run(messages::VerifyLevel::kReadback, 0);
  ASSERT_TRUE(outcome_->ok()) << outcome_->error().what;
  expect_published(tree_);
  EXPECT_EQ(copy->reads(), 5) << "two of a, and one each of b, c/e and z";
  EXPECT_EQ(copy->board().leaves_rejected.get(), 0U);
}

TEST_F(ReadBackTest, WhatTheDeviceChangedIsSentAgainAndCounted) {
  const auto copy = run(messages::VerifyLevel::kReadback, 2);
  ASSERT_TRUE(outcome_->ok()) << outcome_->error().what;
  expect_published(tree_);
  EXPECT_EQ(copy->board().leaves_rejected.get(), 2U);
  EXPECT_EQ(copy->sender().rejected(), 2U);
}

TEST_F(ReadBackTest, ADeviceThatChangesALeafTwiceEndsTheTransfer) {
  run(messages::VerifyLevel::kReadback, 1'000);
  ASSERT_FALSE(outcome_->ok());
  EXPECT_EQ(outcome_->error().fault, Fault::kHashMismatch);
  EXPECT_FALSE(fs::exists(root() / "out"));
}

TEST_F(ReadBackTest, AtALowerLevelTheSameDamageIsPublished) {
  run(messages::VerifyLevel::kMemory, 1);
  ASSERT_TRUE(outcome_->ok()) << outcome_->error().what;
  EXPECT_NE(dir_.read("root/out/a")[7], static_cast<char>(tree_.find(named("a"))->bytes[7]));
}

TEST_F(ReadBackTest, AKillAtAnyCallLeavesNothingThatWasNotReadBack) {
  for (int turns = 2;; turns += 3) {
    fs::remove_all(root());
    fs::create_directory(root());
    if (Copy(tree_, root(), {messages::VerifyLevel::kReadback, 2}).go(turns)) break;
    ASSERT_LT(turns, 1000);
    const auto outcome = Copy(tree_, root(), {messages::VerifyLevel::kReadback, 0}).go();
    ASSERT_TRUE(outcome && outcome->ok()) << turns << ": " << (outcome ? outcome->error().what : "no end");
    expect_published(tree_);
  }
}

TEST(ReadBackUnavailable, IsRefusedBeforeAnythingIsStaged) {
  const fs::path memory = "/dev/shm";
  if (!fs::exists(memory)) GTEST_SKIP() << "no file system in memory here";
  const fs::path root = memory / ("tideway-read-back-" + std::to_string(::getpid()));
  fs::create_directory(root);
  const MemoryTree tree = some_tree();
  const auto outcome = Copy(tree, root, {messages::VerifyLevel::kReadback, 0}).go();
  EXPECT_TRUE(fs::is_empty(root));
  fs::remove_all(root);
  ASSERT_TRUE(outcome && !outcome->ok());
  EXPECT_EQ(outcome->error().fault, Fault::kVerifyUnavailable);
}

// ---- what an earlier checkpoint has ----------------------------------------------------------------------------------

class BaseTest : public ReceivePathTest {
 protected:
  // What crossed of one more checkpoint, which is published.
  Bytes crossed_of(const MemoryTree& tree, const char* step, messages::VerifyLevel verify = messages::VerifyLevel::kMemory) {
    Copy copy(tree, root(), {.verify = verify, .to = step, .base = StartSink::Base::kSibling});
    const auto outcome = copy.go();
    EXPECT_TRUE(outcome && outcome->ok()) << step << ": " << (outcome ? outcome->error().what : "no end");
    if (outcome && outcome->ok()) expect_published(tree, step);
    EXPECT_EQ(copy.sender().bytes_needed(), copy.crossed());
    EXPECT_EQ(copy.sender().bytes_needed() + copy.sender().bytes_held(), copy.sender().bytes_listed());
    return copy.crossed();
  }
  MemoryTree two_large() const {
    MemoryTree tree;
    tree.put(named("a"), file_of(2 * 4'194'304, 1));
    tree.put(named("deep/b"), file_of(4'194'304 + 77, 2));
    return tree;
  }
};

TEST_F(BaseTest, OnlyLeavesThatChangedCross) {
  MemoryTree tree = two_large();
  EXPECT_EQ(crossed_of(tree, "step-100"), 4_MiB * 3 + 77_B) << "there is no base yet";
  MemoryNode changed = *tree.find(named("a"));
  changed.bytes[4'194'304 + 5] ^= std::byte{8};
  tree.put(named("a"), changed);
  EXPECT_EQ(crossed_of(tree, "step-200"), 4_MiB) << "one leaf";
  EXPECT_EQ(crossed_of(tree, "step-300", messages::VerifyLevel::kReadback), 0_B) << "what is copied is read back, too";
}

TEST_F(BaseTest, ALeafOfALongerFileIsTheSameAndItsEndIsNot) {
  MemoryTree tree = two_large();
  crossed_of(tree, "step-100");
  MemoryNode longer = *tree.find(named("deep/b"));
  longer.bytes.resize(longer.bytes.size() + 1000, std::byte{7});
  tree.put(named("deep/b"), longer);
  EXPECT_EQ(crossed_of(tree, "step-200"), Bytes(1077));
}

TEST_F(BaseTest, ABaseThatWasChangedBehindItsManifestIsNotBelieved) {
  const MemoryTree tree = two_large();
  crossed_of(tree, "step-100");
  const fs::path damaged = root() / "step-100" / "a";
  fs::permissions(damaged, fs::perms::owner_write, fs::perm_options::add);
  {
    std::fstream file(damaged, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4'194'304 + 1);
    file.put('\0');  // all bytes of these files are odd
  }
  fs::remove(root() / "step-100" / "deep" / "b");
  EXPECT_EQ(crossed_of(tree, "step-200"), 4_MiB + 4_MiB + 77_B) << "the leaf that is not what it was, and the file that is gone";
}

TEST_F(BaseTest, TheNewestBeforeItIsTheBaseAndWhatWasNotPublishedIsNone) {
  MemoryTree tree = two_large();
  crossed_of(tree, "step-100");
  tree.put(named("a"), file_of(2 * 4'194'304, 9));
  EXPECT_EQ(crossed_of(tree, "step-200"), 4_MiB * 2);
  fs::create_directory(root() / "step-250");
  EXPECT_EQ(crossed_of(tree, "step-300"), 0_B) << "step-200 is the base, not step-100 nor the directory without a manifest";
}

// ---- what was published, as a source ----------------------------------------------------------------------------------

class ReplicaTest : public BaseTest {
 protected:
  // The entries of what was published, as another copy from there would tell them.
  std::vector<ManifestEntry> entries_of(const char* name, std::optional<Hash256>* expected = nullptr) {
    const auto root = std::make_shared<const storage::RootedDir>(storage::RootedDir::open_host_path(this->root().string(), storage::Side::kSource).value());
    std::vector<ManifestEntry> entries(64);
    storage::ScanSpec spec;
    spec.sources.push_back({root, named(name), ""});
    entries.resize(storage::TreeScan(std::move(spec)).next(entries).value());
    auto published = PublishedEntries::of(*root, named(name));
    EXPECT_TRUE(published.has_value());
    if (!published) return entries;
    published->stamp(entries);
    published->on_end();
    if (expected != nullptr) *expected = published->root();
    return entries;
  }
};

TEST_F(ReplicaTest, OneGoesOnWhereAnotherStopped) {
  const MemoryTree tree = two_large();
  crossed_of(tree, "step-1");
  crossed_of(tree, "step-2");
  std::optional<Hash256> first_root, second_root;
  const auto first = entries_of("step-1", &first_root), second = entries_of("step-2", &second_root);
  EXPECT_EQ(first, second) << "whatever inodes they have";
  EXPECT_EQ(first_root, second_root);
  EXPECT_TRUE(first_root.has_value());
}

TEST_F(ReplicaTest, WhatIsNotAsItWasPublishedIsTakenForWhatItIs) {
  crossed_of(two_large(), "step-1");
  const auto before = entries_of("step-1");
  fs::permissions(root() / "step-1", fs::perms::owner_write, fs::perm_options::add);
  fs::remove(root() / "step-1" / "a");
  std::ofstream(root() / "step-1" / "a") << "another";
  std::optional<Hash256> expected;
  const auto after = entries_of("step-1", &expected);
  EXPECT_FALSE(expected.has_value()) << "it is another tree by now";
  ASSERT_EQ(after.size(), before.size());
  EXPECT_NE(after[1], before[1]);
}

}  // namespace
}  // namespace tideway::engine
