// SPDX-License-Identifier: Apache-2.0
//
// HMAC-SHA-256 (RFC 2104): phase beacons.
// Thread: any.
#pragma once
#include <tideway/ids.h>

#include <cstddef>
#include <span>

namespace tideway::crypto {

Hash256 hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> message);
// In a time that does not tell where they differ. Of different sizes: false.
bool is_same_tag(std::span<const std::byte> a, std::span<const std::byte> b);

}  // namespace tideway::crypto
