// SPDX-License-Identifier: Apache-2.0
//
// The hash of a leaf's raw bytes: XXH3-128 in its canonical, big-endian form. It finds accidents in memory, on buses
// and disks; it does not stop somebody who builds collisions (docs/protocol.md says so, too).
// Thread: cpu worker, one object at a time. Pure.
#pragma once
#include <tideway/ids.h>

#include <memory>
#include <span>

namespace tideway::digest {

Hash128 leaf_hash(std::span<const std::byte> leaf);

// Of a whole leaf of zeros, so that a hole in a sparse file need not be read.
inline constexpr Hash128 kZeroLeafHash = {
    std::byte{0x34}, std::byte{0x00}, std::byte{0x1A}, std::byte{0xE2}, std::byte{0xF9}, std::byte{0x47},
    std::byte{0xE7}, std::byte{0x73}, std::byte{0x16}, std::byte{0x5F}, std::byte{0x45}, std::byte{0x3A},
    std::byte{0x5F}, std::byte{0x35}, std::byte{0xC4}, std::byte{0x59}};

// The same from pieces, for a file that is read back in smaller steps or a head with a gap in it.
class LeafHasher {
 public:
  LeafHasher();
  ~LeafHasher();
  void update(std::span<const std::byte> bytes);
  Hash128 finish();  // and starts over

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tideway::digest
