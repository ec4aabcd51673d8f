// SPDX-License-Identifier: Apache-2.0
#include "flow/credit.h"

#include <tideway/check.h>

#include <algorithm>
#include <string>
#include <utility>

namespace tideway::flow {
namespace {

Error malformed(const std::string& frame, std::span<const std::byte> body) {
  return {Fault::kProtocolError, frame + " has a malformed body of " + std::to_string(body.size()) + " bytes", ""};
}

}  // namespace

Credit::Credit(const CreditConfig& config)
    : config_(config), own_pool_{.blocks_max = config.blocks_given_max}, pool_(config.pool == nullptr ? own_pool_ : *config.pool) {
  TIDEWAY_CHECK(config.unit > 0);
  abandons_out_.reserve(kAbandonsKept);
  abandons_in_.reserve(kAbandonsKept);
}

Credit::~Credit() {
  receiving_.clear();
  account();
}

Credit::Receiving* Credit::find_receiving(SlotId slot) {
  const auto at =
      std::find_if(receiving_.begin(), receiving_.end(), [slot](const Receiving& r) { return r.slot == slot; });
  return at == receiving_.end() ? nullptr : &*at;
}

Credit::Sending* Credit::find_sending(SlotId slot) {
  const auto at = std::find_if(sending_.begin(), sending_.end(), [slot](const Sending& s) { return s.slot == slot; });
  return at == sending_.end() ? nullptr : &*at;
}

// ---- what we give --------------------------------------------------------------------------------------------------

uint64_t Credit::shared_used(const Receiving& slot) const {
  const uint64_t out = held(slot);
  return out > config_.blocks_reserved ? out - config_.blocks_reserved : 0;
}

void Credit::account() {
  const uint64_t reserved = receiving_.size() * config_.blocks_reserved;
  uint64_t shared = 0;
  for (const Receiving& slot : receiving_) shared += shared_used(slot);
  pool_.reserved = pool_.reserved - std::exchange(reserved_, reserved) + reserved;
  pool_.shared = pool_.shared - std::exchange(shared_, shared) + shared;
  const auto waiting = static_cast<uint64_t>(std::ranges::count_if(receiving_, [this](const Receiving& slot) { return is_held_up(slot); }));
  pool_.waiting = pool_.waiting - std::exchange(waiting_, waiting) + waiting;
}

bool Credit::may_take_shared(const Receiving& slot) const {
  const uint64_t left = shared_free();
  return left > 0 && shared_used(slot) < kShareOfFree * left && held(slot) < slot.ceiling;
}

void Credit::give(Receiving& slot, uint64_t blocks) {
  slot.allowed += blocks;
  account();
  slot.is_due = has_frames_ = true;
  ++generation_;
}

Status Credit::open_receiving(SlotId slot, uint64_t blocks_ceiling) {
  TIDEWAY_CHECK(find_receiving(slot) == nullptr || find_receiving(slot)->is_closing);
  if (find_receiving(slot) != nullptr || pool_.reserved + config_.blocks_reserved > pool_.blocks_max / 2)
    return Error{Fault::kOverloaded,
                 "no buffers are left to reserve for another transfer: " + std::to_string(receiving_.size()) +
                     " hold " + std::to_string(config_.blocks_reserved) + " blocks each in lane " +
                     std::to_string(config_.lane.value()),
                 "try again when a transfer has ended, or raise [engine] memory"};
  const uint64_t ceiling = std::max(blocks_ceiling, config_.blocks_reserved);
  const uint64_t share = std::min({kStartMax, shared_free() / kStartPart, ceiling - config_.blocks_reserved});
  // A peer that was told less on the control channel, before this lane was there, learns the rest from a frame.
  receiving_.push_back({.slot = slot, .is_due = share > 0, .allowed = config_.blocks_reserved + share, .ceiling = ceiling});
  has_frames_ = has_frames_ || share > 0;
  account();
  ++generation_;
  return success();
}

void Credit::set_ceiling(SlotId id, uint64_t blocks) {
  if (Receiving* const slot = find_receiving(id)) slot->ceiling = std::max(blocks, config_.blocks_reserved);
}

void Credit::close_receiving(SlotId id) {
  Receiving* const slot = find_receiving(id);
  if (slot == nullptr) return;
  slot->is_closing = true;
  slot->is_due = false;
  slot->recall = Recall::kNone;
  if (held(*slot) == 0) receiving_.erase(receiving_.begin() + (slot - receiving_.data()));
  account();
}

void Credit::on_block_started(SlotId id) {
  Receiving* const slot = find_receiving(id);
  if (slot == nullptr) return;
  ++slot->started;
  // Packets race with frames: a CREDIT that was under way while its credit was given back may still be used once.
  slot->allowed = std::max(slot->allowed, slot->started);
  account();
}

void Credit::on_buffer_free(SlotId id) {
  Receiving* const slot = find_receiving(id);
  if (slot == nullptr) return;
  TIDEWAY_CHECK(slot->freed < slot->started);
  ++slot->freed;
  account();
  if (!slot->is_closing) return give_back_to(*slot);
  if (held(*slot) == 0) receiving_.erase(receiving_.begin() + (slot - receiving_.data()));
  account();
}

// A buffer of this slot has come back: it may start another block unless it holds more than its share, and one more on
// top if it is held up.
void Credit::give_back_to(Receiving& slot) {
  if (slot.recall != Recall::kNone) return;
  if (held(slot) < config_.blocks_reserved)
    give(slot, config_.blocks_reserved - held(slot));
  else if (may_take_shared(slot))
    give(slot, 1);
  if (slot.growth > 0 && may_take_shared(slot)) {
    --slot.growth;
    give(slot, 1);
  }
}

void Credit::recall_unused(Time now, Duration rtt) {
  const bool is_scarce = pool_.waiting > 0 && shared_free() * 2 < shared_max();
  for (Receiving& slot : receiving_) {
    if (slot.is_closing) continue;
    if (slot.started != slot.started_seen || slot.changed_at == Time{}) {
      slot.started_seen = slot.started;
      slot.changed_at = now;
      continue;
    }
    if (now - slot.changed_at < 2 * rtt) continue;
    const bool has_unused = shared_used(slot) > 0 && slot.allowed - slot.started > config_.blocks_reserved;
    const bool is_unanswered = slot.recall == Recall::kSent;
    if (!is_unanswered && !(slot.recall == Recall::kNone && is_scarce && has_unused)) continue;
    slot.recall = Recall::kDue;
    slot.changed_at = now;
    has_frames_ = true;
    ++stats_.recalls;
  }
}

uint64_t Credit::blocks_allowed(SlotId id) const {
  for (const Receiving& slot : receiving_)
    if (slot.slot == id && !slot.is_closing) return slot.allowed;
  return 0;
}

void Credit::on_return(SlotId id, uint64_t limit) {
  Receiving* const slot = find_receiving(id);
  if (slot == nullptr || slot->recall == Recall::kNone) return;  // late, or a repeated answer
  slot->recall = Recall::kNone;
  slot->allowed = std::clamp(limit, slot->started, slot->allowed);
  slot->growth = 0;
  account();
  if (held(*slot) < config_.blocks_reserved) give(*slot, config_.blocks_reserved - held(*slot));
}

void Credit::on_blocked(SlotId id, uint64_t limit) {
  Receiving* const slot = find_receiving(id);
  if (slot == nullptr || slot->is_closing) return;
  ++stats_.peer_stalls;
  const bool is_older = limit < slot->allowed;  // our CREDIT was lost, or is still on its way
  if (is_older && slot->recall != Recall::kNone) return;
  if (is_older) slot->is_due = has_frames_ = true;
  // An older limit is the rule on a long path, where buffers come back while BLOCKED travels; the sender was held up all the same.
  slot->growth = held(*slot);  // twice as much within one round of buffers coming back
  account();
}

// ---- what we were given --------------------------------------------------------------------------------------------

void Credit::open_sending(SlotId slot, uint64_t limit_bytes) {
  TIDEWAY_CHECK(find_sending(slot) == nullptr);
  sending_.push_back({.slot = slot, .limit = limit_bytes / config_.unit});
}

void Credit::close_sending(SlotId slot) {
  std::erase_if(sending_, [slot](const Sending& s) { return s.slot == slot; });
  const auto is_gone = [slot](const BlockKey& key) { return key.slot == slot; };
  const auto sent_end = abandons_out_.begin() + static_cast<std::ptrdiff_t>(abandons_sent_);
  abandons_sent_ -= static_cast<size_t>(std::count_if(abandons_out_.begin(), sent_end, is_gone));
  std::erase_if(abandons_out_, is_gone);
}

bool Credit::try_start(SlotId id) {
  Sending* const slot = find_sending(id);
  if (slot == nullptr) return false;
  const bool may_start = slot->started < slot->limit;
  if (may_start) ++slot->started;
  else if (std::exchange(slot->stalled_at, slot->limit) != slot->limit) ++stats_.stalls;
  ask_ahead(*slot);
  return may_start;
}

void Credit::ask_ahead(Sending& slot) {
  if (slot.limit - slot.started > kAskAhead || std::exchange(slot.asked_at, slot.limit) == slot.limit) return;
  slot.is_blocked_due = has_frames_ = true;
}

void Credit::abandon_started(BlockKey key) {
  if (find_sending(key.slot) == nullptr) return;
  abandons_out_.push_back(key);  // each was charged, so credit bounds how many wait
  has_frames_ = true;
}

void Credit::on_credit(SlotId id, uint64_t limit) {
  Sending* const slot = find_sending(id);
  if (slot == nullptr || limit <= slot->limit) return;
  slot->limit = limit;
  slot->was_returned = false;  // an answer to the return, or to what came before it: then the peer asks again
}

void Credit::on_recall(SlotId id) {
  Sending* const slot = find_sending(id);
  if (slot == nullptr) return;
  slot->limit = std::min(slot->limit, slot->started);
  slot->is_return_due = has_frames_ = true;
}

// ---- frames --------------------------------------------------------------------------------------------------------

void Credit::write_frames(Writer& out) {
  has_frames_ = false;  // set again by whatever finds no room
  write_receiving(out);
  write_sending(out);
  write_abandons(out);
}

bool Credit::write(Writer& out, wire::FrameType type, const wire::CreditFrame& frame) {
  if (out.left() < wire::kCreditFrameSize) {
    has_frames_ = true;
    return false;
  }
  wire::write_credit(out, type, frame);
  return true;
}

void Credit::write_receiving(Writer& out) {
  for (Receiving& slot : receiving_) {
    if (slot.recall == Recall::kDue) {
      if (!write(out, wire::FrameType::kCreditRecall, {slot.slot, config_.lane, 0})) return;
      slot.recall = Recall::kSent;
    }
    if (slot.recall != Recall::kNone) slot.is_due = false;  // it would undo what it is sent with
    if (!slot.is_due) continue;
    if (!write(out, wire::FrameType::kCredit, {slot.slot, config_.lane, slot.allowed * config_.unit})) return;
    slot.is_due = false;
  }
}

void Credit::write_sending(Writer& out) {
  for (Sending& slot : sending_) {
    const wire::CreditFrame limit{slot.slot, config_.lane, slot.limit * config_.unit};
    if (slot.is_return_due) {
      if (!write(out, wire::FrameType::kCreditReturn, limit)) return;
      slot.is_return_due = false;
      slot.was_returned = true;
    }
    if (!slot.is_blocked_due) continue;
    if (slot.asked_at == slot.limit && !write(out, wire::FrameType::kBlocked, limit)) return;
    slot.is_blocked_due = false;
  }
}

void Credit::write_abandons(Writer& out) {
  for (; abandons_sent_ < abandons_out_.size(); ++abandons_sent_) {
    if (out.left() < wire::kAbandonFrameSize) {
      has_frames_ = true;
      return;
    }
    wire::write_abandon(out, abandons_out_[abandons_sent_]);
  }
  if (abandons_out_.size() > kAbandonsKept) {
    const size_t old = abandons_out_.size() - kAbandonsKept;
    abandons_out_.erase(abandons_out_.begin(), abandons_out_.begin() + static_cast<std::ptrdiff_t>(old));
    abandons_sent_ -= old;
  }
}

void Credit::on_frames_lost() {
  for (Receiving& slot : receiving_) {
    if (slot.is_closing) continue;
    if (slot.recall == Recall::kSent) slot.recall = Recall::kDue;
    slot.is_due = slot.recall == Recall::kNone;
    has_frames_ = true;
  }
  for (Sending& slot : sending_) {
    slot.is_return_due = slot.is_return_due || slot.was_returned;
    slot.is_blocked_due = slot.asked_at == slot.limit;
    has_frames_ = has_frames_ || slot.is_return_due || slot.is_blocked_due;
  }
  abandons_sent_ = 0;
  has_frames_ = has_frames_ || !abandons_out_.empty();
}

Status Credit::on_frame(uint8_t type, std::span<const std::byte> body) {
  const auto kind = static_cast<wire::FrameType>(type);
  if (kind == wire::FrameType::kAbandon) {
    const auto key = wire::parse_abandon(body);
    if (!key) return malformed("ABANDON", body);
    if (abandons_in_.size() >= kAbandonsMax)
      return Error{Fault::kProtocolError, "more blocks were abandoned than can be under way", ""};
    abandons_in_.push_back(*key);
    return success();
  }
  const auto frame = wire::parse_credit(kind, body);
  if (!frame) return malformed("a frame of type " + std::to_string(type), body);
  if (frame->lane != config_.lane)
    return Error{Fault::kProtocolError,
                 "credit of lane " + std::to_string(frame->lane.value()) + " came on a flow of lane " +
                     std::to_string(config_.lane.value()), ""};
  const uint64_t limit = frame->limit / config_.unit;
  switch (kind) {
    case wire::FrameType::kCredit: on_credit(frame->slot, limit); return success();
    case wire::FrameType::kCreditRecall: on_recall(frame->slot); return success();
    case wire::FrameType::kCreditReturn: on_return(frame->slot, limit); return success();
    case wire::FrameType::kBlocked: on_blocked(frame->slot, limit); return success();
    default: return malformed("a frame of type " + std::to_string(type), body);
  }
}

std::optional<BlockKey> Credit::take_abandoned() {
  if (abandons_in_.empty()) return std::nullopt;
  const BlockKey key = abandons_in_.back();
  abandons_in_.pop_back();
  return key;
}

CreditStats Credit::stats() const {
  CreditStats stats = stats_;
  for (const Receiving& slot : receiving_) stats.blocks_promised += held(slot);
  return stats;
}

}  // namespace tideway::flow
