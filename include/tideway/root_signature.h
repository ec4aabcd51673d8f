// SPDX-License-Identifier: Apache-2.0
//
// What a site says of a tree that it sends: Ed25519 over its root. It travels with the root, is kept beside the published
// tree, and proves from where the tree came, at any time later and without any peer.
#pragma once
#include <array>
#include <cstddef>
#include <string>

namespace tideway {

inline constexpr size_t kSignatureSize = 64;
inline constexpr size_t kSigningSiteMax = 63;  // bytes of a site's name

struct RootSignature {
  std::string site;  // 1 to kSigningSiteMax bytes of [a-z0-9-]
  std::array<std::byte, kSignatureSize> bytes{};
  bool operator==(const RootSignature&) const = default;
};

}  // namespace tideway
