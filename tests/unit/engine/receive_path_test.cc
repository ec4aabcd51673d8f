// SPDX-License-Identifier: Apache-2.0
//
// A sink's way to disk, with everything behind it and a source in memory in front of it: what it leaves when its source goes away,
// and what another one makes of that. Kills, losses of power and calls that fail are tried in sim/copy_faults_test.cc.
#include "engine/receive_path.h"

#include "digest/leaf_hash.h"
#include "mem/buffer_pool.h"
#include "storage/blocking_queue.h"
#include "storage/memory_store.h"
#include "storage/sweep.h"
#include "support/temp_root.h"
#include "transfer/sender.h"

#include <gtest/gtest.h>

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

// A device that changes bytes of the first large writes it is given, or one that never ends a sync.
class RottingQueue final : public storage::IoQueue {
 public:
  enum class Syncs : uint8_t { kEnd, kHang };
  RottingQueue(int rotten, Syncs syncs) : rotten_(rotten), syncs_(syncs) {}
  std::string_view name() const override { return inner_.name(); }
  size_t room() const override { return inner_.room(); }
  void submit(const storage::IoRequest& request) override {
    const bool is_sync = request.op == storage::IoOp::kDataSync || request.op == storage::IoOp::kSync;
    if (is_sync && syncs_ == Syncs::kHang) return hanging_.push_back(request);
    inner_.submit(request);
    reads_ += request.op == storage::IoOp::kRead ? 1 : 0;
    if (request.op != storage::IoOp::kWrite || rotten_-- <= 0) return;
    const char other = '!';
    EXPECT_EQ(::pwrite(request.fd, &other, 1, static_cast<off_t>(request.offset) + 7), 1);
  }
  size_t poll(uint32_t owner, std::span<storage::IoDone> out) override { return inner_.poll(owner, out); }
  void drain(uint32_t owner) override {
    for (; !hanging_.empty(); hanging_.pop_back()) inner_.submit(hanging_.back());
    inner_.drain(owner);
  }
  int reads() const { return reads_; }

 private:
  storage::BlockingQueue inner_;
  int rotten_, reads_ = 0;
  const Syncs syncs_;
  std::vector<storage::IoRequest> hanging_;
};

struct CopyOptions {
  messages::VerifyLevel verify = messages::VerifyLevel::kMemory;
  int rotten = 0;  // writes
  RottingQueue::Syncs syncs = RottingQueue::Syncs::kEnd;
  transfer::BootId boot{std::byte{1}};
  messages::ResumeVerify resume_verify = messages::ResumeVerify::kAuto;
  Bytes bytes_max = Bytes::max();  // of the owner's grant
  TransferId staging = kId;
};

// One run of the transfer, as the control thread, the cpu worker and a peer would drive it.
class Copy {
 public:
  Copy(const MemoryTree& tree, const fs::path& root, const CopyOptions& options = {})
      : tree_(tree), queue_(options.rotten, options.syncs) {
    start_board_ = std::make_shared<TransferBoard>();
    rings_.io_bell = rings_.control_bell = bell_.get();
    rings_.net_bells = rings_.cpu_bells = {bell_.get()};
    StartSink start;
    start.transfer = TransferHandle(1);
    start.id = kId;
    start.staging = options.staging;
    start.board = start_board_;
    start.options.verify = options.verify;
    start.options.resume_verify = options.resume_verify;
    start.boot = options.boot;
    start.owner = "them";
    start.limits.bytes_max = options.bytes_max;
    start.root = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root.string(), storage::Side::kDestination).value());
    start.destination = named("out");
    path_ = std::make_unique<ReceivePath>(std::move(start), ReceivePath::Around{queue_, rings_, leaf_buffers_, staging_book_, io_board_});
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
  int reads() const { return queue_.reads(); }
  Bytes sent() const { return sent_; }

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
    sent_ += Bytes(plan->raw_size);
    sender_.on_packed(plan->key, block.segments);
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
    if (auto* needs = std::get_if<messages::Needs>(&to.message)) status = sender_.on_needs(*needs);
    if (auto* delivered = std::get_if<messages::BlocksDelivered>(&to.message)) status = sender_.on_delivered(*delivered);
    if (auto* rejected = std::get_if<messages::SegmentsRejected>(&to.message)) status = sender_.on_rejected(*rejected);
    if (auto* durable = std::get_if<messages::Durable>(&to.message)) status = sender_.on_durable(*durable);
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
  StagingBook staging_book_;
  IoBoard io_board_;
  std::shared_ptr<TransferBoard> start_board_;
  std::unique_ptr<ReceivePath> path_;
  transfer::Sender sender_{{.transfer = kId}};
  std::map<ObjectId, ObjectName> names_;
  Bytes sent_;
  bool is_accepted_ = false;
  std::optional<Result<TransferDone::Outcome>> outcome_;
  Time now_{};
};

