// SPDX-License-Identifier: Apache-2.0
//
// One tree from several sources: the transfers of each are driven here as the control thread, the cpu worker and the peers would. What was
// gathered is then copied by an ordinary transfer (receive_copy.h), which has to find it.
#include "engine/gather_path.h"
#include "unit/engine/receive_copy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <list>

namespace tideway::engine {
namespace {

constexpr size_t kGatherBuffers = 16;
constexpr size_t kTransfersOfEach = 2;
constexpr int kUnlimited = 1 << 30;

struct GatherSource {
  const MemoryTree* tree = nullptr;
  int blocks_per_turn = 1;
  int every = 1;                       // turns from one block to the next
  int dies_after = kUnlimited;             // blocks
  int stalls_after = kUnlimited;
  std::optional<ObjectName> rotten{};  // a file that it finds damaged, when the leaf is on its way
  uint32_t rotten_leaf = 1;
  int damaged = 0;                     // blocks that come with a wrong hash
};

// No two pieces of it are alike; and quickly made, for tests are not optimised.
MemoryNode large_file(size_t size, uint8_t seed) {
  constexpr size_t kPiece = 64 << 10;
  MemoryNode node;
  node.mtime_ns = kMtime;
  node.bytes.resize(size);
  for (size_t at = 0; at < size; at += kPiece) std::memset(node.bytes.data() + at, static_cast<int>(at / kPiece % 251) + 1, std::min(kPiece, size - at));
  for (size_t at = 0; at < size; at += kPiece) node.bytes[at] = std::byte{seed};
  return node;
}

// 25 leaves in three large files, and small ones.
MemoryTree large_tree() {
  MemoryTree tree;
  tree.put(named("a"), large_file(10 * 4'194'304, 1));
  tree.put(named("b"), large_file(8 * 4'194'304 + 5000, 2));
  tree.put(named("c/d"), large_file(7 * 4'194'304, 3));
  tree.put(named("c/e"), file_of(100, 4));
  tree.put(named("c/f"), file_of(0, 5));
  tree.put(named("meta"), file_of(10, 6));
  return tree;
}
Bytes bytes_of(const MemoryTree& tree) {
  Bytes bytes;
  for (const auto& [name, node] : tree.nodes()) bytes += Bytes(node.bytes.size());
  return bytes;
}

class GatherRun {
 public:
  GatherRun(const fs::path& root, std::vector<GatherSource> sources) : root_(root) {
    rings_.io_bell = rings_.control_bell = bell_.get();
    rings_.net_bells = rings_.cpu_bells = {bell_.get()};
    for (GatherSource& source : sources) sources_.push_back({source, {}, 0, 0, {}});
  }
  ~GatherRun() { end(); }

  // Turns until nothing more is gathered, or so many.
  bool go(int turns = 20'000) {
    for (; turns > 0 && board_->is_over.get() == 0; --turns) {
      if (std::ranges::all_of(sources_, [](const Source& source) { return source.trouble.has_value(); })) break;
      turn();
    }
    return board_->is_over.get() != 0;
  }
  void end() {
    if (path_ == nullptr) return;
    path_->end(now_);
    path_.reset();
  }
  Bytes of(size_t source) const { return Bytes(board_->bytes_of[source].get()); }
  Bytes held() const { return Bytes(board_->bytes_held.get()); }
  Bytes missing() const { return Bytes(board_->bytes_missing.get()); }
  bool is_shunned(size_t source) const { return board_->is_shunned[source].get() != 0; }
  const std::optional<Error>& trouble(size_t source) const { return sources_[source].trouble; }
  Time now() const { return now_; }

 private:
  struct OneTransfer {
    explicit OneTransfer(const transfer::Sender::Options& options) : sender(options) {}
    TransferHandle handle;
    transfer::Sender sender;
    std::map<ObjectId, ObjectName> names;
    bool is_accepted = false;
  };
  struct Source {
    GatherSource how;
    std::list<OneTransfer> transfers;
    int blocks = 0, turns = 0;
    std::optional<Error> trouble;
  };

