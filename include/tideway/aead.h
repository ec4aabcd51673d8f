// SPDX-License-Identifier: Apache-2.0
//
// The seam for packet encryption: AES-256-GCM (NIST SP 800-38D) by ipsec-mb or by OpenSSL EVP. One object is one
// expanded key: one flow, one direction, one key epoch. The nonce is the key's IV with the packet number xored into
// its last eight bytes, big-endian (RFC 9001, section 5.3).
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace tideway {

inline constexpr size_t kAeadKeySize = 32;
inline constexpr size_t kAeadIvSize = 12;
inline constexpr size_t kAeadTagSize = 16;

struct SealJob {
  uint64_t packet_number;
  std::span<const std::byte> header, plain;
  std::span<std::byte> out;
};

struct OpenJob {
  uint64_t packet_number;
  std::span<const std::byte> header, sealed;
  std::span<std::byte> out;
  bool authentic;
};

class Aead {
 public:
  virtual ~Aead() = default;

  // Seals a burst of packets.
  //
  // Shapes:  1 to 64 jobs. `header` is 20 to 64 bytes, `plain` 0 to 16 KiB of any alignment, `out` exactly 16 bytes
  //          longer than `plain`; the two do not overlap.
  // Units:   `packet_number` counts packets under this key and never repeats (flow/packet_sealer.h sees to it).
  // Owner:   the caller; nothing is kept after the return.
  // Thread:  net worker.
  // Errors:  none.
  virtual void seal(std::span<const SealJob> burst) = 0;

  // Opens a burst and says for each packet whether its tag is right; returns how many are. `out` is exactly 16 bytes
  // shorter than `sealed`; where the tag is wrong its content is unspecified and must not be read.
  virtual size_t open(std::span<OpenJob> burst) = 0;
};

}  // namespace tideway
