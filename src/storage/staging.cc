// SPDX-License-Identifier: Apache-2.0
#include "storage/staging.h"

#include "base/cursor.h"
#include "storage/blocking_queue.h"
#include "storage/scan.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace tideway::storage {
namespace {

constexpr uint32_t kObjectsPerDirBits = 12;
constexpr int kRacedCreates = 16;  // another transfer may remove .tideway while it is empty
constexpr size_t kHashSize = sizeof(Hash128);

std::string dir_of(uint32_t high) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%05x", high);
  return text.data();
}

ObjectName file_of(ObjectId id) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%03x", id.value() & ((1U << kObjectsPerDirBits) - 1));
  return single_name(text.data());
}

uint32_t high_of(ObjectId id) { return id.value() >> kObjectsPerDirBits; }

ObjectName state_dir() { return single_name(std::string(kStateDirName)); }

// The umask takes bits from mkdir; these modes are meant.
Status make_dir_exactly(const RootedDir& at, const ObjectName& name, uint32_t mode) {
  auto made = at.make_dir(name, mode);
  if (!made.ok() && made.error().fault != Fault::kDestExists) return made;
  if (!made.ok()) return success();
  auto dir = at.open_dir(name);
  if (!dir.ok()) return std::move(dir).error();
  if (::fchmod(dir.value().fd(), mode) != 0) return errno_error(at.side(), errno, "set the mode of", at.shown(name));
  return success();
}

// The staging directory, locked and still under its name; nothing when somebody removed it in between.
Result<std::optional<RootedDir>> try_lock(const RootedDir& root, const std::string& id) {
  if (auto status = make_dir_exactly(root, state_dir(), 0711); !status.ok()) return std::move(status).error();
  const ObjectName name = state_dir().child(id).value();
  auto made = root.make_dir(name, 0700);
  if (!made.ok() && made.error().fault != Fault::kDestExists) {
    if (made.error().fault == Fault::kDestIo) return std::optional<RootedDir>();  // .tideway itself is gone again
    return std::move(made).error();
  }
  auto dir = root.open_dir(name);
  if (!dir.ok()) {
    if (dir.error().fault == Fault::kDestIo) return std::optional<RootedDir>();
    return std::move(dir).error();
  }
  if (!dir.value().lock_exclusively())
    return Error{Fault::kDestBusy, "another process is filling the same transfer (" + id + ") below this root",
                 "wait for it, or stop it, then try again"};
  auto held = dir.value().stat({});
  auto named = root.stat_if_exists(name);
  if (!held.ok() || !named.ok() || !named.value() || named.value()->inode != held.value().inode)
    return std::optional<RootedDir>();
  return std::optional<RootedDir>(std::move(dir).value());
}

}  // namespace

std::string to_hex(const TransferId& id) {
  std::string text;
  for (const std::byte byte : id) {
    std::array<char, 4> two{};
    std::snprintf(two.data(), two.size(), "%02x", static_cast<unsigned>(byte));
    text += two.data();
  }
  return text;
}

bool read_exactly(int fd, uint64_t offset, std::span<std::byte> bytes) {
  const IoDone done = perform({IoOp::kRead, fd, offset, bytes});
  return done.error == 0 && done.transferred == bytes.size();
}

int write_all(int fd, uint64_t offset, std::span<const std::byte> bytes) {
  // A write only reads from its span; requests carry one type of span for both directions.
  return perform({IoOp::kWrite, fd, offset, {const_cast<std::byte*>(bytes.data()), bytes.size()}}).error;
}

Staging::Staging(std::shared_ptr<const RootedDir> root, RootedDir dir, const TransferId& id)
    : root_(std::move(root)), dir_(std::move(dir)), id_(id) {}

Result<Staging> Staging::create(std::shared_ptr<const RootedDir> root, const TransferId& id) {
  for (int attempt = 0; attempt < kRacedCreates; ++attempt) {
    auto locked = try_lock(*root, to_hex(id));
    if (!locked.ok()) return std::move(locked).error();
    if (!locked.value()) continue;
    if (auto emptied = locked.value()->remove_content(); !emptied.ok()) return std::move(emptied).error();
    Staging staging(std::move(root), std::move(*locked.value()), id);
    if (auto made = staging.make_content(); !made.ok()) {
      static_cast<void>(staging.remove().ok());
      return std::move(made).error();
    }
    return staging;
  }
  return Error{Fault::kDestBusy, "the staging directory below this root is removed as fast as it is made", "try again"};
}

Status Staging::make_content() {
  if (auto made = dir_.make_dir(single_name("data"), 0700); !made.ok()) return made;
  auto manifest = dir_.create_file(single_name("manifest"), 0600);
  if (!manifest.ok()) return std::move(manifest).error();
  manifest_ = std::move(manifest).value();
  auto leaves = dir_.create_file(single_name("leaves"), 0600);
  if (!leaves.ok()) return std::move(leaves).error();
  leaves_ = std::move(leaves).value();
  return success();
}

Status Staging::append_manifest(std::span<const std::byte> page) {
  TIDEWAY_CHECK(page.size() <= kPageBytesMax);
  frame_.resize(kFrameHeadSize + page.size());
  Writer out(frame_);
  out.write_u32(static_cast<uint32_t>(page.size()));
  out.write_u32(next_sequence_);
  out.write_bytes(page);
  if (const int error = write_all(manifest_.get(), manifest_size_, frame_); error != 0)
    return errno_error(Side::kDestination, error, "write the manifest of", "the transfer");
  manifest_size_ += frame_.size();
  ++next_sequence_;
  return success();
}