  void open(Source& source) {
    TransferId id{};
    id[0] = std::byte(++opened_ >> 8);
    id[1] = std::byte(opened_);
    id[2] = std::byte{9};
    OneTransfer& one = source.transfers.emplace_back(transfer::Sender::Options{.transfer = id});
    one.handle = TransferHandle(opened_);
    StartSink start;
    start.transfer = one.handle;
    start.id = id;
    start.staging = kId;
    start.board = std::make_shared<TransferBoard>();
    start.boot = {std::byte{1}};
    start.root = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root_.string(), storage::Side::kDestination).value());
    start.destination = named("out");
    start.gather = GatherPart{GatherHandle(1), static_cast<uint32_t>(&source - sources_.data()), static_cast<uint32_t>(sources_.size()), board_};
    path_->join(std::move(start), events_);
    storage::MemorySource store(*source.how.tree, {});
    const auto lister = store.list({});
    std::vector<ManifestEntry> entries(64);
    entries.resize(lister->next(entries).value());
    for (ManifestEntry& entry : entries) {
      one.names[entry.number] = entry.number == entry.parent ? ObjectName() : one.names[entry.parent].child(entry.name).value();
      if (entry.type == EntryType::kFile) entry.version = source.how.tree->find(one.names[entry.number])->version;
    }
    ASSERT_TRUE(one.sender.on_listed(entries).ok());
    one.sender.on_scan_end();
  }

  void turn() {
    now_ += std::chrono::milliseconds(20);
    for (Source& source : sources_) {
      if (source.blocks >= source.how.dies_after && !source.trouble) give_up(source, {Fault::kPeerLost, "it died", ""});
      while (!source.trouble && source.transfers.size() < kTransfersOfEach && board_->is_over.get() == 0) open(source);
    }
    path_->poll(now_, events_);
    while (auto event = rings_.io_control.events.pop()) std::visit([&](auto&& e) { on(std::move(e)); }, std::move(*event));
    while (rings_.io_net[0]->freed.pop()) {}
    for (Source& source : sources_)
      for (OneTransfer& one : source.transfers) talk(one);
    for (Source& source : sources_)
      if (source.turns++ % source.how.every == 0)
        for (int i = 0; i < source.how.blocks_per_turn && source.blocks < source.how.stalls_after; ++i) send_block(source);
  }
  void talk(OneTransfer& one) {
    while (const auto object = one.sender.next_close()) one.sender.on_closed(*object);
    while (one.sender.next_release()) {}
    while (auto message = one.sender.next_message())
      std::visit([&](auto&& m) { path_->on_peer_message(one.handle, TransferMessage(std::move(m))); }, std::move(*message));
  }
  void send_block(Source& source) {
    for (OneTransfer& one : source.transfers) {
      Buffer buffer = pool_->take();
      auto plan = one.is_accepted && !buffer.is_empty() ? one.sender.next_block() : std::nullopt;
      if (!plan) continue;
      source.blocks += 1;
      return send(source, one, std::move(*plan), std::move(buffer));
    }
  }
  void send(Source& source, OneTransfer& one, transfer::BlockPlan plan, Buffer buffer) {
    block::UnpackedBlock block{{SlotId(1), plan.key.block}, {}, std::move(buffer), {}, {}};
    for (const transfer::LeafRead& leaf : plan.leaves) {
      const auto from = std::span(source.how.tree->find(one.names[leaf.object])->bytes).subspan(leaf.leaf * kLeafSize.count(), leaf.length);
      const auto to = block.bytes.data().subspan(leaf.at, leaf.length);
      std::memcpy(to.data(), from.data(), from.size());  // at once, without the optimiser, too
      const bool is_rotten = source.how.rotten && one.names[leaf.object] == *source.how.rotten && leaf.leaf == source.how.rotten_leaf;
      if (is_rotten) to.back() ^= std::byte{1};
      if (is_rotten) one.sender.on_entry_failed(leaf.object, {Fault::kSourceCorrupt, "it rotted", ""});
      block.segments.push_back({leaf.object, leaf.leaf, leaf.length, digest::leaf_hash(to)});
    }
    block.raw = block.bytes.data().first(plan.raw_size);
    one.sender.on_packed(plan.key, block.segments);
    if (source.how.damaged-- > 0) {
      block.bad.push_back(0);
      block.bytes.data()[0] ^= std::byte{1};
    }
    const BlockKey key = block.key;
    path_->on_block({lane_handle(0, 1), one.handle, std::move(block), key, 0});
  }
  void give_up(Source& source, const Error& why) {
    source.trouble = why;
    for (const OneTransfer& one : source.transfers) path_->leave(one.handle);
    source.transfers.clear();
  }

