// SPDX-License-Identifier: Apache-2.0
//
// A tree in staging, entry by entry, for tests that publish it.
#pragma once
#include "storage/publish.h"

#include "support/manifest_entries.h"
#include "support/page_codec.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/mount.h>

#include <set>

namespace tideway::storage {

class PublishTest : public testing::Test {
 public:  // for the lies below
  void SetUp() override { restart(); }
  void TearDown() override {
    staging_.reset();
    if (is_mounted_) ::umount2(root_.path().c_str(), MNT_DETACH);
  }
  void restart(unsigned char number = 0) {
    staging_.reset();
    entries_.clear();
    leaves_ = 0;
    const auto root = std::make_shared<RootedDir>(RootedDir::open_host_path(root_.path().string(), Side::kDestination).value());
    TransferId id{};
    id[0] = std::byte{number};
    staging_.emplace(Staging::create(root, id).value());
  }
  ManifestEntry& add(uint32_t parent, std::string name, EntryType type, uint32_t mode = 0755) {
    ManifestEntry& entry = entries_.emplace_back(test::entry_of(static_cast<uint32_t>(entries_.size()), parent, std::move(name), type));
    entry.mode = mode;
    entry.mtime_ns = 1'500'000'000'000'000'009;
    entry.first_leaf = leaves_;
    return entry;
  }
  void dir(uint32_t parent, std::string name, uint32_t mode = 0755) { add(parent, std::move(name), EntryType::kDirectory, mode); }
  void link(uint32_t parent, std::string name, std::string target) {
    add(parent, std::move(name), EntryType::kSymlink).link_target = std::move(target);
  }
  enum class Staged : uint8_t { kYes, kNo };
  void file(uint32_t parent, std::string name, std::string_view content, Staged staged = Staged::kYes) {
    ManifestEntry& entry = add(parent, std::move(name), EntryType::kFile, 0640);
    entry.size = Bytes(content.size());
    leaves_ += leaf_count(entry.size);
    if (staged == Staged::kNo || content.empty()) return;
    const Descriptor made = staging_->create_object(entry.number).value();
    ASSERT_EQ(write_all(made.get(), 0, std::as_bytes(std::span(content))), 0);
    ASSERT_EQ(set_times(made.get(), entry.mtime_ns), 0);
  }
  void sample() {
    dir(0, "", 0750);
    file(0, "a", "alpha");
    dir(0, "closed", 0555);
    dir(2, "deep");
    file(3, "empty", "");
    file(2, "inner", "beta");
    link(0, "link", "closed/inner");
  }
  Status publish(std::string_view to) {
    const auto pages = encode_page(entries_);
    if (auto status = staging_->append_manifest(pages); !status.ok()) return status;
    order_.destination = ObjectName::from_text(to).value();
    order_.entries = entries_.size();
    order_.root[0] = std::byte{1};
    return publish_staged(*staging_, order_, {decode_page, modes_, rules_});
  }
  size_t kept_manifests() const {
    size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(root_ / ".tideway/manifests")) count += file.is_regular_file() ? 1 : 0;
    return count;
  }
  std::string names_in(std::string_view dir) const {
    std::set<std::string> names;
    for (const auto& file : std::filesystem::recursive_directory_iterator(root_ / dir)) names.insert(file.path().filename());
    std::string text;
    for (const std::string& name : names) text += name + " ";
    return text;
  }
  bool is_clean() const { return !root_.exists("copy") && !root_.exists("up/copy"); }

  TempRoot root_;
  std::optional<Staging> staging_;
  std::vector<ManifestEntry> entries_;
  uint64_t leaves_ = 0;
  PublishOrder order_;
  uint32_t modes_ = 0777;
  PublishRules rules_;
  bool is_mounted_ = false;
};

}  // namespace tideway::storage
