// SPDX-License-Identifier: Apache-2.0
//
// A source that sends a tree which was published where it is, manifest and all, to sinks that say to have some of it.
#include "engine/cpu_worker.h"
#include "engine/send_path.h"
#include "unit/engine/receive_copy.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

constexpr size_t kSendBuffers = 8;
constexpr uint32_t kLargeLeaves = 5;

MemoryTree sent_tree() {
  MemoryTree tree;
  tree.put(named("large"), file_of((kLargeLeaves - 1) * 4'194'304 + 5000, 1));
  tree.put(named("small"), file_of(10, 2));
  return tree;
}

// What the sink says to have of the large file, by leaf; what it does not have it asks for.
using Having = std::map<uint32_t, Hash128>;

class Sending {
 public:
  enum class Published : uint8_t { kYes, kNo };
  Sending(const fs::path& root, const char* name, StartSource::Held claims = StartSource::Held::kTaken, Published is_published = Published::kYes) {
    rings_.io_bell = rings_.control_bell = bell_.get();
    rings_.net_bells = rings_.cpu_bells = {bell_.get()};
    auto dir = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root.string(), storage::Side::kSource).value());
    auto published = PublishedEntries::of(*dir, named(name));
    EXPECT_TRUE(published.has_value());
    if (is_published == Published::kNo) published.reset();
    storage::ScanSpec scan;
    scan.sources.push_back({dir, named(name), ""});
    StartSource start;
    start.transfer = TransferHandle(1);
    start.id = kId;
    start.board = board_;
    start.scan = scan;
    start.held = claims;
    path_ = std::make_unique<SendPath>(std::move(start), SendPath::Reads{std::make_unique<storage::FileSource>(std::move(scan), queue_), {}, std::move(published)}, rings_, *pool_);
    path_->on_accepted({TransferHandle(1), SlotId(1), {lane_handle(0, 1)}, SourceAccepted::Needed::kPerPage});
  }

  // The sink says so; gives the leaves of the large file that are read then, or why there are none.
  Result<std::vector<uint32_t>> go(const Having& having) {
    if (Status status = read_for(having); !status.ok()) return std::move(status).error();
    std::vector<uint32_t> read;
    while (const auto block = rings_.io_cpu[0]->to_pack.pop())
      for (const block::Segment& segment : block->block.segments)
        if (segment.object == large_) (block->use == BlockToPack::Use::kHash ? hashed : read).push_back(segment.leaf);
    return read;
  }
  Status read_for(const Having& having) {
    transfer::Receiver receiver({kId, transfer::Answers::kPerPage, {}});
    const transfer::HeldLeaves held = [&](const ManifestEntry& entry, const transfer::TakeLeaves& take) {
      if (entry.name != "large") return;
      for (const auto& [leaf, hash] : having) take(leaf, {&hash, 1});
    };
    for (int turns = 0; turns < 20; ++turns) {
      path_->poll(kSendBuffers, events_);
      read_by_turn.push_back(kSendBuffers - pool_->free());
      while (auto event = rings_.io_control.events.pop()) {
        if (auto* done = std::get_if<TransferDone>(&*event); done != nullptr && !done->outcome.ok()) return done->outcome.error();
        auto* to = std::get_if<ToPeer>(&*event);
        if (to == nullptr) continue;
        path_->on_message_taken();
        if (const auto* page = std::get_if<messages::ManifestPage>(&to->message)) take_page(receiver, *page, held);
      }
      while (auto message = receiver.next_message()) {
        if (auto* said = std::get_if<messages::ObjectsHeld>(&*message); said != nullptr && lie) lie(said->objects.front());
        std::visit([&](auto&& m) { path_->on_peer_message(TransferMessage(std::move(m)), events_); }, std::move(*message));
      }
    }
    return success();
  }
  // What was read, for lanes that take nothing.
  void pack() {
    CpuWorker cpu(rings_, 0, *pool_);
    while (cpu.poll()) {}
    while (const auto packed = rings_.io_cpu[0]->packed.pop()) path_->on_packed(*packed);
    path_->poll(kSendBuffers, events_);
  }
  // A lane has started one of them.
  void start_one() {
    path_->on_notice({lane_handle(0, 1), TransferHandle(1), BlockId(0), BlockNotice::Kind::kStarted});
    path_->poll(kSendBuffers, events_);
  }
  const TransferBoard& board() const { return *board_; }

  std::vector<uint32_t> read_by_turn;  // blocks, in all
  std::vector<uint32_t> hashed;  // leaves of the large file that are read and not sent
  std::function<void(messages::HeldObject&)> lie;  // what the sink makes of what it says to have

 private:
  void take_page(transfer::Receiver& receiver, const messages::ManifestPage& page, const transfer::HeldLeaves& held) {
    std::vector<transfer::Existing> existing;
    for (const ManifestEntry& entry : page.entries) {
      existing.push_back(entry.name == "small" ? transfer::Existing::kSame : transfer::Existing::kAbsent);
      if (entry.name == "large") large_ = entry.number;
    }
    EXPECT_TRUE(receiver.on_page(page, existing, held).ok());
  }

  std::unique_ptr<BufferPool> pool_ = BufferPool::create(kSendBuffers).value();
  std::unique_ptr<Doorbell> bell_ = Doorbell::create().value();
  Rings rings_{1, 1, kSendBuffers};
  EventOutlet events_{rings_};
  storage::BlockingQueue queue_;
  std::shared_ptr<TransferBoard> board_ = std::make_shared<TransferBoard>();
  std::unique_ptr<SendPath> path_;
  ObjectId large_;
};

