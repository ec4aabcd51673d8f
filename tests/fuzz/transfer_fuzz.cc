// SPDX-License-Identifier: Apache-2.0
//
// The protocol of one transfer between a real source and a real sink, in an order that the input picks, and with what a peer
// might do wrong in between: messages that are lost, said twice, said in another order or changed on the wire, and blocks
// that were never asked for. Both may die and begin anew, where the sink has what it had stored. Nobody crashes. As long as
// nothing was wrong, the transfer ends, and both have the same root.
#include "digest/leaf_hash.h"
#include "transfer/receiver.h"
#include "transfer/sender.h"

#include <tideway/check.h>

#include <deque>
#include <map>

namespace {

using namespace tideway;
using namespace tideway::transfer;

constexpr TransferId kTransfer{std::byte{9}};
constexpr size_t kFilesMax = 24;
constexpr int kTurnsMax = 10'000;
constexpr int kDeathsMax = 4;

// What the fuzzer has left; zeros behind its end.
class Choices {
 public:
  explicit Choices(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint8_t next() { return at_ < bytes_.size() ? bytes_[at_++] : 0; }
  bool is_over() const { return at_ >= bytes_.size(); }

 private:
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
};

Hash128 hash_of(ObjectId object, uint32_t leaf) {
  const uint32_t both[2] = {object.value(), leaf};
  return digest::leaf_hash(std::as_bytes(std::span(both)));
}

struct Block {
  BlockKey key;
  block::SegmentList segments;
};

class Run {
 public:
  explicit Run(Choices choices)
      : choices_(choices), answers_(choices_.next() % 2 == 0 ? Answers::kEverythingNeeded : Answers::kPerPage),
        tree_(draw_tree()) {
    start();
  }

  void go() {
    while (!choices_.is_over() && is_fine_) step(choices_.next());
    for (int turn = 0; turn < kTurnsMax && is_fine_ && is_honest_ && !receiver_->is_complete(); ++turn)
      for (uint8_t op = 0; op < 4 && is_fine_; ++op) step(op);
    if (!is_honest_) return;
    TIDEWAY_CHECK(is_fine_ && receiver_->is_complete());
    const auto root = receiver_->verdict();
    TIDEWAY_CHECK(root.ok() && sender_->root() && root.value() == *sender_->root());
  }

 private:
  std::vector<ManifestEntry> draw_tree() {
    std::vector<ManifestEntry> entries(1);
    entries[0].type = EntryType::kDirectory;
    entries[0].mode = 0755;
    uint64_t leaves = 0;
    for (size_t i = choices_.next() % kFilesMax; i > 0; --i) {
      ManifestEntry entry;
      entry.number = ObjectId(static_cast<uint32_t>(entries.size()));
      entry.parent = ObjectId(0);
      entry.name = "f" + std::to_string(1000 + entries.size());
      entry.mode = 0644;
      entry.size = Bytes(uint64_t{choices_.next()} << (choices_.next() % 17));  // up to 16 MiB: four leaves
      entry.first_leaf = leaves;
      leaves += leaf_count(entry.size);
      entries.push_back(entry);
    }
    return entries;
  }

  void start() {
    sender_.emplace(Sender::Options{.transfer = kTransfer});
    receiver_.emplace(Receiver::Options{.transfer = kTransfer, .answers = answers_, .limits = {}});
    check(sender_->on_listed(tree_));
    sender_->on_scan_end();
    sender_->on_accepted(answers_);
  }

  // Of both processes: what they had told each other and not written is gone.
  void die() {
    if (deaths_ == kDeathsMax) return;
    deaths_ += 1;
    to_sink_.clear();
    to_source_.clear();
    flying_.clear();
    start();
  }

  void step(uint8_t op) {
    switch (op % 14) {
      case 0: say_to_sink(); break;
      case 1: say_to_source(); break;
      case 2: send_block(); break;
      case 3: store_block(); break;
      case 4: swap_blocks(); break;
      case 5: damage_block(); break;
      case 6: is_honest_ = false; lose(to_sink_); break;
      case 7: is_honest_ = false; lose(to_source_); break;
      case 8: is_honest_ = false; say_twice(); break;
      case 9: is_honest_ = false; change_page(); break;
      case 10: is_honest_ = false; make_up_block(); break;
      case 11: is_honest_ = false; change_held(); break;
      case 12: die(); break;
      default: is_honest_ = false; make_up_answer(); break;
    }
  }

