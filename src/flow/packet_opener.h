// SPDX-License-Identifier: Apache-2.0
//
// The keys a flow receives with: of the last key epoch, the present one and the next. A packet that authenticates under
// the next one makes it the present one; the last one goes three probe timeouts later, when what was under way has come.
// Eight bits of the epoch in the header tell the three apart.
// Thread: net worker. Pure.
#pragma once
#include "flow/packet_sealer.h"

namespace tideway::flow {

class PacketOpener {
 public:
  explicit PacketOpener(const KeyLimits& limits) : forgeries_max_(limits.forgeries) {}

  static constexpr int kEraseAfter = 3;  // probe timeouts

  void install(KeyEpoch epoch, std::unique_ptr<Aead> key);  // the present epoch at first, then the one after it
  // Which of the epochs held a header names, or nothing.
  std::optional<uint64_t> match(uint8_t epoch_low) const;
  // All of one epoch that match() named. A packet of the next epoch that is authentic changes the epoch; what the same
  // burst has of the epoch before the last then opens no more.
  size_t open(uint64_t epoch, std::span<OpenJob> burst);

  // Erases the last epoch's key when its time has come.
  void on_deadline(Time now, Duration probe_timeout);
  // Too many forgeries under this key: the peer should take the next one. Asked again while it does not.
  bool is_change_due() const { return forgeries_ >= forgeries_max_ && !is_change_asked_; }
  void on_change_asked(Time now, Duration probe_timeout);
  KeyEpoch epoch() const { return KeyEpoch(epoch_); }
  bool needs_key() const { return next_to_install().value() <= epoch_ + 1; }
  KeyEpoch next_to_install() const;

 private:
  std::unique_ptr<Aead>& key_of(uint64_t epoch) { return keys_[epoch % keys_.size()]; }
  const std::unique_ptr<Aead>& key_of(uint64_t epoch) const { return keys_[epoch % keys_.size()]; }

  std::array<std::unique_ptr<Aead>, 3> keys_;  // by epoch modulo 3
  uint64_t epoch_ = 0;
  bool is_fresh_ = false;      // the epoch changed and on_deadline has not seen it yet
  Time erase_at_ = kNever;
  const uint64_t forgeries_max_;
  uint64_t forgeries_ = 0;
  bool is_change_asked_ = false;
  Time ask_again_at_ = kNever;
};

}  // namespace tideway::flow