class SendPathTest : public ReceivePathTest {
 protected:
  void SetUp() override {
    ReceivePathTest::SetUp();
    const MemoryTree tree = sent_tree();
    Copy copy(tree, root());
    const auto outcome = copy.go();
    ASSERT_TRUE(outcome && outcome->ok());
    const auto& bytes = tree.find(named("large"))->bytes;
    for (uint32_t leaf = 0; leaf < kLargeLeaves; ++leaf)
      hashes_.push_back(digest::leaf_hash(std::span(bytes).subspan(leaf * kLeafSize.count(), leaf_length(Bytes(bytes.size()), leaf))));
  }
  Having having(std::initializer_list<uint32_t> leaves) const {
    Having having;
    for (const uint32_t leaf : leaves) having[leaf] = hashes_[leaf];
    return having;
  }
  Result<std::vector<uint32_t>> read_for(const Having& having) const { return Sending(root(), "out").go(having); }
  void expect_read(const Having& having, const std::vector<uint32_t>& leaves) const {
    const auto read = read_for(having);
    ASSERT_TRUE(read.ok()) << read.error().what;
    EXPECT_EQ(read.value(), leaves);
  }
  void expect_refused(const Having& having) const {
    const auto read = read_for(having);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().fault, Fault::kHashMismatch);
  }
  static Having standing_in(std::initializer_list<uint32_t> leaves) {
    Having having;
    for (const uint32_t leaf : leaves) having[leaf] = {};
    return having;
  }
  static constexpr Hash128 kOther{std::byte{7}};
  std::vector<Hash128> hashes_;
};

// By which a path is known that takes hardly anything, long before all was read.
TEST_F(SendPathTest, BlocksPileUpWhenTheyArePackedAndNoLaneTakesThem) {
  Sending sending(root(), "out");
  ASSERT_TRUE(sending.read_for({}).ok());
  EXPECT_EQ(sending.board().is_piled_up.get(), 0U) << "a slow cpu worker is no slow path";
  sending.pack();
  EXPECT_EQ(sending.board().is_piled_up.get(), 1U);
  for (uint32_t leaf = 1; leaf < kLargeLeaves; ++leaf) sending.start_one();
  EXPECT_EQ(sending.board().is_piled_up.get(), 0U);
}

// It leaves the sooner.
TEST_F(SendPathTest, TheFirstBlockIsReadAlone) {
  Sending sending(root(), "out");
  ASSERT_TRUE(sending.read_for({}).ok());
  std::vector<uint32_t>& blocks = sending.read_by_turn;
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  EXPECT_EQ(blocks, (std::vector<uint32_t>{0, 1, 3, kLargeLeaves}));
}

TEST_F(SendPathTest, WhatASinkKeepsIsNotReadAgain) {
  expect_read({}, {0, 1, 2, 3, 4});
  expect_read(having({0, 1, 3}), {2, 4});
}

TEST_F(SendPathTest, X25WhereTheRootIsSignedWhatASinkKeepsIsProven) {
  Sending published(root(), "out", StartSource::Held::kProven), unknown(root(), "out", StartSource::Held::kProven, Sending::Published::kNo);
  EXPECT_EQ(published.go(having({0, 1, 3})).value(), (std::vector<uint32_t>{2, 4}));
  EXPECT_TRUE(published.hashed.empty()) << "its hashes are stored";
  EXPECT_EQ(unknown.go(having({0, 1, 3})).value(), (std::vector<uint32_t>{2, 4}));
  EXPECT_EQ(unknown.hashed, (std::vector<uint32_t>{0, 1, 3}));
}

TEST_F(SendPathTest, ASinkThatKeepsOtherBytesIsRefused) {
  Having front = having({0, 1, 3});
  front[1] = kOther;
  expect_refused(front);
  Having behind = having({0, 1, 3});
  behind[3] = kOther;
  expect_refused(behind);
}

// The hashes of the next file follow those of this one.
TEST_F(SendPathTest, ASinkThatKeepsMoreLeavesThanThereAreIsRefused) {
  Sending sending(root(), "out");
  sending.lie = [](messages::HeldObject& held) {
    held.leaves = kLargeLeaves + 1;
    held.tops.resize(2);
  };
  const auto read = sending.go(having({0, 1}));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().fault, Fault::kProtocolError);
}

// For leaves that other sources bring 16 zero bytes stand in.
TEST_F(SendPathTest, ALeafThatAnotherSourceBringsIsNoOtherOne) {
  expect_read(standing_in({0, 1, 3, 4}), {2});
  expect_read(standing_in({1, 2, 3, 4}), {0});
  expect_read(standing_in({0, 1, 2, 3}), {4});
}

TEST_F(SendPathTest, OtherBytesAmongStandInsAreRefused) {
  Having front = standing_in({0, 1, 3, 4});
  front[1] = kOther;
  expect_refused(front);
  Having behind = standing_in({0, 1, 3, 4});
  behind[4] = kOther;
  expect_refused(behind);
}

}  // namespace
}  // namespace tideway::engine
