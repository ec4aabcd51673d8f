// SPDX-License-Identifier: Apache-2.0
//
// Constants of the packet format (docs/protocol.md). A change to any of them is a new protocol version.
// Pure.
#pragma once
#include <tideway/aead.h>

#include <cstddef>
#include <cstdint>

namespace tideway::wire {

inline constexpr uint8_t kPacketVersion = 1;  // three bits of byte 0: a guard; the version proper is the TLS ALPN's

inline constexpr size_t kHeaderSize = 20;      // every packet
inline constexpr size_t kDataHeaderSize = 32;  // DATA: followed by where the payload belongs
inline constexpr size_t kPacketSizeMin = kHeaderSize + kAeadTagSize;
inline constexpr size_t kDataOverhead = kDataHeaderSize + kAeadTagSize;
inline constexpr size_t kPacketOverhead = kHeaderSize + kAeadTagSize;

}  // namespace tideway::wire