  std::pair<Source*, OneTransfer*> find(TransferHandle handle) {
    for (Source& source : sources_)
      for (OneTransfer& one : source.transfers)
        if (one.handle == handle) return {&source, &one};
    return {nullptr, nullptr};
  }
  void on(SinkReady&& ready) {
    const auto [source, one] = find(ready.transfer);
    if (one == nullptr) return;
    EXPECT_EQ(ready.needed, SourceAccepted::Needed::kPerPage);
    one->is_accepted = true;
    one->sender.on_accepted(transfer::Answers::kPerPage);
  }
  void on(ToPeer&& to) {
    path_->on_message_taken(to.transfer);
    const auto [source, one] = find(to.transfer);
    if (one == nullptr) return;
    Status status = success();
    if (auto* held = std::get_if<messages::ObjectsHeld>(&to.message)) status = one->sender.on_held(*held);
    if (auto* needs = std::get_if<messages::Needs>(&to.message)) status = one->sender.on_needs(*needs);
    if (auto* delivered = std::get_if<messages::BlocksDelivered>(&to.message)) status = one->sender.on_delivered(*delivered);
    if (auto* rejected = std::get_if<messages::SegmentsRejected>(&to.message)) status = one->sender.on_rejected(*rejected);
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().what);
  }
  void on(TransferDone&& done) {
    const auto [source, one] = find(done.transfer);
    if (one == nullptr) return;
    if (!done.outcome.ok()) return give_up(*source, done.outcome.error());
    path_->leave(done.transfer);
    source->transfers.remove_if([&](const OneTransfer& other) { return other.handle == done.transfer; });
  }
  template <typename Event>
  void on(Event&&) {}

  const fs::path root_;
  std::unique_ptr<BufferPool> pool_ = BufferPool::create(kGatherBuffers).value();
  std::unique_ptr<Doorbell> bell_ = Doorbell::create().value();
  Rings rings_{1, 1, kGatherBuffers};
  EventOutlet events_{rings_};
  storage::BlockingQueue queue_;
  IoBoard io_board_;
  std::shared_ptr<GatherBoard> board_ = std::make_shared<GatherBoard>();
  std::unique_ptr<GatherPath> path_ = std::make_unique<GatherPath>(GatherPath::Around{queue_, rings_, io_board_, kLeafSize * kGatherBuffers});
  std::vector<Source> sources_;
  uint32_t opened_ = 0;
  Time now_{};
};

class GatherPathTest : public ReceivePathTest {
 protected:
  void expect_whole(const MemoryTree& tree) const {
    for (const auto& [name, node] : tree.nodes()) {
      if (node.type != EntryType::kFile) continue;
      const std::string bytes = dir_.read("root/out/" + to_display(name));
      ASSERT_EQ(bytes.size(), node.bytes.size()) << to_display(name);
      if (bytes.empty()) continue;
      EXPECT_EQ(std::memcmp(bytes.data(), node.bytes.data(), bytes.size()), 0) << to_display(name) << " has other bytes";
    }
    EXPECT_TRUE(staged().empty()) << "staging is left";
  }
  // An ordinary transfer goes on from what was gathered, and ends; gives what it found.
  Bytes finish(const MemoryTree& tree) {
    Copy copy(tree, root());
    const auto outcome = copy.go();
    EXPECT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
    if (outcome && outcome->ok()) expect_whole(tree);
    return copy.sender().bytes_held();
  }
  const MemoryTree tree_ = large_tree();
  const Bytes all_ = bytes_of(tree_);
};

TEST_F(GatherPathTest, ASlowSourceOnlyBringsLess) {
  GatherRun run(root(), {{.tree = &tree_, .blocks_per_turn = 2}, {.tree = &tree_, .every = 4}});
  ASSERT_TRUE(run.go());
  EXPECT_EQ(run.missing(), all_);
  EXPECT_EQ(run.of(0) + run.of(1), all_) << "each leaf came once";
  EXPECT_GT(run.of(1), 0_B);
  EXPECT_GT(run.of(0), run.of(1));
  run.end();
  EXPECT_FALSE(fs::exists(root() / "out")) << "nothing of it shows";
  EXPECT_EQ(finish(tree_), all_) << "nothing crosses again";
}