  void check(const Status& status) {
    TIDEWAY_CHECK(status.ok() || !is_honest_);
    is_fine_ = is_fine_ && status.ok();
  }
  template <typename Messages>
  static void lose(Messages& messages) { if (!messages.empty()) messages.pop_front(); }

  void say_to_sink() {
    while (auto message = sender_->next_message()) to_sink_.push_back(std::move(*message));
    if (to_sink_.empty()) return;
    const SenderMessage message = std::move(to_sink_.front());
    to_sink_.pop_front();
    tell(message);
  }
  void tell(const SenderMessage& message) {
    if (const auto* page = std::get_if<messages::ManifestPage>(&message)) {
      const std::vector<Existing> existing(answers_ == Answers::kPerPage ? page->entries.size() : 0, Existing::kAbsent);
      check(receiver_->on_page(*page, existing, [this](const ManifestEntry& entry, const TakeLeaves& take) { give_held(entry, take); }));
    }
    if (const auto* end = std::get_if<messages::ManifestEnd>(&message)) check(receiver_->on_manifest_end(*end));
    if (const auto* ends = std::get_if<messages::ObjectEnds>(&message)) check(receiver_->on_object_end(*ends));
    if (const auto* root = std::get_if<messages::TransferRoot>(&message)) check(receiver_->on_root(*root));
    while (receiver_->next_report()) {}
    close_whole();
  }
  void say_to_source() {
    receiver_->flush_delivered();
    while (auto message = receiver_->next_message()) to_source_.push_back(std::move(*message));
    if (to_source_.empty()) return;
    const ReceiverMessage message = std::move(to_source_.front());
    to_source_.pop_front();
    tell(message);
  }
  void tell(const ReceiverMessage& message) {
    if (const auto* needs = std::get_if<messages::Needs>(&message)) check(sender_->on_needs(*needs));
    if (const auto* delivered = std::get_if<messages::BlocksDelivered>(&message)) check(sender_->on_delivered(*delivered));
    if (const auto* rejected = std::get_if<messages::SegmentsRejected>(&message)) check(sender_->on_rejected(*rejected));
    if (const auto* held = std::get_if<messages::ObjectsHeld>(&message)) check(sender_->on_held(*held));
    while (sender_->next_report()) {}
    while (sender_->next_release()) {}
  }

  void send_block() {
    while (const auto object = sender_->next_close()) sender_->on_closed(*object);
    const auto plan = sender_->next_block();
    if (!plan) return;
    Block block{{SlotId(1), plan->key.block}, {}};
    for (const LeafRead& leaf : plan->leaves) block.segments.push_back({leaf.object, leaf.leaf, leaf.length, hash_of(leaf.object, leaf.leaf)});
    sender_->on_packed(block.key, block.segments);
    flying_.push_back(std::move(block));
  }
  void swap_blocks() {
    if (flying_.size() > 1) std::swap(flying_.front(), flying_[1 + choices_.next() % (flying_.size() - 1)]);
  }
  // Its head or one of its segments fails its hash, as a damaged buffer's would: that is no fault of the peer, until it goes on and on.
  void damage_block() {
    if (flying_.empty()) return;
    const Block block = std::move(flying_.front());
    flying_.pop_front();
    const bool is_head = choices_.next() % 2 == 0;
    const Status status = receiver_->on_damaged(block.key, is_head ? std::span<const block::Segment>() : std::span(block.segments), Fault::kHashMismatch);
    damaged_ += 1;
    TIDEWAY_CHECK(status.ok() || damaged_ > kDamagedBlocksMax);
    if (!status.ok()) is_honest_ = is_fine_ = false;
  }
  void store_block() {
    if (flying_.empty()) return;
    const auto verdict = receiver_->judge(flying_.front().segments);
    if (!verdict.ok()) return check(verdict.error());
    if (verdict.value() == Receiver::Verdict::kWaits) return;
    const Block block = std::move(flying_.front());
    flying_.pop_front();
    block::SegmentList good;
    for (const block::Segment& segment : block.segments) {
      const auto claimed = receiver_->claim(segment);
      if (!claimed.ok()) return check(claimed.error());
      if (claimed.value()) good.push_back(segment);
    }
    std::vector<Receiver::StoredLeaf> leaves;
    check(receiver_->on_stored(block.key, good, leaves));
    for (const Receiver::StoredLeaf& leaf : leaves) {
      if (leaf.counts == Receiver::StoredLeaf::Counts::kNow) keep(leaf.leaf, leaf.hash);
      else when_closed_[leaf.leaf] = leaf.hash;
    }
    close_whole();
  }
  void close_whole() {
    while (const auto whole = receiver_->next_close()) {
      if (const auto last = when_closed_.extract(whole->last_leaf)) keep(last.key(), last.mapped());
      receiver_->on_closed();
    }
  }

