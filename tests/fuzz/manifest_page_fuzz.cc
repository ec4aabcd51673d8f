// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a page of a manifest, and what parses as a tree to hash: names stay below the root, numbers count on,
// and the tree is refused or hashed.
#include "digest/tree_hasher.h"
#include "messages/manifest_page.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  const auto page = messages::parse_manifest_page(std::as_bytes(std::span(data, size)));
  if (!page.ok()) return 0;
  const std::string again = messages::serialize(page.value());
  TIDEWAY_CHECK(messages::parse_manifest_page(std::as_bytes(std::span(again))).value() == page.value());

  digest::TreeHasher tree;
  uint64_t leaf = page.value().entries.front().first_leaf;
  bool is_tree = true;
  for (const ManifestEntry& entry : page.value().entries) {
    TIDEWAY_CHECK(entry.number == ObjectId() ? entry.name.empty() : is_component(entry.name));
    TIDEWAY_CHECK(entry.first_leaf == leaf);
    leaf += leaf_count(entry.size);
    is_tree = is_tree && tree.add(entry).ok();
  }
  for (const ManifestEntry& entry : page.value().entries) tree.set_root(entry.number, {});
  TIDEWAY_CHECK(!is_tree || tree.finish().has_value());
  return 0;
}
