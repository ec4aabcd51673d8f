// SPDX-License-Identifier: Apache-2.0
#include "engine/repair.h"

#include "base/log.h"
#include "digest/leaf_hash.h"
#include "storage/direct_io.h"
#include "storage/publish.h"
#include "storage/scan.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace tideway::engine {
namespace {

constexpr size_t kHashesAsked = 1024;

struct alignas(storage::kDirectAlignment) LeafRoom {
  std::array<std::byte, kLeafSize.count()> bytes;
};

Error other_tree(const ManifestEntry& entry) {
  return {Fault::kManifestMismatch, "\"" + to_display(entry.name) + "\" at the peer is not what the manifest here lists as entry " +
              std::to_string(entry.number.value()), "name a copy that has the same root"};
}

// Times and the file behind it may be others: a root covers names, types, modes, sizes and bytes.
bool is_same(const ManifestEntry& a, const ManifestEntry& b) {
  return a.number == b.number && a.parent == b.parent && a.name == b.name && a.type == b.type && a.size == b.size &&
         a.mode == b.mode && a.first_leaf == b.first_leaf && a.link_target == b.link_target;
}

// 0 or an errno.
int copy_range(int from, int to, uint64_t offset, uint64_t length) {
  for (uint64_t done = 0; done < length;) {
    auto in = static_cast<loff_t>(offset + done), out = in;
    const ssize_t moved = ::copy_file_range(from, &in, to, &out, length - done, 0);
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return moved == 0 ? EIO : errno;
    done += static_cast<uint64_t>(moved);
  }
  return 0;
}

}  // namespace

const std::vector<uint32_t>* Repair::damage_of(ObjectId id) const {
  const auto found = order_->damaged.find(id);
  return found == order_->damaged.end() ? nullptr : &found->second;
}

Result<ObjectName> Repair::name_of(const ManifestEntry& entry) {
  if (entry.number == entry.parent) return order_->place;
  while (!open_.empty() && open_.back().number != entry.parent) open_.pop_back();
  if (open_.empty()) return other_tree(entry);
  return open_.back().name.child(entry.name);
}

Result<transfer::Existing> Repair::take_entry(const ManifestEntry& entry, storage::Staging& staging) {
  const ManifestEntry* stored = stored_.next();
  if (stored == nullptr || !is_same(*stored, entry)) return other_tree(entry);
  auto name = name_of(entry);
  if (!name.ok()) return std::move(name).error();
  if (entry.type == EntryType::kDirectory) open_.push_back({entry.number, name.value()});
  if (entry.type != EntryType::kFile || entry.size == 0_B) return transfer::Existing::kAbsent;
  Hash128 first{};
  if (!order_->manifest.read_leaves(entry.first_leaf, {&first, 1})) return other_tree(entry);
  if (first == Hash128{}) return transfer::Existing::kSame;  // was there before the copy: its hashes are not known
  const auto* bad = damage_of(entry.number);
  if (bad == nullptr) return transfer::Existing::kAbsent;
  damaged_.push_back({*stored, std::move(name).value()});
  if (Status status = lay_out(damaged_.back(), *bad, staging); !status.ok()) return std::move(status).error();
  return transfer::Existing::kAbsent;
}

// Leaf by leaf: a bad one may be unreadable.
Status Repair::lay_out(const Damaged& damaged, const std::vector<uint32_t>& bad, storage::Staging& staging) const {
  const Bytes size = damaged.entry.size;
  if (bad.size() == leaf_count(size)) return success();
  auto from = staging.root().open_file(damaged.name, storage::Access::kRead);
  if (!from.ok()) return std::move(from).error();
  auto to = staging.create_object(damaged.entry.number);
  if (!to.ok()) return std::move(to).error();
  int error = ::ftruncate(to.value().get(), static_cast<off_t>(size.count())) == 0 ? 0 : errno;
  for (uint32_t leaf = 0; leaf < leaf_count(size) && error == 0; ++leaf) {
    if (std::ranges::binary_search(bad, leaf)) continue;
    error = copy_range(from.value().get(), to.value().get(), leaf * kLeafSize.count(), leaf_length(size, leaf));
  }
  if (error == 0) return success();
  return storage::errno_error(storage::Side::kDestination, error, "copy", staging.root().shown(damaged.name));
}