Status Staging::write_leaf_hash(uint64_t leaf, const Hash128& hash) {
  leaves_held_.push_back({leaf, hash});
  return leaves_held_.size() < kLeavesHeldMax ? success() : flush();
}

Status Staging::flush() {
  std::stable_sort(leaves_held_.begin(), leaves_held_.end(), [](const Leaf& a, const Leaf& b) { return a.number < b.number; });
  std::vector<std::byte> run;
  for (size_t i = 0; i < leaves_held_.size();) {
    const uint64_t first = leaves_held_[i].number;
    run.clear();
    do {
      run.insert(run.end(), leaves_held_[i].hash.begin(), leaves_held_[i].hash.end());
      ++i;
    } while (i < leaves_held_.size() && leaves_held_[i].number == first + run.size() / kHashSize);
    if (const int error = write_all(leaves_.get(), first * kHashSize, run); error != 0)
      return errno_error(Side::kDestination, error, "write the leaf hashes of", "the transfer");
  }
  leaves_held_.clear();
  return success();
}

Result<const RootedDir*> Staging::data_dir(uint32_t high, IfMissing if_missing) {
  const auto found = std::find_if(data_dirs_.begin(), data_dirs_.end(), [&](const DataDir& one) { return one.high == high; });
  if (found != data_dirs_.end()) {
    std::rotate(found, found + 1, data_dirs_.end());
    return &data_dirs_.back().dir;
  }
  const ObjectName name = single_name("data").child(dir_of(high)).value();
  if (if_missing == IfMissing::kMake) {
    auto made = dir_.make_dir(name, 0700);
    if (!made.ok() && made.error().fault != Fault::kDestExists) return std::move(made).error();
  } else {
    auto there = dir_.stat_if_exists(name);
    if (!there.ok()) return std::move(there).error();
    if (!there.value()) return nullptr;
  }
  auto dir = dir_.open_dir(name);
  if (!dir.ok()) return std::move(dir).error();
  if (data_dirs_.size() == kDataDirsOpen) data_dirs_.erase(data_dirs_.begin());
  data_dirs_.push_back({high, std::move(dir).value()});
  return &data_dirs_.back().dir;
}

Result<Descriptor> Staging::create_object(ObjectId id) {
  auto dir = data_dir(high_of(id), IfMissing::kMake);
  if (!dir.ok()) return std::move(dir).error();
  new_dirs_.insert(high_of(id));
  return dir.value()->create_file(file_of(id), 0600);
}

Result<Descriptor> Staging::open_object(ObjectId id, Caching caching) {
  auto dir = data_dir(high_of(id), IfMissing::kMake);
  if (!dir.ok()) return std::move(dir).error();
  return dir.value()->open_file(file_of(id), Access::kWrite, caching);
}

Result<bool> Staging::holds_object(ObjectId id) {
  auto data = data_dir(high_of(id), IfMissing::kFail);
  if (!data.ok()) return std::move(data).error();
  if (data.value() == nullptr) return false;
  auto there = data.value()->stat_if_exists(file_of(id));
  if (!there.ok()) return std::move(there).error();
  return there.value().has_value();
}

Result<bool> Staging::place_object(ObjectId id, const RootedDir& dir, const ObjectName& name) {
  auto data = data_dir(high_of(id), IfMissing::kFail);
  if (!data.ok()) return std::move(data).error();
  if (data.value() == nullptr) return false;
  auto renamed = data.value()->rename(file_of(id), dir, name);
  if (renamed.ok()) return true;
  auto there = data.value()->stat_if_exists(file_of(id));
  if (there.ok() && !there.value()) return false;
  return std::move(renamed).error();
}

Status Staging::sync_new_dirs() {
  for (const uint32_t high : new_dirs_) {
    auto dir = data_dir(high, IfMissing::kMake);
    if (!dir.ok()) return std::move(dir).error();
    if (auto synced = dir.value()->sync(); !synced.ok()) return synced;
  }
  new_dirs_.clear();
  return success();
}

Result<Descriptor> Staging::open_manifest() const { return dir_.open_file(single_name("manifest"), Access::kRead); }
Result<Descriptor> Staging::open_leaves() const { return dir_.open_file(single_name("leaves"), Access::kRead); }

Status Staging::remove() {
  data_dirs_.clear();
  if (auto emptied = dir_.remove_content(); !emptied.ok()) return emptied;
  const ObjectName name = state_dir().child(to_hex(id_)).value();
  if (auto removed = root_->remove_empty_dir(name); !removed.ok()) return removed;
  static_cast<void>(root_->remove_empty_dir(state_dir()).ok());  // other transfers and old manifests keep it
  return success();
}

Result<std::span<const std::byte>> PageStream::next() {
  const auto damaged = [](std::string why) {
    return Error{Fault::kManifestMismatch, "the stored manifest is damaged: " + std::move(why), "copy the data again"};
  };
  if (at_ == end_) return std::span<const std::byte>();
  std::array<std::byte, kFrameHeadSize> head{};
  if (end_ - at_ < head.size() || !read_exactly(fd_, at_, head)) return damaged("it ends inside a frame");
  Reader in(head);
  const uint32_t length = *in.read_u32(), sequence = *in.read_u32();
  at_ += head.size();
  if (sequence != next_sequence_) return damaged("page " + std::to_string(next_sequence_) + " is missing");
  if (length == 0 || length > kPageBytesMax || length > end_ - at_) return damaged("a page has an impossible length");
  page_.resize(length);
  if (!read_exactly(fd_, at_, page_)) return damaged("it ends inside a page");
  at_ += length;
  ++next_sequence_;
  return std::span<const std::byte>(page_);
}

}  // namespace tideway::storage
