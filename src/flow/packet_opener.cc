// SPDX-License-Identifier: Apache-2.0
#include "flow/packet_opener.h"

#include <tideway/check.h>

namespace tideway::flow {

void PacketOpener::install(KeyEpoch epoch, std::unique_ptr<Aead> key) {
  TIDEWAY_CHECK(epoch == next_to_install() && epoch.value() <= epoch_ + 1 && key != nullptr);
  key_of(epoch.value()) = std::move(key);
}

KeyEpoch PacketOpener::next_to_install() const {
  if (key_of(epoch_) == nullptr) return KeyEpoch(epoch_);
  return KeyEpoch(key_of(epoch_ + 1) == nullptr ? epoch_ + 1 : epoch_ + 2);
}

std::optional<uint64_t> PacketOpener::match(uint8_t epoch_low) const {
  const auto ahead = static_cast<int8_t>(static_cast<uint8_t>(epoch_low - static_cast<uint8_t>(epoch_)));
  if (ahead < -1 || ahead > 1 || (ahead < 0 && epoch_ == 0)) return std::nullopt;
  const uint64_t epoch = epoch_ + static_cast<uint64_t>(int64_t{ahead});
  if (key_of(epoch) == nullptr) return std::nullopt;
  return epoch;
}

size_t PacketOpener::open(uint64_t epoch, std::span<OpenJob> burst) {
  if (epoch + 1 < epoch_ || key_of(epoch) == nullptr) {
    for (OpenJob& job : burst) job.authentic = false;
    return 0;
  }
  const size_t authentic = key_of(epoch)->open(burst);
  forgeries_ += burst.size() - authentic;
  if (authentic == 0 || epoch != epoch_ + 1) return authentic;
  ++epoch_;
  key_of(epoch_ + 1).reset();  // the slot of epoch - 2
  is_fresh_ = true;
  forgeries_ = 0;
  is_change_asked_ = false;
  return authentic;
}

void PacketOpener::on_deadline(Time now, Duration probe_timeout) {
  if (is_fresh_) {
    is_fresh_ = false;
    erase_at_ = now + kEraseAfter * probe_timeout;
  }
  if (is_change_asked_ && now >= ask_again_at_) is_change_asked_ = false;
  if (now < erase_at_) return;
  erase_at_ = kNever;
  if (epoch_ > 0) key_of(epoch_ - 1).reset();
}

void PacketOpener::on_change_asked(Time now, Duration probe_timeout) {
  is_change_asked_ = true;
  ask_again_at_ = now + kEraseAfter * probe_timeout;
}

}  // namespace tideway::flow
