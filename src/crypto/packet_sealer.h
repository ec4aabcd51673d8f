// SPDX-License-Identifier: Apache-2.0
//
// Stands between a flow and its Aead and keeps the nonce rule: packet numbers rise strictly and never restart, not
// even when the key changes. A number that does not rise stops the process, because a repeated nonce gives away the
// plain text of two packets and the key that authenticates all of them.
// Thread: net worker. Pure.
#pragma once
#include <tideway/aead.h>
#include <tideway/check.h>
#include <tideway/units.h>

#include <memory>
#include <optional>
#include <utility>

namespace tideway::crypto {

class PacketSealer {
 public:
  // The key of the next key epoch. Its counters start at zero; packet numbers go on.
  void install(std::unique_ptr<Aead> key) {
    key_ = std::move(key);
    sealed_ = Bytes();
    packets_ = 0;
  }

  // As Aead::seal. Numbers rise within the burst and from burst to burst.
  void seal(std::span<const SealJob> burst) {
    TIDEWAY_CHECK(key_ != nullptr);
    for (const SealJob& job : burst) {
      TIDEWAY_CHECK(!last_ || job.packet_number > *last_);
      last_ = job.packet_number;
      sealed_ += Bytes(job.out.size());
    }
    packets_ += burst.size();
    key_->seal(burst);
  }

  bool has_key() const { return key_ != nullptr; }
  Bytes sealed() const { return sealed_; }       // under this key, for the change of key epoch
  uint64_t packets() const { return packets_; }  // under this key

 private:
  std::unique_ptr<Aead> key_;
  std::optional<uint64_t> last_;  // highest packet number ever sealed
  Bytes sealed_;
  uint64_t packets_ = 0;
};

}  // namespace tideway::crypto
