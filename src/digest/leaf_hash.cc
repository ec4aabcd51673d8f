// SPDX-License-Identifier: Apache-2.0
#include "digest/leaf_hash.h"

#include <tideway/check.h>

#include <xxhash.h>
#if __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // the widest vectors this CPU has; a distribution's build alone stops at SSE2
#endif

#include <cstring>

namespace tideway::digest {
namespace {

Hash128 canonical(XXH128_hash_t hash) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, hash);
  Hash128 result;
  static_assert(sizeof bytes == sizeof result);
  std::memcpy(result.data(), &bytes, sizeof result);
  return result;
}

}  // namespace

struct LeafHasher::State {
  XXH3_state_t* of = XXH3_createState();  // its own allocator, because it must be 64-byte aligned
  ~State() { XXH3_freeState(of); }
};

Hash128 leaf_hash(std::span<const std::byte> leaf) { return canonical(XXH3_128bits(leaf.data(), leaf.size())); }

LeafHasher::LeafHasher() : state_(std::make_unique<State>()) {
  TIDEWAY_CHECK(state_->of != nullptr);
  XXH3_128bits_reset(state_->of);
}

LeafHasher::~LeafHasher() = default;

void LeafHasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->of, bytes.data(), bytes.size());
}

Hash128 LeafHasher::finish() {
  const Hash128 hash = canonical(XXH3_128bits_digest(state_->of));
  XXH3_128bits_reset(state_->of);
  return hash;
}

}  // namespace tideway::digest
