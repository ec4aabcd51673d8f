// SPDX-License-Identifier: Apache-2.0
#include "digest/leaf_fold.h"

namespace tideway::digest {

LeafFold::LeafFold(Bytes size) : size_(size) {
  TIDEWAY_CHECK(size > 0_B && size <= kObjectSizeMax);
  if (leaves() > 1) many_ = std::make_unique<Many>();
}

LeafFold::LeafFold(Bytes size, FoldedLeaves folded) : LeafFold(size) {
  TIDEWAY_CHECK(folded.leaves < leaves());
  if (folded.leaves == 0) return;
  in_order_ = static_cast<uint32_t>(folded.leaves);
  many_->hasher = ObjectHasher(size, std::move(folded));
}

bool LeafFold::add(uint32_t leaf, const Hash128& hash) {
  TIDEWAY_CHECK(leaf < leaves());
  if (has(leaf)) return false;
  if (!many_) {
    only_ = hash;
    in_order_ = 1;
    return true;
  }
  auto& early = many_->early;
  early.emplace(leaf, hash);
  for (auto next = early.begin(); next != early.end() && next->first == in_order_; next = early.erase(next)) {
    many_->hasher.add_leaf(leaf_length(size_, in_order_), next->second);
    in_order_ += 1;
  }
  return true;
}

std::optional<Hash128> LeafFold::hash_of(uint32_t leaf) const {
  if (!many_) return in_order_ == 1 ? std::optional(only_) : std::nullopt;
  const auto found = many_->early.find(leaf);
  return found == many_->early.end() ? std::nullopt : std::optional(found->second);
}

ObjectHasher LeafFold::hasher() const {
  if (many_) return many_->hasher;
  ObjectHasher hasher;
  if (in_order_ == 1) hasher.add_leaf(static_cast<uint32_t>(size_.count()), only_);
  return hasher;
}

FoldedLeaves LeafFold::folded() const { return hasher().folded(); }

Hash256 LeafFold::root() const {
  TIDEWAY_CHECK(is_whole());
  return hasher().finish();
}

}  // namespace tideway::digest