void Repair::held(const ManifestEntry& entry, const transfer::TakeLeaves& take) const {
  const auto* bad = damage_of(entry.number);
  const uint64_t count = leaf_count(entry.size);
  std::array<Hash128, kHashesAsked> hashes;
  for (uint64_t at = 0; at < count;) {
    const auto next_bad = bad == nullptr ? std::optional<uint64_t>() : [&]() -> std::optional<uint64_t> {
      const auto found = std::ranges::lower_bound(*bad, at);
      return found == bad->end() ? std::nullopt : std::optional<uint64_t>(*found);
    }();
    if (next_bad == at) {
      ++at;
      continue;
    }
    const uint64_t end = std::min(next_bad.value_or(count), at + hashes.size());
    const auto some = std::span(hashes).first(end - at);
    if (!order_->manifest.read_leaves(entry.first_leaf + at, some)) return;
    take(static_cast<uint32_t>(at), some);
    at = end;
  }
}

Status Repair::finish(const Hash256& root, storage::Staging& staging) {
  if (root != order_->manifest.header().root)
    return Error{Fault::kManifestMismatch, "the copy at the peer has another root than the one stored here; nothing was changed",
                 "name a copy that has the same root"};
  for (const Damaged& damaged : damaged_)
    if (Status status = replace(damaged, staging); !status.ok()) return status;
  return success();
}

Status Repair::check(const Damaged& damaged, int fd) {
  using Outcome = storage::DeviceReader::Outcome;
  const auto room = std::make_unique_for_overwrite<LeafRoom>();
  for (uint32_t leaf = 0; leaf < leaf_count(damaged.entry.size); ++leaf) {
    const auto bytes = std::span(room->bytes).first(leaf_length(damaged.entry.size, leaf));
    Hash128 stored;
    const Outcome outcome = device_.read(fd, leaf * kLeafSize.count(), bytes);
    if (outcome == Outcome::kFromCache) return storage::no_device_reads(to_display(damaged.name));
    const bool is_known = order_->manifest.read_leaves(damaged.entry.first_leaf + leaf, {&stored, 1});
    if (is_known && outcome == Outcome::kRead && digest::leaf_hash(bytes) == stored) continue;
    return Error{Fault::kHashMismatch, "the mended copy of \"" + to_display(damaged.name) + "\" is wrong in leaf " + std::to_string(leaf) +
                     " as well; the file was left as it is", "look at the kernel log, and replace the device"};
  }
  return success();
}

Status Repair::replace(const Damaged& damaged, storage::Staging& staging) {
  const storage::RootedDir& root = staging.root();
  auto file = staging.reopen_object(damaged.entry.number);
  if (!file.ok()) return std::move(file).error();
  const int fd = file.value().get();
  if (Status status = check(damaged, fd); !status.ok()) return status;
  // To look at it gave us rights that the file itself may not have.
  int error = ::fchmod(fd, storage::limit_mode(damaged.entry, order_->manifest.header().modes)) == 0 ? 0 : errno;
  if (error == 0) error = storage::set_times(fd, damaged.entry.mtime_ns);
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  if (error != 0) return storage::errno_error(storage::Side::kDestination, error, "finish", root.shown(damaged.name));
  auto parent = root.open_dir(damaged.name.parent());
  if (!parent.ok()) return std::move(parent).error();
  const auto before = storage::stat_of(parent.value().fd());
  if (Status status = staging.replace_by_object(damaged.entry.number, parent.value(), storage::single_name(damaged.name.last())); !status.ok())
    return status;
  static_cast<void>(storage::set_times(parent.value().fd(), before.stat.mtime_ns));  // of a directory that was copied, as far as it is ours
  log::info("file_mended", "name=\"" + root.shown(damaged.name) + "\" leaves=" + std::to_string(damage_of(damaged.entry.number)->size()));
  return parent.value().sync();
}

}  // namespace tideway::engine
