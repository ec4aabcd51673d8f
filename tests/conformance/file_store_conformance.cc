// SPDX-License-Identifier: Apache-2.0
#include "conformance/object_store_suite.h"
#include "storage/file_sink.h"
#include "storage/file_source.h"
#include "storage/registry.h"
#include "support/page_codec.h"
#include "support/temp_root.h"

#include <fcntl.h>

namespace tideway::conformance {
namespace {

using storage::IoQueueMode;

template <IoQueueMode mode>
class FileHarness {
 public:
  ~FileHarness() { abandon(); }
  void put(Tree tree, const ObjectName& name, const Node& node) {
    const TempRoot& root = root_of(tree);
    const std::string path = text_of(name);
    if (node.type == EntryType::kDirectory) root.make_dir(path);
    else root.make_dir(text_of(name.parent()));
    if (node.type == EntryType::kFile) root.write(path, node.content);
    if (node.type == EntryType::kSymlink) return root.link(path, node.content);
    EXPECT_EQ(::chmod((root / path).c_str(), node.mode), 0);
    const timespec time{node.mtime_ns / 1'000'000'000, node.mtime_ns % 1'000'000'000}, times[2] = {time, time};
    EXPECT_EQ(::utimensat(AT_FDCWD, (root / path).c_str(), times, 0), 0);
  }
  void remove(Tree tree, const ObjectName& name) { std::filesystem::remove_all(root_of(tree) / text_of(name)); }
  std::string content(Tree tree, const ObjectName& name) { return root_of(tree).read(text_of(name)); }

  ObjectStore& source(const ObjectName& under) {
    storage::ScanSpec spec{{{open(source_root_, storage::Side::kSource), under, {}}}, storage::ScanForm::kSingle, {}, {}};
    source_ = std::make_unique<storage::FileSource>(std::move(spec), *queue_);
    return *source_;
  }
  ObjectStore& sink() {
    abandon();
    TransferId id{};
    id[0] = std::byte{++sinks_made_};
    sink_ = storage::FileSink::create({open(destination_root_, storage::Side::kDestination), id, {}, decode_page}, *queue_).value();
    return *sink_;
  }
  void on_entries(const std::vector<ManifestEntry>& entries) {
    EXPECT_TRUE(sink_->staging().append_manifest(encode_page(entries)).ok());
  }

 private:
  void abandon() {
    if (sink_) {
      EXPECT_TRUE(sink_->abandon().ok());
    }
  }
  static std::string text_of(const ObjectName& name) {
    std::string text;
    for (const std::string& component : name.components()) text += (text.empty() ? "" : "/") + component;
    return text;
  }
  static std::shared_ptr<const storage::RootedDir> open(const TempRoot& root, storage::Side side) {
    return std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root.path().string(), side).value());
  }
  const TempRoot& root_of(Tree tree) const { return tree == Tree::kSource ? source_root_ : destination_root_; }

  TempRoot source_root_, destination_root_;
  std::unique_ptr<storage::IoQueue> queue_ = storage::make_io_queue(mode).value();
  std::unique_ptr<storage::FileSource> source_;
  std::unique_ptr<storage::FileSink> sink_;
  unsigned char sinks_made_ = 0;
};

using Harnesses = testing::Types<FileHarness<IoQueueMode::kAuto>, FileHarness<IoQueueMode::kThreads>>;
INSTANTIATE_TYPED_TEST_SUITE_P(File, ObjectStoreSuite, Harnesses);

}  // namespace
}  // namespace tideway::conformance
