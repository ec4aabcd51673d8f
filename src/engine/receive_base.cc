// SPDX-License-Identifier: Apache-2.0
//
// What a sink takes from an earlier checkpoint instead of the network.
#include "engine/receive_path.h"

#include "base/log.h"
#include "digest/leaf_hash.h"

namespace tideway::engine {
namespace {

constexpr size_t kSameMax = transfer::kBlocksUnverifiedMax;  // that wait to be copied: no more are under way

}  // namespace

void ReceivePath::find_base() {
  if (repair_) return;
  if (start_.ahead != TransferId{}) ahead_ = AheadParts::find(start_.root, start_.ahead);
  if (ahead_) log::info("ahead_found", "destination=\"" + start_.root->shown(start_.destination) + '"');
  if (start_.base != StartSink::Base::kSibling) return;
  base_ = BaseTree::find(start_.root, start_.destination);
  if (base_) log::info("base_found", "destination=\"" + start_.root->shown(start_.destination) + "\" base=\"" + start_.root->shown(base_->name()) + '"');
}

// Before the answer to the page, so that the source knows when it reads.
void ReceivePath::offer_base(const messages::ManifestPage& page, std::span<const transfer::Existing> existing) {
  if (!base_ && !ahead_) return;
  std::vector<messages::BaseRun> runs;
  for (size_t i = 0; i < page.entries.size(); ++i) {
    const std::string path = paths_.next(page.entries[i]);
    if (existing[i] != transfer::Existing::kAbsent) continue;
    if (ahead_ && ahead_->has(path)) ahead_->offer(page.entries[i], path, runs);
    else if (base_) base_->offer(page.entries[i], path, runs);
  }
  messages::BaseLeaves message{start_.id, page.page, {}};
  size_t hashes = 0, said = 0;
  const auto say_them = [&] {
    if (!message.runs.empty() && ++said <= kBaseMessagesPerPage) receiver_->offer(std::exchange(message, {start_.id, page.page, {}}));
    message.runs.clear();
    hashes = 0;
  };
  for (messages::BaseRun& run : runs) {
    if (hashes + run.hashes.size() > messages::kBaseHashesMax || message.runs.size() == messages::kBaseRunsMax) say_them();
    hashes += run.hashes.size();
    message.runs.push_back(std::move(run));
  }
  say_them();
}

Status ReceivePath::take_same(const messages::SameLeaves& same) {
  Same one{{SlotId(), same.block}, {}};
  Bytes bytes;
  for (const messages::SameLeaf& leaf : same.leaves) {
    one.segments.push_back({leaf.object, leaf.leaf, leaf.length, leaf.hash});
    bytes += Bytes(leaf.length);
  }
  const auto verdict = store_ != nullptr ? receiver_->judge(one.segments) : transfer::Receiver::Verdict::kWaits;
  if (!verdict.ok()) return verdict.error();
  if ((!base_ && !ahead_) || verdict.value() != transfer::Receiver::Verdict::kWrite || bytes > kLeafSize)
    return Error{Fault::kProtocolError, "the sending site takes leaves for known that were not offered", "both sites should run versions that fit; see `tideway version`"};
  if (same_.size() >= kSameMax || same_leaves_ + one.segments.size() > kSameLeavesWaitingMax)
    return Error{Fault::kLimitExceeded, "the sending site takes more blocks for known than one may wait for", "both sites should run versions that fit; see `tideway version`"};
  same_leaves_ += one.segments.size();
  same_.push_back(std::move(one));
  return success();
}

// Reads one block's leaves where they are and has them written where they belong. What is not as it was said is asked for.
bool ReceivePath::copy_same() {
  if (same_.empty() || is_pausing_ || !log_->pace().has_room_for(kLeafSize)) return false;
  auto room = rooms_.take();
  if (room == nullptr) return false;
  const Same same = std::move(same_.front());
  same_.pop_front();
  same_leaves_ -= same.segments.size();
  auto writing = std::make_unique<Writing>();
  writing->block.key = same.key;
  writing->block.raw = room->bytes;
  block::SegmentList bad;
  uint32_t offset = 0;
  for (const block::Segment& segment : same.segments) {
    const auto bytes = std::span(room->bytes).subspan(offset, segment.length);
    offset += segment.length;
    if (!read_same(segment, bytes) || digest::leaf_hash(bytes) != segment.hash) {
      bad.push_back(segment);
      continue;
    }
    const auto claimed = receiver_->claim(segment);
    if (!claimed.ok()) {
      fail(claimed.error());
      return true;
    }
    if (!claimed.value()) continue;
    writing->good.push_back(segment);
    writing->offsets.push_back(offset - segment.length);
  }
  writing->block.raw = writing->block.raw.first(offset);
  writing->room = std::move(room);
  if (!bad.empty()) receiver_->on_unknown(same.key, bad);
  clone(*writing);
  writes_.add(std::move(writing));
  return true;
}

bool ReceivePath::read_same(const block::Segment& segment, std::span<std::byte> bytes) {
  if (ahead_ && ahead_->has(segment.object)) return ahead_->read(segment.object, segment.leaf, bytes);
  return base_ && base_->read(segment.object, segment.leaf, bytes);
}

// Where the file system can share blocks between files nothing has to be written.
void ReceivePath::clone(Writing& writing) {
  while (can_clone_ && writing.submitted < writing.good.size()) {
    const block::Segment& segment = writing.good[writing.submitted];
    if (ahead_ && ahead_->has(segment.object)) return;  // it lies at another offset there
    can_clone_ = store_->clone({segment.object, kLeafSize * segment.leaf, Bytes(segment.length)}, base_->descriptor_of(segment.object));
    if (!can_clone_) return;
    writing.submitted += 1;
    writing.answered += 1;
  }
}

}  // namespace tideway::engine