TEST_F(GatherPathTest, WhenASourceDiesTheOtherBringsTheRest) {
  GatherRun run(root(), {{.tree = &tree_, .dies_after = 5}, {.tree = &tree_}});
  ASSERT_TRUE(run.go());
  EXPECT_GT(run.of(0), 0_B);
  EXPECT_EQ(run.of(0) + run.of(1), all_);
  run.end();
  EXPECT_EQ(finish(tree_), all_);
}

TEST_F(GatherPathTest, WhenAllDieTheNextRunGoesOnFromThere) {
  Bytes brought;
  {
    GatherRun run(root(), {{.tree = &tree_, .dies_after = 5}, {.tree = &tree_, .dies_after = 6}});
    EXPECT_FALSE(run.go());
    brought = run.of(0) + run.of(1);
    EXPECT_GE(brought, kLeafSize * 8);
  }
  GatherRun again(root(), {{.tree = &tree_}, {.tree = &tree_}});
  ASSERT_TRUE(again.go());
  EXPECT_EQ(again.held(), brought) << "what was there counts, and is not asked for";
  EXPECT_EQ(again.of(0) + again.of(1), all_ - brought);
  again.end();
  EXPECT_EQ(finish(tree_), all_);
}

TEST_F(GatherPathTest, ADamagedFileIsTakenFromTheOther) {
  GatherRun run(root(), {{.tree = &tree_, .rotten = named("a")}, {.tree = &tree_, .every = 2}});
  ASSERT_TRUE(run.go());
  EXPECT_FALSE(run.trouble(0)) << "it brings what is sound";
  EXPECT_TRUE(run.is_shunned(0)) << "but is not asked for the rest";
  EXPECT_EQ(run.of(0) + run.of(1), all_);
  EXPECT_GE(run.of(1), kLeafSize * 9);
  run.end();
  EXPECT_EQ(finish(tree_), all_);
}

// The last leaf that comes completes the file, and the store closes it before its source says what is wrong with it.
TEST_F(GatherPathTest, ADamagedFileThatIsClosedIsLeftForTheTransferBehindIt) {
  GatherRun run(root(), {{.tree = &tree_, .rotten = named("meta"), .rotten_leaf = 0}, {.tree = &tree_, .every = 2}});
  ASSERT_TRUE(run.go());
  EXPECT_LT(run.of(0) + run.of(1), all_);
  run.end();
  EXPECT_LT(finish(tree_), all_);
}

TEST_F(GatherPathTest, WhatNoSourceHasSoundIsLeftForTheTransferBehindIt) {
  GatherRun run(root(), {{.tree = &tree_, .rotten = named("a")}, {.tree = &tree_, .rotten = named("a")}});
  ASSERT_TRUE(run.go());
  EXPECT_LT(run.of(0) + run.of(1), all_);
  EXPECT_GE(run.of(0) + run.of(1), all_ - kLeafSize * 10);
  run.end();
  EXPECT_LT(finish(tree_), all_);
}

TEST_F(GatherPathTest, ABlockThatCameDamagedIsAskedForAgain) {
  GatherRun run(root(), {{.tree = &tree_, .damaged = 1}, {.tree = &tree_}});
  ASSERT_TRUE(run.go());
  EXPECT_FALSE(run.trouble(0));
  EXPECT_EQ(run.of(0) + run.of(1), all_);
  run.end();
  EXPECT_EQ(finish(tree_), all_);
}

TEST_F(GatherPathTest, ASourceThatSendsNothingButDamageIsGivenUp) {
  GatherRun run(root(), {{.tree = &tree_, .damaged = kUnlimited}, {.tree = &tree_}});
  ASSERT_TRUE(run.go());
  ASSERT_TRUE(run.trouble(0));
  EXPECT_EQ(run.trouble(0)->fault, Fault::kHashMismatch);
  EXPECT_EQ(run.of(1), all_);
  run.end();
  EXPECT_EQ(finish(tree_), all_);
}

