// SPDX-License-Identifier: Apache-2.0
//
// A sink's way to disk, with everything behind it and a source in memory in front of it: runs of one transfer, as the control thread, the
// cpu worker and a peer would drive it.
#pragma once
#include "engine/receive_path.h"

#include "digest/leaf_hash.h"
#include "engine/published_entries.h"
#include "mem/buffer_pool.h"
#include "storage/blocking_queue.h"
#include "storage/memory_store.h"
#include "storage/scan.h"
#include "storage/sweep.h"
#include "support/temp_root.h"
#include "transfer/sender.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <fstream>
#include <numeric>

namespace tideway::engine {

namespace fs = std::filesystem;
using storage::MemoryNode;
using storage::MemoryTree;

inline constexpr TransferId kId{std::byte{5}};
inline constexpr int64_t kMtime = 1'700'000'000'000'000'000;
inline constexpr size_t kBuffers = 4;
inline constexpr size_t kLastOfOne = 300'000, kLastOfTwo = 6'000'000;  // bytes of the last file: of one leaf, of two

inline MemoryNode file_of(size_t size, uint8_t seed) {
  MemoryNode node;
  node.mtime_ns = kMtime;
  node.bytes.resize(size);
  for (size_t i = 0; i < size; ++i) node.bytes[i] = static_cast<std::byte>((i * 31 + (i >> 12) + seed) | 1);
  return node;
}

inline ObjectName named(std::string_view text) { return ObjectName::from_text(text).value(); }

inline MemoryTree some_tree(size_t last = kLastOfOne) {
  MemoryTree tree;
  tree.put(named("a"), file_of(4'194'304 + 5000, 1));
  tree.put(named("b"), file_of(10, 2));
  tree.put(named("c/e"), file_of(100, 3));
  tree.put(named("c/f"), file_of(0, 4));
  tree.put(named("z"), file_of(last, 5));
  return tree;
}

// A device that changes bytes of the first large writes it is given, or one that never ends a sync or a write.
class RottingQueue final : public storage::IoQueue {
 public:
  enum class Syncs : uint8_t { kEnd, kHang, kHangWithWrites };
  RottingQueue(int rotten, Syncs syncs) : rotten_(rotten), syncs_(syncs) {}
  std::string_view name() const override { return inner_.name(); }
  size_t room() const override { return inner_.room() - std::min(inner_.room(), line_.size()); }
  void submit(const storage::IoRequest& request) override {
    if (polls_per_request > 0) {
      line_.push_back(request);
      look_at_line();
      return;
    }
    const bool is_sync = request.op == storage::IoOp::kDataSync || request.op == storage::IoOp::kSync;
    if (is_sync && syncs_ != Syncs::kEnd) return hanging_.push_back(request);
    if (request.op == storage::IoOp::kWrite && syncs_ == Syncs::kHangWithWrites) return hanging_.push_back(request);
    inner_.submit(request);
    reads_ += request.op == storage::IoOp::kRead ? 1 : 0;
    if (request.op != storage::IoOp::kWrite || rotten_-- <= 0) return;
    const char other = '!';
    EXPECT_EQ(::pwrite(request.fd, &other, 1, static_cast<off_t>(request.offset) + 7), 1);
  }
  size_t poll(uint32_t owner, std::span<storage::IoDone> out) override {
    if (!line_.empty() && ++polls_ % polls_per_request == 0) {
      inner_.submit(line_.front());
      line_.pop_front();
    }
    return inner_.poll(owner, out);
  }
  void drain(uint32_t owner) override {
    for (; !line_.empty(); line_.pop_front()) inner_.submit(line_.front());
    for (; !hanging_.empty(); hanging_.pop_back()) inner_.submit(hanging_.back());
    inner_.drain(owner);
  }
  int reads() const { return reads_; }

  // Above zero: as a slow device does, requests wait in line, and the first of them is done at each so many-th poll.
  int polls_per_request = 0;
  size_t reads_at_once = 0, writes_beside = 0;  // the most in line together, and of writes beside reads

 private:
  void look_at_line() {
    const auto waiting = [this](storage::IoOp op) { return static_cast<size_t>(std::ranges::count(line_, op, &storage::IoRequest::op)); };
    const size_t reads = waiting(storage::IoOp::kRead);
    reads_at_once = std::max(reads_at_once, reads);
    if (reads > 0) writes_beside = std::max(writes_beside, waiting(storage::IoOp::kWrite));
  }
  std::deque<storage::IoRequest> line_;
  int polls_ = 0;
  storage::BlockingQueue inner_;
  int rotten_, reads_ = 0;
  const Syncs syncs_;
  std::vector<storage::IoRequest> hanging_;
};

struct CopyOptions {
  messages::VerifyLevel verify = messages::VerifyLevel::kMemory;
  int rotten = 0;  // writes
  const char* to = "out";
  StartSink::Base base = StartSink::Base::kNone;
  RottingQueue::Syncs syncs = RottingQueue::Syncs::kEnd;
  transfer::BootId boot{std::byte{1}};
  messages::ResumeVerify resume_verify = messages::ResumeVerify::kAuto;
  Bytes bytes_max = Bytes::max();  // of the owner's grant
  TransferId staging = kId;
  TransferId ahead{};
  enum class List : uint8_t { kEnds, kStaysOpen } list = List::kEnds;  // kStaysOpen: of what goes ahead of a transfer
  uint32_t buffers = kBuffers;
  enum class Damage : uint8_t { kNone, kLeaf, kFrame, kHead } damage = Damage::kNone;  // of each block, as the cpu worker would find it
};

// One run of the transfer, as the control thread, the cpu worker and a peer would drive it.
class Copy {
 public:
  Copy(const MemoryTree& tree, const fs::path& root, const CopyOptions& options = {})
      : tree_(tree), damage_(options.damage), pool_(BufferPool::create(options.buffers).value()), rings_(1, 1, options.buffers), queue_(options.rotten, options.syncs) {
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
    start.destination = named(options.to);
    start.base = options.base;
    start.ahead = options.ahead;
    path_ = std::make_unique<ReceivePath>(std::move(start), ReceivePath::Around{queue_, rings_, leaf_buffers_, staging_book_, io_board_, kLeafSize * options.buffers});
    storage::MemorySource source(tree, {});
    const auto lister = source.list({});
    std::vector<ManifestEntry> entries(64);
    entries.resize(lister->next(entries).value());
    for (ManifestEntry& entry : entries) {
      names_[entry.number] = entry.number == entry.parent ? ObjectName() : names_[entry.parent].child(entry.name).value();
      if (entry.type == EntryType::kFile) entry.version = tree.find(names_[entry.number])->version;
    }
    EXPECT_TRUE(sender_.on_listed(entries).ok());
    if (options.list == CopyOptions::List::kEnds) sender_.on_scan_end();
    else sender_.flush();
  }

