// SPDX-License-Identifier: Apache-2.0
#include "conformance/object_store_suite.h"
#include "storage/memory_store.h"

namespace tideway::conformance {
namespace {

class MemoryHarness {
 public:
  void put(Tree tree, const ObjectName& name, const Node& node) {
    storage::MemoryNode made{node.type, {}, node.mode, node.mtime_ns, {}, 0};
    if (node.type == EntryType::kSymlink) made.link_target = node.content;
    else for (const char byte : node.content) made.bytes.push_back(static_cast<std::byte>(byte));
    tree_of(tree).put(name, std::move(made));
  }
  void remove(Tree tree, const ObjectName& name) { tree_of(tree).remove(name); }
  std::string content(Tree tree, const ObjectName& name) {
    const auto* node = tree_of(tree).find(name);
    return node == nullptr ? "" : std::string(reinterpret_cast<const char*>(node->bytes.data()), node->bytes.size());
  }
  ObjectStore& source(const ObjectName& under) { return *(source_ = std::make_unique<storage::MemorySource>(source_tree_, under)); }
  ObjectStore& sink() { return *(sink_ = std::make_unique<storage::MemorySink>(destination_tree_)); }
  void on_entries(const std::vector<ManifestEntry>&) {}

 private:
  storage::MemoryTree& tree_of(Tree tree) { return tree == Tree::kSource ? source_tree_ : destination_tree_; }
  storage::MemoryTree source_tree_, destination_tree_;
  std::unique_ptr<storage::MemorySource> source_;
  std::unique_ptr<storage::MemorySink> sink_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, ObjectStoreSuite, MemoryHarness);

}  // namespace
}  // namespace tideway::conformance