TEST_F(GatherPathTest, ASourceWithAnotherTreeBringsNothing) {
  MemoryTree other = tree_;
  other.put(named("b"), large_file(8 * 4'194'304 + 5000, 9));
  GatherRun run(root(), {{.tree = &tree_}, {.tree = &other}});
  ASSERT_TRUE(run.go());
  ASSERT_TRUE(run.trouble(1));
  EXPECT_EQ(run.trouble(1)->fault, Fault::kManifestMismatch);
  EXPECT_EQ(run.of(0), all_);
  EXPECT_EQ(run.of(1), 0_B);
  run.end();
  EXPECT_EQ(finish(tree_), all_);
}

// The last leaves are with one that does not move any more, and that nobody calls dead.
TEST_F(GatherPathTest, ASourceThatStallsIsNotWaitedForLong) {
  GatherRun run(root(), {{.tree = &tree_}, {.tree = &tree_, .stalls_after = 1}});
  ASSERT_TRUE(run.go());
  EXPECT_LT(run.of(0) + run.of(1), all_);
  EXPECT_GT(run.of(0), all_ / 4);
  EXPECT_LT(run.now().time_since_epoch(), std::chrono::seconds(20));
  EXPECT_TRUE(run.is_shunned(1)) << "what is left is not asked of the one that stalls";
  EXPECT_FALSE(run.is_shunned(0));
  run.end();
  EXPECT_EQ(finish(tree_), run.of(0) + run.of(1));
}

TEST_F(GatherPathTest, ASourceThatTakesAllAndStallsIsNotWaitedForLong) {
  MemoryTree tree;
  tree.put(named("a"), large_file(2 * 4'194'304, 1));
  tree.put(named("b"), large_file(2 * 4'194'304, 2));
  GatherRun run(root(), {{.tree = &tree, .stalls_after = 0}, {.tree = &tree}});
  ASSERT_TRUE(run.go());
  EXPECT_EQ(run.of(0) + run.of(1), 0_B) << "the other had nothing to do, and has no rate";
  EXPECT_LT(run.now().time_since_epoch(), std::chrono::seconds(20));
  EXPECT_TRUE(run.is_shunned(0));
  EXPECT_FALSE(run.is_shunned(1));
  run.end();
  finish(tree);
}

// What is left in the list is of no use to the one that waits.
TEST_F(GatherPathTest, ASourceThatStallsIsNotWaitedForLongByOneThatIsDamaged) {
  GatherRun run(root(), {{.tree = &tree_, .blocks_per_turn = 2, .rotten = named("a")}, {.tree = &tree_, .stalls_after = 1}});
  ASSERT_TRUE(run.go());
  EXPECT_LT(run.now().time_since_epoch(), std::chrono::seconds(40));
  run.end();
  EXPECT_EQ(finish(tree_), run.of(0) + run.of(1));
}

TEST_F(GatherPathTest, WhatItLeavesAtAnyTurnIsGoneOnFrom) {
  Bytes held_max;
  for (int turns = 1;; turns += 5) {
    fs::remove_all(root());
    fs::create_directory(root());
    GatherRun run(root(), {{.tree = &tree_}, {.tree = &tree_, .every = 2}});
    const bool is_over = run.go(turns);
    const Bytes brought = run.of(0) + run.of(1);
    run.end();
    const Bytes held = finish(tree_);
    EXPECT_GE(held + kLeafSize * 3, brought) << "but for leaves whose files were not closed yet";
    held_max = std::max(held_max, held);
    if (is_over) break;
    ASSERT_LT(turns, 1000);
  }
  EXPECT_EQ(held_max, all_);
}

TEST_F(GatherPathTest, OneFileIsNotGathered) {
  MemoryTree tree;
  tree.put(named("a"), large_file(10 * 4'194'304, 1));
  GatherRun run(root(), {{.tree = &tree}, {.tree = &tree}});
  EXPECT_TRUE(run.go());
  EXPECT_EQ(run.of(0) + run.of(1), 0_B);
  run.end();
  finish(tree);
}

TEST_F(GatherPathTest, NothingIsGatheredOverWhatIsThere) {
  fs::create_directory(root() / "out");
  GatherRun run(root(), {{.tree = &tree_}, {.tree = &tree_}});
  EXPECT_TRUE(run.go());
  ASSERT_TRUE(run.trouble(0));
  EXPECT_EQ(run.of(0) + run.of(1), 0_B);
  run.end();
  EXPECT_TRUE(staged().empty());
}

}  // namespace
}  // namespace tideway::engine
