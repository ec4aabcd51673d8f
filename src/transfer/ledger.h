// SPDX-License-Identifier: Apache-2.0
//
// What a sink can prove to be on stable storage, as records of 64 bytes that are only ever appended:
//
//   0..3   "TWL1"            4..7   kind               8..15  sequence, from 0, without gaps
//   16..55 body              56..63 first half of the XXH3-128 over transfer id and bytes 0..55
//
//   kind 1  opened      u64 lease epoch, boot    a process began to fill this staging, on a host that was started as `boot` (16)
//   kind 2  durable     u64 first, u64 count     leaves, numbered through the transfer; their data and hashes were synced before
//   kind 3  void        u64 first, u64 count     leaves that are to be sent anew, whatever stands above
//   kind 4  publishing  root (32), u64 entries   all is verified and synced; from here on things become visible
//
// Numbers are big-endian, unused bytes zero. The leaf that completes an object is written down only once the object has
// its size, mode and times: an object whose leaves are all here is finished, too.
//
// What was recorded before the host was started anew is doubtful: the device may have lost what it said to have, or a host that
// crashed may have damaged it. It counts, and whoever wants to rely on it reads it again first and records it once more. So is what
// stands before a damaged record, which may have been one that takes it back: then an `opened` of no host follows.
//
// A ledger that has grown is compacted: another one that says the same takes its place as a whole, so that its length
// depends on how many ranges there are and not on how often there was news. It is, when it is twice as long as it was behind the
// time before: all compactions together write no more than about what was appended.
//
// A reader stops at the first record that is cut off, of another transfer, out of sequence or damaged. All behind it counts
// as missing, which costs sending it again and never loses or mixes bytes.
// Thread: io worker, the transfer's home. Pure.
#pragma once
#include "flow/interval_set.h"
#include <tideway/ids.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

namespace tideway::transfer {

inline constexpr size_t kLedgerRecordSize = 64;
// Records that may come on top of a compacted ledger before it is compacted again, or as many as that one has: 256 KiB.
inline constexpr uint64_t kLedgerGrowthMin = 4096;
// Ranges that what is durable may lie in: 16 bytes of memory each, 64 MiB, and a ledger of 256 MiB. A list of which every second
// entry fails has as many as files that come. Of more than that the shortest are forgotten, which costs sending them again.
inline constexpr uint64_t kLedgerRangesMax = 4'194'304;
// Of these, a compaction hands out as many records at a time: 64 KiB.
inline constexpr size_t kLedgerPieceRecords = 1024;

// What a host's kernel calls itself from its start to its end. Zeros, of a version that did not say, equal none.
using BootId = Hash128;

struct LedgerOpened {
  uint64_t lease_epoch = 0;
  BootId boot{};
  bool operator==(const LedgerOpened&) const = default;
};
struct LeavesDurable {
  uint64_t first = 0, count = 0;  // at least one; their end fits, too
  bool operator==(const LeavesDurable&) const = default;
};
struct LeavesVoided {
  uint64_t first = 0, count = 0;
  bool operator==(const LeavesVoided&) const = default;
};
struct PublishBegun {
  Hash256 root{};
  uint64_t entries = 0;
  bool operator==(const PublishBegun&) const = default;
};
using LedgerRecord = std::variant<LedgerOpened, LeavesDurable, LeavesVoided, PublishBegun>;

// Fills in the last 8 bytes of a record.
void seal_ledger_record(const TransferId& transfer, std::span<std::byte, kLedgerRecordSize> record);

class LedgerCompaction;

class Ledger {
 public:
  explicit Ledger(const TransferId& transfer) : transfer_(transfer) {}

  // Bytes of a ledger in their order, before anything is written. Gives how many of them are good records; when these are
  // fewer than all, the file ends behind them and nothing more is to be replayed.
  size_t replay(std::span<const std::byte> bytes);
  // From now on it counts; its bytes are for the end of the file.
  void write(const LedgerRecord& record);
  bool has_unwritten() const { return !unwritten_.empty(); }
  std::vector<std::byte> take_unwritten() { return std::exchange(unwritten_, {}); }
  // Of what is durable, the shortest ranges count no more, until at most so many are left; of those of one length the highest go first. In the
  // file they stand until it is compacted. Gives how many leaves that are.
  uint64_t forget_shortest(size_t ranges_left);
  // A compaction has come to its end, and the file it wrote is this one's from now on.
  void on_compacted(const LedgerCompaction& done);

  const flow::IntervalSet& durable() const { return durable_; }    // leaves
  const flow::IntervalSet& doubtful() const { return doubtful_; }  // of these, what was recorded before the last boot
  uint64_t lease_epoch() const { return lease_epoch_; }          // the highest
  const BootId& boot() const { return boot_; }                   // of the last who opened it
  const TransferId& transfer() const { return transfer_; }
  const std::optional<PublishBegun>& publishing() const { return publishing_; }
  uint64_t records() const { return records_; }
  bool operator==(const Ledger& other) const;

 private:
  std::optional<LedgerRecord> decode(std::span<const std::byte, kLedgerRecordSize> bytes) const;
  void apply(const LedgerRecord& record);

  TransferId transfer_;
  uint64_t records_ = 0;
  flow::IntervalSet durable_, doubtful_;
  BootId boot_{};
  uint64_t lease_epoch_ = 0;
  std::optional<PublishBegun> publishing_;
  std::vector<std::byte> unwritten_;
};

// The state of a ledger in as few records as it takes, numbered from 0, for a file that takes the place of the ledger's: piece by
// piece, because there may be millions. Nothing of the ledger is unwritten, publishing has not begun, and it does not change meanwhile.
class LedgerCompaction {
 public:
  explicit LedgerCompaction(const Ledger& ledger);
  // The records that follow, up to kLedgerPieceRecords of them; none at the end.
  std::vector<std::byte> next_piece();
  uint64_t records() const { return records_; }  // so far

 private:
  // What is doubtful comes under no boot, and the rest behind the one that counts.
  enum class Part : uint8_t { kNoBoot, kDoubtful, kBoot, kSure, kOver };
  std::optional<LedgerRecord> next_record();
  std::optional<LeavesDurable> next_sure();

  const Ledger& ledger_;
  Part part_ = Part::kNoBoot;
  size_t run_ = 0;      // of the part at hand
  uint64_t begins_ = 0; // what is left of that run
  uint64_t records_ = 0;
};

}  // namespace tideway::transfer
