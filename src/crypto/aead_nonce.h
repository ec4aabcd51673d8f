// SPDX-License-Identifier: Apache-2.0
//
// The nonce of a packet (RFC 9001, section 5.3), shared by the AEAD providers.
// Pure.
#pragma once
#include <tideway/aead.h>

#include <array>

namespace tideway::crypto {

using AeadIv = std::array<std::byte, kAeadIvSize>;

// The IV with the packet number xored into its last eight bytes, big-endian.
inline AeadIv nonce_of(const AeadIv& iv, uint64_t packet_number) {
  AeadIv nonce = iv;
  for (size_t i = 0; i < 8; ++i)
    nonce[kAeadIvSize - 1 - i] ^= static_cast<std::byte>(packet_number >> (8 * i));
  return nonce;
}

}  // namespace tideway::crypto
