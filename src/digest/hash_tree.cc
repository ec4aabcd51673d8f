// SPDX-License-Identifier: Apache-2.0
#include "digest/hash_tree.h"

#include "base/cursor.h"

#include <array>
#include <bit>
#include <span>
#include <utility>

namespace tideway::digest {
namespace {

enum class Prefix : uint8_t { kLeaf, kNode, kObject, kEntry, kDirectory, kTransfer };

constexpr uint8_t kAlgorithmXxh3 = 1;
constexpr uint8_t kLeafSizeLog2 = 22;
static_assert(kLeafSize.count() == uint64_t{1} << kLeafSizeLog2);
constexpr uint8_t kTransferVersion = 1;

Hash256 hash_of(std::span<const std::byte> bytes) {
  crypto::Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// Small inputs are put together on the stack first: one call per hash.
template <size_t kSize>
struct Input {
  std::array<std::byte, kSize> room;
  Writer out{room};
  explicit Input(Prefix prefix) { out.write_u8(static_cast<uint8_t>(prefix)); }
  Hash256 hash() const { return hash_of(std::span(room).first(out.used())); }
};

Hash256 leaf(uint64_t index, uint32_t length, const Hash128& xxh3) {
  Input<1 + 8 + 4 + 16> input(Prefix::kLeaf);
  input.out.write_u64(index);
  input.out.write_u32(length);
  input.out.write_bytes(xxh3);
  return input.hash();
}

Hash256 node(const Hash256& left, const Hash256& right) {
  Input<1 + 32 + 32> input(Prefix::kNode);
  input.out.write_bytes(left);
  input.out.write_bytes(right);
  return input.hash();
}

}  // namespace

ObjectHasher::ObjectHasher(Bytes size, FoldedLeaves folded) : folded_(std::move(folded)) {
  TIDEWAY_CHECK(folded_.leaves <= leaf_count(size) && folded_.tops.size() == static_cast<size_t>(std::popcount(folded_.leaves)));
  size_ = folded_.leaves == leaf_count(size) ? size : kLeafSize * folded_.leaves;
}

void ObjectHasher::add_leaf(uint32_t length, const Hash128& hash) {
  auto& [leaves, tops] = folded_;
  TIDEWAY_CHECK(length > 0 && length <= kLeafSize.count() && leaves < uint64_t{1} << 32);
  TIDEWAY_CHECK(size_ == kLeafSize * leaves);  // a short leaf is the last one
  size_ += Bytes(length);
  Hash256 top = leaf(leaves, length, hash);
  // As in adding one to a binary number: each carry joins two subtrees of the same height.
  for (uint64_t full = leaves++; (full & 1) != 0; full >>= 1) {
    top = node(tops.back(), top);
    tops.pop_back();
  }
  tops.push_back(top);
}

Hash256 ObjectHasher::finish() const {
  Input<1 + 1 + 1 + 8 + 32> input(Prefix::kObject);
  input.out.write_u8(kAlgorithmXxh3);
  input.out.write_u8(kLeafSizeLog2);
  input.out.write_u64(size_.count());
  const std::vector<Hash256>& tops = folded_.tops;
  if (tops.empty()) {
    input.out.write_bytes(hash_of({}));
    return input.hash();
  }
  Hash256 top = tops.back();
  for (size_t i = tops.size() - 1; i-- > 0;) top = node(tops[i], top);
  input.out.write_bytes(top);
  return input.hash();
}

Hash256 empty_object() {
  static const Hash256 kHash = ObjectHasher().finish();
  return kHash;
}

Hash256 link_content(std::string_view target) { return hash_of(bytes_of(target)); }

Hash256 entry_hash(const EntryContent& entry) {
  TIDEWAY_CHECK(entry.name.size() <= kNameComponentMax);
  Input<1 + 1 + 4 + 2 + kNameComponentMax + 32> input(Prefix::kEntry);
  input.out.write_u8(static_cast<uint8_t>(entry.type));
  input.out.write_u32(entry.mode);
  input.out.write_u16(static_cast<uint16_t>(entry.name.size()));
  input.out.write_bytes(bytes_of(entry.name));
  input.out.write_bytes(entry.content);
  return input.hash();
}

DirectoryHasher::DirectoryHasher() {
  const std::array prefix = {static_cast<std::byte>(Prefix::kDirectory)};
  hash_.update(prefix);
}

void DirectoryHasher::add(const Hash256& entry) {
  hash_.update(entry);
  ++entries_;
}

Hash256 DirectoryHasher::finish() {
  std::array<std::byte, 8> count;
  Writer(count).write_u64(entries_);
  hash_.update(count);
  return hash_.finish();
}

Hash256 transfer_root(const Hash256& content_of_entry_0) {
  Input<1 + 1 + 32> input(Prefix::kTransfer);
  input.out.write_u8(kTransferVersion);
  input.out.write_bytes(content_of_entry_0);
  return input.hash();
}

}  // namespace tideway::digest