  // Leaves are numbered through the transfer here.
  void keep(uint64_t leaf, const Hash128& hash) {
    for (const ManifestEntry& entry : tree_)
      if (leaf >= entry.first_leaf && leaf - entry.first_leaf < leaf_count(entry.size))
        stored_[entry.number][static_cast<uint32_t>(leaf - entry.first_leaf)] = hash;
  }
  void give_held(const ManifestEntry& entry, const TakeLeaves& take) const {
    const auto found = stored_.find(entry.number);
    if (found == stored_.end()) return;
    for (const auto& [leaf, hash] : found->second)
      if (leaf < leaf_count(entry.size)) take(leaf, {&hash, 1});  // a page that was changed may say that it is smaller
  }

  void say_twice() {
    if (!to_sink_.empty()) to_sink_.push_back(to_sink_.front());
  }
  void change_page() { change_first<messages::ManifestPage>(to_sink_, messages::parse_manifest_page); }
  void change_held() { change_first<messages::ObjectsHeld>(to_source_, messages::parse_objects_held); }  // a sink that lies about what it has
  // The first of its kind that is under way, if it is still one with a byte of it changed.
  template <typename Message>
  void change_first(auto& under_way, const auto& parse) {
    for (auto& message : under_way) {
      auto* const found = std::get_if<Message>(&message);
      if (found == nullptr) continue;
      std::string bytes = messages::serialize(*found);
      bytes[choices_.next() % bytes.size()] ^= static_cast<char>(1 + choices_.next() % 255);
      auto changed = parse(std::as_bytes(std::span(bytes)));
      if (changed.ok()) *found = std::move(changed).value();
      return;
    }
  }
  void make_up_block() {
    Block block{{SlotId(1), BlockId(choices_.next())}, {}};
    for (size_t i = choices_.next() % 4; i > 0; --i) {
      const ObjectId object(choices_.next() % 32);
      const uint32_t leaf = choices_.next() % 8;
      block.segments.push_back({object, leaf, 1U + choices_.next(), hash_of(object, leaf)});
    }
    flying_.push_front(std::move(block));
  }
  void make_up_answer() {
    if (choices_.next() % 2 == 0) {
      const uint32_t first = choices_.next();
      return check(sender_->on_delivered({kTransfer, {{BlockId(first), 1U + choices_.next() % 8}}}));
    }
    check(sender_->on_needs({kTransfer, choices_.next(), messages::NeedsKind::kAll, {}}));
  }

  Choices choices_;
  const Answers answers_;
  const std::vector<ManifestEntry> tree_;
  std::optional<Sender> sender_;
  std::optional<Receiver> receiver_;
  std::map<ObjectId, std::map<uint32_t, Hash128>> stored_;  // by the sink, which finds it again when it was killed
  std::map<uint64_t, Hash128> when_closed_;                  // the last leaf of an object that is stored: it counts when all of that is
  int deaths_ = 0;
  uint64_t damaged_ = 0;  // blocks
  std::deque<SenderMessage> to_sink_;
  std::deque<ReceiverMessage> to_source_;
  std::deque<Block> flying_;
  bool is_honest_ = true, is_fine_ = true;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Run(Choices({data, size})).go();
  return 0;
}
