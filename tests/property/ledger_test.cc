// SPDX-License-Identifier: Apache-2.0
//
// Whatever history a ledger has and wherever it is damaged: what is read is the history up to there, and never a leaf more.
#include "transfer/ledger.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>

namespace tideway::transfer {
namespace {

LedgerRecord arbitrary_record() {
  const uint64_t first = *rc::gen::inRange<uint64_t>(0, 200), count = *rc::gen::inRange<uint64_t>(1, 40);
  switch (*rc::gen::inRange(0, 8)) {
    case 0: return LedgerOpened{first, {static_cast<std::byte>(count % 3)}};
    case 1:
    case 2: return LeavesVoided{first, count};
    case 3: return PublishBegun{{std::byte{static_cast<uint8_t>(count)}}, first};
    default: return LeavesDurable{first, count};
  }
}

// The plainest ledger there is.
std::set<uint64_t> leaves_after(std::span<const LedgerRecord> history) {
  std::set<uint64_t> leaves;
  for (const LedgerRecord& record : history) {
    if (const auto* durable = std::get_if<LeavesDurable>(&record))
      for (uint64_t i = 0; i < durable->count; ++i) leaves.insert(durable->first + i);
    if (const auto* voided = std::get_if<LeavesVoided>(&record))
      for (uint64_t i = 0; i < voided->count; ++i) leaves.erase(voided->first + i);
  }
  return leaves;
}

TEST(LedgerProperty, DamageCutsAndNeverAdds) {
  EXPECT_TRUE(rc::check("replay gives the history before the damage", [] {
    const TransferId id = {std::byte{*rc::gen::arbitrary<uint8_t>()}};
    const auto length = *rc::gen::inRange<size_t>(1, 40);
    std::vector<LedgerRecord> history;
    Ledger ledger(id);
    for (size_t i = 0; i < length; ++i) ledger.write(history.emplace_back(arbitrary_record()));
    std::vector<std::byte> bytes = ledger.take_unwritten();
    const auto at = *rc::gen::inRange<size_t>(0, bytes.size());
    if (*rc::gen::arbitrary<bool>()) bytes.resize(at);  // torn
    else bytes[at] ^= static_cast<std::byte>(*rc::gen::inRange(1, 256));
    Ledger read(id);
    const size_t good = read.replay(bytes) / kLedgerRecordSize;
    RC_ASSERT(good == at / kLedgerRecordSize);
    const auto leaves = leaves_after(std::span(history).first(good));
    RC_ASSERT(read.durable().count() == leaves.size());
    for (const uint64_t leaf : leaves) RC_ASSERT(read.durable().contains(leaf));
  }));
}

}  // namespace
}  // namespace tideway::transfer