class ReceivePathTest : public testing::Test {
 protected:
  fs::path root() const { return dir_ / "root"; }
  void SetUp() override { dir_.make_dir("root"); }
  // All of the tree is at its place; nothing else is there.
  void expect_published(const MemoryTree& tree) const {
    for (const auto& [name, node] : tree.nodes()) {
      const std::string shown = "root/out" + (name.is_root() ? "" : "/" + to_display(name));
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

// ---- what is durable -------------------------------------------------------------------------------------------------

TEST_F(ReceivePathTest, TheSourceHearsOfAllThatIsDurable) {
  const MemoryTree tree = some_tree(kLastOfTwo);
  Bytes heard;
  for (int turns = 1;; ++turns) {
    fs::remove_all(root());
    fs::create_directory(root());
    Copy first(tree, root());
    if (first.go(turns) || fs::exists(root() / "out")) break;
    ASSERT_LT(turns, 1000);
    EXPECT_LE(first.sender().bytes_durable(), first.sent());
    heard = std::max(heard, first.sender().bytes_durable());
    Copy again(tree, root());
    const auto outcome = again.go();
    ASSERT_TRUE(outcome && outcome->ok()) << turns << ": " << (outcome ? outcome->error().what : "no end");
    EXPECT_GE(again.sender().bytes_held(), first.sender().bytes_durable()) << "what was said to be durable after " << turns << " turns is not";
  }
  EXPECT_GE(heard, 8_MiB);
}

// However long its disk takes: what is written and not durable stays below the bound, and what lies in buffers is all that comes on top.
// A source that dies then has to send only that again, because its sink syncs what it has.
TEST_F(ReceivePathTest, ASourceThatIsKilledSendsNoMoreAgainThanMayBeLost) {
  constexpr Bytes kMayBeLost = 256_MiB, kInBuffers = Bytes(kBuffers * kLeafSize.count());
  MemoryTree tree;
  MemoryNode big;  // nearly all of it holes, which are as good as other bytes here
  big.mtime_ns = kMtime;
  big.bytes.resize((272_MiB).count());
  for (size_t leaf = 1; leaf * kLeafSize.count() <= big.bytes.size(); ++leaf) big.bytes[leaf * kLeafSize.count() - 1] = std::byte{1};
  tree.put(named("big"), std::move(big));
  CopyOptions options;
  options.syncs = RottingQueue::Syncs::kHang;
  Copy killed(tree, root(), options);
  EXPECT_FALSE(killed.go(100));
  EXPECT_EQ(killed.sender().bytes_durable(), 0_B);
  EXPECT_GE(killed.sent(), kMayBeLost) << "nothing else stopped it";
  EXPECT_LE(killed.sent(), kMayBeLost + kInBuffers);
  Copy again(tree, root());
  again.go(4);
  EXPECT_LE(killed.sent() - again.sender().bytes_held(), kInBuffers);
}

// ---- whose staging it is --------------------------------------------------------------------------------------------

TEST_F(ReceivePathTest, WhatItsOwnerLeftGoesWhereItsGrantHasNoRoomForBoth) {
  const MemoryTree tree = some_tree(kLastOfTwo);
  CopyOptions first;
  first.staging = {std::byte{6}};
  EXPECT_FALSE(Copy(tree, root(), first).go(6));
  ASSERT_EQ(staged().size(), 1U);
  const fs::path left = staged().front();
  CopyOptions second;
  second.bytes_max = 32_MiB;
  EXPECT_FALSE(Copy(tree, root(), second).go(6));
  EXPECT_TRUE(fs::exists(left)) << "there is room for both";
  second.bytes_max = 11_MiB;
  const auto outcome = Copy(tree, root(), second).go();
  ASSERT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
  EXPECT_FALSE(fs::exists(left));
}

TEST_F(ReceivePathTest, WhatThereIsOfATransferIsKnownFromItsAccount) {
  const MemoryTree tree = some_tree(kLastOfTwo);
  Copy killed(tree, root());
  EXPECT_FALSE(killed.go(6));
  const auto dir = storage::RootedDir::open_host_path(root().string(), storage::Side::kDestination).value();
  const Bytes staged = storage::staged_bytes(dir);
  EXPECT_GE(staged, killed.sender().bytes_durable());
  EXPECT_GE(staged, 4_MiB);
}

// ---- a host that was started anew --------------------------------------------------------------------------------------

class RebootTest : public ReceivePathTest {
 protected:
  static constexpr transfer::BootId kFirst{std::byte{1}}, kSecond{std::byte{2}};
  const MemoryTree tree_ = some_tree(kLastOfTwo);
  static CopyOptions on(const transfer::BootId& boot, messages::ResumeVerify verify = messages::ResumeVerify::kAuto) {
    CopyOptions options;
    options.boot = boot;
    options.resume_verify = verify;
    return options;
  }
  // All but the end arrives, and a byte of the first leaf of `a` is another one then.
  void leave_damaged() {
    EXPECT_FALSE(Copy(tree_, root(), on(kFirst)).go(6));
    ASSERT_EQ(staged().size(), 1U);
    const fs::path a = staged().front() / "data/00000/001";
    const auto time = fs::last_write_time(a);
    std::fstream(a, std::ios::in | std::ios::out | std::ios::binary).seekp(1000).put('\0');
    fs::last_write_time(a, time);  // else a look at the file tells
  }
  Bytes held_by(const CopyOptions& options) {
    Copy again(tree_, root(), options);
    const auto outcome = again.go();
    EXPECT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
    return again.sender().bytes_held();
  }
};

TEST_F(RebootTest, WhatIsDamagedThenIsSentAgainAndTheRestIsNot) {
  EXPECT_FALSE(Copy(tree_, root(), on(kFirst)).go(6));
  const Bytes all = held_by(on(kSecond));
  expect_published(tree_);
  EXPECT_GE(all, 4_MiB + 5000_B + 4_MiB);
  fs::remove_all(root());
  fs::create_directory(root());
  leave_damaged();
  EXPECT_EQ(held_by(on(kSecond)), all - 4_MiB);
  expect_published(tree_);
}

TEST_F(RebootTest, WithoutOneTheLedgersWordIsTakenUnlessAllIsAskedFor) {
  leave_damaged();
  held_by(on(kFirst));
  EXPECT_EQ(dir_.read("root/out/a")[1000], '\0') << "this level says nothing of the disk";
  fs::remove_all(root());
  fs::create_directory(root());
  leave_damaged();
  held_by(on(kFirst, messages::ResumeVerify::kAll));
  expect_published(tree_);
}

TEST_F(RebootTest, NothingIsReadAgainForOneWhoDoesNotWantIt) {
  leave_damaged();
  held_by(on(kSecond, messages::ResumeVerify::kNone));
  EXPECT_EQ(dir_.read("root/out/a")[1000], '\0');
}

TEST_F(RebootTest, WhoeverDiesWhileItLooksLeavesTheRestDoubtful) {
  for (int turns = 1; turns <= 6; ++turns) {  // a leaf in each
    fs::remove_all(root());
    fs::create_directory(root());
    leave_damaged();
    ASSERT_FALSE(Copy(tree_, root(), on(kSecond)).go(turns));
    held_by(on(kSecond));
    expect_published(tree_);
  }
}

TEST_F(RebootTest, AFileThatCannotBeReadIsSentAgain) {
  EXPECT_FALSE(Copy(tree_, root(), on(kFirst)).go(6));
  fs::resize_file(staged().front() / "data/00000/001", 4'194'304);  // its second leaf is gone
  held_by(on(kSecond));
  expect_published(tree_);
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

}  // namespace
}  // namespace tideway::engine
