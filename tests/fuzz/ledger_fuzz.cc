// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a ledger, as they are and with the seals put right: what is accepted is whole records, reads the same by
// itself, and can be written on.
#include "transfer/ledger.h"

#include <tideway/check.h>

namespace {

void replay(std::span<const std::byte> bytes) {
  using namespace tideway::transfer;
  Ledger ledger(tideway::TransferId{});
  const size_t good = ledger.replay(bytes);
  TIDEWAY_CHECK(good <= bytes.size() && good % kLedgerRecordSize == 0 && ledger.records() == good / kLedgerRecordSize);
  std::vector<std::byte> again(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(good));
  ledger.write(LeavesDurable{1, 2});
  const auto more = ledger.take_unwritten();
  again.insert(again.end(), more.begin(), more.end());
  Ledger read(tideway::TransferId{});
  TIDEWAY_CHECK(read.replay(again) == again.size() && read == ledger && read.durable().contains_all({1, 3}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tideway::transfer::kLedgerRecordSize;
  std::vector<std::byte> bytes(std::as_bytes(std::span(data, size)).begin(), std::as_bytes(std::span(data, size)).end());
  replay(bytes);
  for (size_t at = 0; at + kLedgerRecordSize <= bytes.size(); at += kLedgerRecordSize)
    tideway::transfer::seal_ledger_record({}, std::span(bytes).subspan(at).first<kLedgerRecordSize>());
  replay(bytes);
  return 0;
}