  // Turns until it is over, at most so many; it is dropped after the last.
  std::optional<Result<TransferDone::Outcome>> go(int turns = 10'000) {
    for (; turns > 0 && !outcome_; --turns) turn();
    path_->leave(now_, outcome_ && outcome_->ok() ? Leftovers::kRemoved : Leftovers::kKept);
    path_.reset();
    return outcome_;
  }
  // The whole list, and behind it as many pages more, before the sink has a turn.
  void flood(uint32_t pages) {
    while (auto message = sender_.next_message())
      std::visit([&](auto&& m) { path_->on_peer_message(TransferMessage(std::move(m)), events_); }, std::move(*message));
    for (uint32_t page = 1; page <= pages; ++page)
      path_->on_peer_message(TransferMessage(messages::ManifestPage{.transfer = kId, .page = page, .entries = {}, .skipped = {}}), events_);
  }
  // What an honest source would not say.
  void hear(TransferMessage message) { path_->on_peer_message(std::move(message), events_); }
  const transfer::Sender& sender() const { return sender_; }
  const TransferBoard& board() const { return *start_board_; }
  const IoBoard& io_board() const { return io_board_; }
  Bytes unverified_most() const { return unverified_most_; }  // written and not read back, at any time
  int reads() const { return queue_.reads(); }
  RottingQueue& queue() { return queue_; }
  Bytes sent() const { return sent_; }  // raw bytes of blocks that crossed

 private:
  void turn() {
    now_ += std::chrono::milliseconds(400);
    while (auto message = sender_.next_message())
      std::visit([&](auto&& m) { path_->on_peer_message(TransferMessage(std::move(m)), events_); }, std::move(*message));
    path_->poll(now_, events_);
    unverified_most_ = std::max(unverified_most_, path_->unverified());
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
      std::memcpy(block.bytes.data().data() + leaf.at, from.data(), from.size());  // at once, without the optimiser, too
      block.segments.push_back({leaf.object, leaf.leaf, leaf.length, digest::leaf_hash(from)});
    }
    block.raw = block.bytes.data().first(plan->raw_size);
    const std::vector<Hash128> base = sender_.base_of(block.segments);
    if (!base.empty() && std::ranges::equal(block.segments, base, {}, &block::Segment::hash)) return sender_.on_same(plan->key, block.segments);
    sent_ += Bytes(plan->raw_size);
    sender_.on_packed(plan->key, block.segments);
    const BlockKey key = block.key;
    Result<block::UnpackedBlock> unpacked = std::move(block);
    switch (damage_) {
      case CopyOptions::Damage::kNone: break;
      case CopyOptions::Damage::kLeaf: unpacked.value().bad = {0}; break;
      case CopyOptions::Damage::kHead: unpacked = Error{Fault::kHashMismatch, "a head is damaged", ""}; break;
      case CopyOptions::Damage::kFrame:
        unpacked.value().bad.resize(unpacked.value().segments.size());
        std::iota(unpacked.value().bad.begin(), unpacked.value().bad.end(), 0U);
        unpacked.value().bad_because = Fault::kBadCompression;
    }
    path_->on_block({lane_handle(0, 1), TransferHandle(1), std::move(unpacked), key, 0}, events_);
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
    if (auto* durable = std::get_if<messages::Durable>(&to.message)) status = sender_.on_durable(*durable);
    EXPECT_TRUE(status.ok());
  }
  void on(TransferDone&& done) { outcome_ = std::move(done.outcome); }
  template <typename Event>
  void on(Event&&) {}

  const MemoryTree& tree_;
  const CopyOptions::Damage damage_;
  std::unique_ptr<BufferPool> pool_;
  std::unique_ptr<Doorbell> bell_ = Doorbell::create().value();
  Rings rings_;
  EventOutlet events_{rings_};
  RottingQueue queue_;
  LeafBuffers leaf_buffers_;
  StagingBook staging_book_;
  IoBoard io_board_;
  std::shared_ptr<TransferBoard> start_board_;
  std::unique_ptr<ReceivePath> path_;
  transfer::Sender sender_{{.transfer = kId}};
  std::map<ObjectId, ObjectName> names_;
  Bytes sent_, unverified_most_;
  bool is_accepted_ = false;
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

}  // namespace tideway::engine
