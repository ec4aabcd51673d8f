// SPDX-License-Identifier: Apache-2.0
#include "engine/rehash.h"

#include "base/log.h"
#include "digest/leaf_hash.h"
#include "storage/blocking_queue.h"

#include <fcntl.h>

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr uint64_t kLeavesAhead = 4;  // that the kernel reads while one is hashed: enough to keep a device busy

}  // namespace

void Rehash::add(const ManifestEntry& entry) {
  const flow::Interval all{entry.first_leaf, entry.first_leaf + leaf_count(entry.size)};
  if (entry.type != EntryType::kFile || !log_.doubtful().intersects(all)) return;
  objects_.push_back({entry.number, entry.size, all, entry.first_leaf});
}

bool Rehash::turn() {
  if (is_over()) return true;
  Object& object = objects_.front();
  const flow::Interval run = log_.doubtful().first_inside(object.leaves);
  if (run.begin == run.end) {
    objects_.pop_front();
    return true;
  }
  const auto buffer = buffers_.take();
  if (!buffer) return false;
  const uint64_t leaf = run.begin;
  if (!object.file.is_open())
    if (auto file = staging_.read_object(object.id); file.ok()) object.file = std::move(file).value();
  looked_at_ += 1;
  if (is_sound(object, leaf, buffers_.at(*buffer))) {
    on_sound(leaf);
  } else {
    damaged_ += 1;
    flush_sound();
    log_.take_back({leaf, leaf + 1});
  }
  buffers_.give_back(*buffer);
  object.leaves.begin = leaf + 1;
  if (!log_.doubtful().intersects(object.leaves)) objects_.pop_front();
  return true;
}

bool Rehash::is_sound(const Object& object, uint64_t leaf, std::span<std::byte> room) const {
  if (!object.file.is_open()) return false;
  const auto index = static_cast<uint32_t>(leaf - object.first_leaf);
  const uint64_t offset = kLeafSize.count() * index;
  // Only a wish: a file system that does not know it reads when it is asked.
  ::posix_fadvise(object.file.get(), static_cast<off_t>(offset), static_cast<off_t>(kLeafSize.count() * kLeavesAhead), POSIX_FADV_WILLNEED);
  const auto bytes = room.first(leaf_length(object.size, index));
  Hash128 stored{};
  if (!staging_.read_leaf_hashes(leaf, {&stored, 1})) return false;
  const storage::IoDone done = storage::perform({storage::IoOp::kRead, object.file.get(), offset, bytes});
  if (done.error != 0) return false;
  std::ranges::fill(bytes.subspan(done.transferred), std::byte{});  // zeros at its end get their room when it is closed
  return digest::leaf_hash(bytes) == stored;
}

void Rehash::on_sound(uint64_t leaf) {
  if (sound_.end != leaf || sound_.begin == sound_.end) {
    flush_sound();
    sound_.begin = leaf;
  }
  sound_.end = leaf + 1;
}

void Rehash::flush_sound() {
  if (sound_.begin < sound_.end) log_.on_sound(sound_);
  sound_ = {};
}

Status Rehash::finish() {
  flush_sound();
  if (looked_at_ == 0) return success();
  log::info("staging_rehashed", "transfer=" + storage::to_hex(staging_.id()) + " leaves=" + std::to_string(looked_at_) +
                                    " damaged=" + std::to_string(damaged_) + (damaged_ > 0 ? " why=\"the damaged ones are sent again\"" : ""));
  looked_at_ = damaged_ = 0;
  return log_.record_sound();
}

}  // namespace tideway::engine
