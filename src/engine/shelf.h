// SPDX-License-Identifier: Apache-2.0
//
// What an earlier process staged under numbers that mean something else now, kept by what it is until the list of this one
// names it again:
//
//   shelf/<key>    the bytes of an object
//   shelf/index    which of its leaves are on stable storage, records of {u32 length, body (shelf_record.h), first 8 bytes of the
//                  XXH3-128 over the staging's number and the body}, only ever appended. Big-endian.
//
// A record is synced before the file moves here, so a file that is here has one, and the last one counts. A file leaves by
// getting its new number as a second name; the first one goes when the ledger knows of the second. So a process may die
// at any point, and what it was about to do is done again.
// Thread: io worker; it blocks.
#pragma once
#include "engine/shelf_record.h"
#include "storage/staging.h"

#include <optional>
#include <unordered_map>
#include <vector>

namespace tideway::engine {

// Objects of one staging directory: so many records are kept in memory, 4 MB. What is beyond is sent again.
inline constexpr size_t kShelvedMax = 65'536;

class Shelf {
 public:
  explicit Shelf(storage::Staging& staging) : staging_(&staging) {}
  Status open();  // what is there, if anything; what is damaged counts as missing
  bool is_full() const { return records_.size() >= kShelvedMax; }
  bool holds(const Hash128& key) const { return records_.contains(key); }

  // An object that is to go here, once all of them are noted.
  Status note(ObjectId id, const ShelvedObject& object);
  Status move_noted();

  // Gives an object its new number, in place of what has it. Nothing: it is not here, or damaged.
  Result<std::optional<ShelvedObject>> take(const Hash128& key, ObjectId id);
  Status drop(const Hash128& key);  // the ledger knows of it

 private:
  struct Noted {
    ObjectId id;
    Hash128 key;
  };
  struct KeyHash {
    size_t operator()(const Hash128& key) const;
  };
  Status make();
  Status write_out();
  Hash128 seal_of(std::span<const std::byte> body) const;
  uint64_t take_record(uint64_t offset);
  std::optional<ShelvedObject> read(uint64_t offset) const;

  storage::Staging* staging_;
  std::optional<storage::RootedDir> dir_;  // once there is one
  storage::AppendLog index_;
  std::vector<std::byte> unwritten_;
  std::vector<Noted> noted_;
  std::unordered_map<Hash128, uint64_t, KeyHash> records_;  // where in the index
};

}  // namespace tideway::engine
