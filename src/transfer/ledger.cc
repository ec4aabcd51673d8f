// SPDX-License-Identifier: Apache-2.0
#include "transfer/ledger.h"

#include "base/cursor.h"
#include "digest/leaf_hash.h"
#include <tideway/check.h>

#include <algorithm>

namespace tideway::transfer {
namespace {

constexpr uint32_t kMagic = 0x54574C31;  // "TWL1"
constexpr size_t kSealSize = 8;
constexpr size_t kSealedSize = kLedgerRecordSize - kSealSize;

enum class Kind : uint32_t { kOpened = 1, kDurable = 2, kVoid = 3, kPublishing = 4 };

Hash128 seal_of(const TransferId& transfer, std::span<const std::byte> sealed) {
  std::array<std::byte, sizeof(TransferId) + kSealedSize> input{};
  const auto rest = std::copy(transfer.begin(), transfer.end(), input.begin());
  std::copy(sealed.begin(), sealed.end(), rest);
  return digest::leaf_hash(input);
}

void write_body(Writer& out, const LedgerOpened& opened) {
  out.write_u64(opened.lease_epoch);
  out.write_bytes(opened.boot);
}
template <typename Leaves>
void write_body(Writer& out, const Leaves& leaves) {
  TIDEWAY_CHECK(leaves.count > 0 && leaves.first <= UINT64_MAX - leaves.count);
  out.write_u64(leaves.first);
  out.write_u64(leaves.count);
}
void write_body(Writer& out, const PublishBegun& begun) {
  out.write_bytes(begun.root);
  out.write_u64(begun.entries);
}

template <typename Leaves>
std::optional<LedgerRecord> read_leaves(Reader& in) {
  const Leaves leaves{*in.read_u64(), *in.read_u64()};
  if (leaves.count == 0 || leaves.first > UINT64_MAX - leaves.count) return std::nullopt;
  return leaves;
}

struct Sealing {
  const TransferId& transfer;
  uint64_t sequence;
};

void append_record(std::vector<std::byte>& to, const LedgerRecord& record, const Sealing& sealing) {
  std::array<std::byte, kLedgerRecordSize> bytes{};
  Writer out(bytes);
  out.write_u32(kMagic);
  out.write_u32(static_cast<uint32_t>(record.index()) + 1);
  out.write_u64(sealing.sequence);
  std::visit([&](const auto& body) { write_body(out, body); }, record);
  seal_ledger_record(sealing.transfer, bytes);
  to.insert(to.end(), bytes.begin(), bytes.end());
}

}  // namespace

void seal_ledger_record(const TransferId& transfer, std::span<std::byte, kLedgerRecordSize> record) {
  const Hash128 seal = seal_of(transfer, record.first(kSealedSize));
  std::copy_n(seal.begin(), kSealSize, record.begin() + kSealedSize);
}

std::optional<LedgerRecord> Ledger::decode(std::span<const std::byte, kLedgerRecordSize> bytes) const {
  const Hash128 seal = seal_of(transfer_, bytes.first(kSealedSize));
  if (!std::equal(bytes.begin() + kSealedSize, bytes.end(), seal.begin())) return std::nullopt;
  Reader in(bytes.first(kSealedSize));
  if (*in.read_u32() != kMagic) return std::nullopt;
  const uint32_t kind = *in.read_u32();
  if (*in.read_u64() != records_) return std::nullopt;
  switch (static_cast<Kind>(kind)) {
    case Kind::kOpened: {
      LedgerOpened opened{*in.read_u64()};
      std::ranges::copy(*in.read_bytes(opened.boot.size()), opened.boot.begin());
      return opened;
    }
    case Kind::kDurable: return read_leaves<LeavesDurable>(in);
    case Kind::kVoid: return read_leaves<LeavesVoided>(in);
    case Kind::kPublishing: {
      PublishBegun begun;
      const auto root = *in.read_bytes(begun.root.size());
      std::copy(root.begin(), root.end(), begun.root.begin());
      begun.entries = *in.read_u64();
      return begun;
    }
  }
  return std::nullopt;  // of a later version, and then we cannot know what it takes back
}

size_t Ledger::replay(std::span<const std::byte> bytes) {
  size_t good = 0;
  for (; bytes.size() - good >= kLedgerRecordSize; good += kLedgerRecordSize) {
    const auto record = decode(bytes.subspan(good).first<kLedgerRecordSize>());
    if (!record) break;
    apply(*record);
  }
  return good;
}

void Ledger::write(const LedgerRecord& record) {
  append_record(unwritten_, record, {transfer_, records_});
  apply(record);
}

uint64_t Ledger::forget_shortest(size_t ranges_left) {
  const auto all = durable_.intervals();
  if (all.size() <= ranges_left) return 0;
  std::vector<uint64_t> lengths;
  lengths.reserve(all.size());
  for (const flow::Interval& run : all) lengths.push_back(run.length());
  const auto limit = lengths.begin() + static_cast<std::ptrdiff_t>(lengths.size() - ranges_left - 1);  // the longest of those that go
  std::ranges::nth_element(lengths, limit);
  const uint64_t longest = *limit;
  size_t alike = ranges_left - static_cast<size_t>(std::ranges::count_if(all, [&](const flow::Interval& run) { return run.length() > longest; }));
  flow::IntervalSet durable, doubtful;
  for (const flow::Interval& run : all) {
    if (run.length() < longest || (run.length() == longest && alike == 0)) continue;
    if (run.length() == longest) alike -= 1;
    durable.add(run);
    for (flow::Interval part = doubtful_.first_inside(run); part.begin < part.end; part = doubtful_.first_inside({part.end, run.end})) doubtful.add(part);
  }
  const uint64_t forgotten = durable_.count() - durable.count();
  durable_ = std::move(durable);
  doubtful_ = std::move(doubtful);
  return forgotten;
}

void Ledger::on_compacted(const LedgerCompaction& done) { records_ = done.records(); }

LedgerCompaction::LedgerCompaction(const Ledger& ledger) : ledger_(ledger) {
  TIDEWAY_CHECK(!ledger.has_unwritten() && !ledger.publishing());
}

std::vector<std::byte> LedgerCompaction::next_piece() {
  std::vector<std::byte> piece;
  while (piece.size() < kLedgerPieceRecords * kLedgerRecordSize) {
    const auto record = next_record();
    if (!record) break;
    append_record(piece, *record, {ledger_.transfer(), records_});
    records_ += 1;
  }
  return piece;
}

std::optional<LedgerRecord> LedgerCompaction::next_record() {
  const auto doubtful = ledger_.doubtful().intervals();
  if (part_ == Part::kDoubtful && run_ == doubtful.size()) part_ = Part::kBoot;
  switch (part_) {
    case Part::kNoBoot: part_ = Part::kDoubtful; return LedgerOpened{ledger_.lease_epoch()};
    case Part::kDoubtful: {
      const flow::Interval& run = doubtful[run_++];
      return LeavesDurable{run.begin, run.length()};
    }
    case Part::kBoot:
      part_ = Part::kSure;
      run_ = 0;
      return LedgerOpened{ledger_.lease_epoch(), ledger_.boot()};
    case Part::kSure:
      if (const auto sure = next_sure()) return *sure;
      part_ = Part::kOver;
      break;
    case Part::kOver: break;
  }
  return std::nullopt;
}

// The pieces of what is durable that are not doubtful.
std::optional<LeavesDurable> LedgerCompaction::next_sure() {
  const auto durable = ledger_.durable().intervals();
  for (; run_ < durable.size(); ++run_, begins_ = 0) {
    const flow::Interval sure = ledger_.doubtful().first_gap({std::max(begins_, durable[run_].begin), durable[run_].end});
    if (sure.begin == sure.end) continue;
    begins_ = sure.end;
    return LeavesDurable{sure.begin, sure.length()};
  }
  return std::nullopt;
}

void Ledger::apply(const LedgerRecord& record) {
  records_ += 1;
  if (const auto* opened = std::get_if<LedgerOpened>(&record)) {
    lease_epoch_ = std::max(lease_epoch_, opened->lease_epoch);
    if (opened->boot != boot_ || opened->boot == BootId{}) doubtful_ = durable_;
    boot_ = opened->boot;
  }
  if (const auto* leaves = std::get_if<LeavesDurable>(&record)) {
    durable_.add({leaves->first, leaves->first + leaves->count});
    doubtful_.subtract({leaves->first, leaves->first + leaves->count});
  }
  if (const auto* leaves = std::get_if<LeavesVoided>(&record)) {
    durable_.subtract({leaves->first, leaves->first + leaves->count});
    doubtful_.subtract({leaves->first, leaves->first + leaves->count});
  }
  if (const auto* begun = std::get_if<PublishBegun>(&record)) publishing_ = *begun;
}

bool Ledger::operator==(const Ledger& other) const {
  return records_ == other.records_ && lease_epoch_ == other.lease_epoch_ && boot_ == other.boot_ && publishing_ == other.publishing_ &&
         std::ranges::equal(durable_.intervals(), other.durable_.intervals()) &&
         std::ranges::equal(doubtful_.intervals(), other.doubtful_.intervals());
}

}  // namespace tideway::transfer
