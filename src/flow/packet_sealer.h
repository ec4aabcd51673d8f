// SPDX-License-Identifier: Apache-2.0
//
// The keys a flow sends with. Under one key no packet number is ever used twice: two equal ones would give away the
// authentication key of AES-GCM. So numbers rise strictly over all key epochs, and the seal path stops the process
// otherwise. A key is used for a bounded number of bytes and packets; the next one is installed ahead and the change is
// a pointer. A sender goes two epochs ahead of nobody: e+1 must have been acked before e+2.
// Thread: net worker. Pure.
#pragma once
#include <tideway/aead.h>
#include <tideway/ids.h>
#include <tideway/units.h>

#include <array>
#include <memory>
#include <optional>

namespace tideway::flow {

// When to change keys. Both bounds of RFC 9001 (appendix B) are one of about 2^35 AES blocks, which is 512 GiB; these stay
// well below. Tests lower them.
struct KeyLimits {
  uint64_t bytes = uint64_t{1} << 36, packets = uint64_t{1} << 28;
  Duration age = std::chrono::minutes(60);
  // Where a key that cannot be changed stops: the peer never confirmed, or no key was installed.
  uint64_t bytes_hard = uint64_t{1} << 38, packets_hard = uint64_t{1} << 29;
  uint64_t forgeries = uint64_t{1} << 34;  // failed tags under one key; then the receiver asks for the next epoch
};

class PacketSealer {
 public:
  explicit PacketSealer(const KeyLimits& limits) : limits_(limits) {}

  void install(KeyEpoch epoch, std::unique_ptr<Aead> key);  // the epoch in use, or the one after it
  void on_acked(uint64_t packet_number);
  void on_key_request() { is_change_wanted_ = true; }

  // Changes the epoch if it is time and possible. Before the headers of a burst are written: they name the epoch.
  // True: it has changed.
  bool prepare(Time now);
  bool can_seal() const;
  // All of one burst, numbers rising. A failed check when a number is not above all before it.
  void seal(std::span<const SealJob> burst);

  KeyEpoch epoch() const { return KeyEpoch(epoch_); }
  bool needs_key() const { return key_ == nullptr || next_key_ == nullptr; }
  KeyEpoch next_to_install() const;

 private:
  bool is_worn(Time now) const;

  KeyLimits limits_;
  std::unique_ptr<Aead> key_, next_key_;
  uint64_t epoch_ = 0;
  uint64_t bytes_ = 0, packets_ = 0;  // under this key
  Time since_ = kNever;               // of its first use
  uint64_t end_ = 0;                  // the last sealed number plus one
  uint64_t epoch_first_ = 0;          // the epoch's first number
  bool is_confirmed_ = false;         // one of the epoch's packets was acked
  bool is_change_wanted_ = false;
};

}  // namespace tideway::flow
