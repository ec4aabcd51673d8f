// SPDX-License-Identifier: Apache-2.0
#include "flow/packet_sealer.h"

#include <tideway/check.h>

namespace tideway::flow {

void PacketSealer::install(KeyEpoch epoch, std::unique_ptr<Aead> key) {
  TIDEWAY_CHECK(epoch == next_to_install() && next_key_ == nullptr && key != nullptr);
  (key_ == nullptr ? key_ : next_key_) = std::move(key);
}

KeyEpoch PacketSealer::next_to_install() const {
  return KeyEpoch(key_ == nullptr ? epoch_ : next_key_ == nullptr ? epoch_ + 1 : epoch_ + 2);
}

void PacketSealer::on_acked(uint64_t packet_number) {
  if (packet_number >= epoch_first_ && packets_ > 0) is_confirmed_ = true;
}

bool PacketSealer::is_worn(Time now) const {
  return bytes_ >= limits_.bytes || packets_ >= limits_.packets || is_change_wanted_ ||
         (since_ != kNever && now - since_ >= limits_.age);
}

bool PacketSealer::prepare(Time now) {
  if (is_worn(now) && is_confirmed_ && next_key_ != nullptr) {
    key_ = std::move(next_key_);
    ++epoch_;
    bytes_ = packets_ = 0;
    since_ = now;
    epoch_first_ = end_;
    is_confirmed_ = is_change_wanted_ = false;
    return true;
  }
  if (since_ == kNever) since_ = now;
  return false;
}

bool PacketSealer::can_seal() const {
  return key_ != nullptr && bytes_ < limits_.bytes_hard && packets_ < limits_.packets_hard;
}

void PacketSealer::seal(std::span<const SealJob> burst) {
  if (burst.empty()) return;
  TIDEWAY_CHECK(can_seal());
  for (const SealJob& job : burst) {
    TIDEWAY_CHECK(job.packet_number >= end_);
    end_ = job.packet_number + 1;
    bytes_ += job.plain.size();
  }
  packets_ += burst.size();
  key_->seal(burst);
}

}  // namespace tideway::flow
