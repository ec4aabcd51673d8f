// SPDX-License-Identifier: Apache-2.0
#include "engine/shelf.h"

#include "digest/leaf_hash.h"

#include <algorithm>
#include <cstring>

namespace tideway::engine {
namespace {

constexpr size_t kLengthSize = 4, kSealSize = 8;
constexpr size_t kUnwrittenMax = 1 << 20;

ObjectName shelf_name() { return storage::single_name("shelf"); }
ObjectName index_name() { return storage::single_name("index"); }
ObjectName name_of(const Hash128& key) { return storage::single_name(storage::to_hex(key)); }

}  // namespace

size_t Shelf::KeyHash::operator()(const Hash128& key) const {
  size_t first = 0;
  std::memcpy(&first, key.data(), sizeof first);  // a hash already
  return first;
}

Hash128 Shelf::seal_of(std::span<const std::byte> body) const {
  std::vector<std::byte> input(staging_->id().begin(), staging_->id().end());
  input.insert(input.end(), body.begin(), body.end());
  return digest::leaf_hash(input);
}

// ---- what is there -------------------------------------------------------------------------------------------------

Status Shelf::open() {
  const auto there = staging_->dir().stat_if_exists(shelf_name());
  if (!there.ok()) return there.error();
  return there.value() ? make() : success();
}

Status Shelf::make() {
  if (dir_) return success();
  if (auto made = staging_->dir().make_dir(shelf_name(), 0700); !made.ok() && made.error().fault != Fault::kDestExists) return made;
  auto dir = staging_->dir().open_dir(shelf_name());
  if (!dir.ok()) return std::move(dir).error();
  auto index = dir.value().create_file(index_name(), 0600);
  if (!index.ok() && index.error().fault == Fault::kDestExists) index = dir.value().open_file(index_name(), storage::Access::kWrite);
  if (!index.ok()) return std::move(index).error();
  const uint64_t size = storage::stat_of(index.value().get()).stat.size.count();
  index_ = storage::AppendLog(std::move(index).value(), size);
  dir_.emplace(std::move(dir).value());
  uint64_t good = 0;
  while (const uint64_t length = take_record(good)) good += length;
  return index_.cut(good);
}

// Gives the length of the record there; zero: there is no good one.
uint64_t Shelf::take_record(uint64_t offset) {
  const auto object = read(offset);
  if (!object) return 0;
  if (!is_full() || holds(object->key)) records_[object->key] = offset;
  return kLengthSize + shelved_size(*object) + kSealSize;
}

std::optional<ShelvedObject> Shelf::read(uint64_t offset) const {
  std::array<std::byte, kLengthSize> head{};
  if (index_.read(offset, head) < head.size()) return std::nullopt;
  const uint32_t length = *Reader(head).read_u32();
  if (length < kShelvedHead || length > kShelvedBodyMax) return std::nullopt;
  std::vector<std::byte> bytes(length + kSealSize);
  if (index_.read(offset + head.size(), bytes) < bytes.size()) return std::nullopt;
  const auto body = std::span<const std::byte>(bytes).first(length);
  const Hash128 seal = seal_of(body);
  return std::equal(bytes.begin() + length, bytes.end(), seal.begin()) ? parse_shelved(body) : std::nullopt;
}

// ---- in and out ----------------------------------------------------------------------------------------------------

Status Shelf::note(ObjectId id, const ShelvedObject& object) {
  if (Status status = make(); !status.ok()) return status;
  const size_t size = shelved_size(object), at = unwritten_.size();
  records_[object.key] = index_.size() + at;
  unwritten_.resize(at + kLengthSize + size + kSealSize);
  Writer out{std::span(unwritten_).subspan(at)};
  out.write_u32(static_cast<uint32_t>(size));
  write_shelved(out, object);
  const Hash128 seal = seal_of(out.written().subspan(kLengthSize));
  out.write_bytes(std::span(seal).first(kSealSize));
  noted_.push_back({id, object.key});
  return unwritten_.size() < kUnwrittenMax ? success() : write_out();
}

Status Shelf::write_out() {
  const Status status = index_.append(unwritten_);
  unwritten_.clear();
  return status;
}

Status Shelf::move_noted() {
  if (noted_.empty()) return success();
  if (Status status = write_out(); !status.ok()) return status;
  if (Status status = dir_->sync(); !status.ok()) return status;
  if (Status status = staging_->dir().sync(); !status.ok()) return status;
  for (const Noted& one : noted_)
    if (Status status = staging_->replace_by_object(one.id, *dir_, name_of(one.key)); !status.ok()) return status;
  noted_.clear();
  return dir_->sync();
}

Result<std::optional<ShelvedObject>> Shelf::take(const Hash128& key, ObjectId id) {
  std::optional<ShelvedObject> none;
  const auto record = records_.find(key);
  if (record == records_.end()) return none;
  const auto there = dir_->stat_if_exists(name_of(key));
  if (!there.ok()) return there.error();
  auto object = there.value() ? read(record->second) : std::nullopt;
  records_.erase(record);
  if (!object) return none;
  if (Status status = staging_->link_object(*dir_, name_of(key), id); !status.ok()) return std::move(status).error();
  return object;
}

Status Shelf::drop(const Hash128& key) { return dir_->remove_tree(name_of(key)); }

}  // namespace tideway::engine
