// SPDX-License-Identifier: Apache-2.0
//
// What the data path did lately: a ring of fixed records, one per worker, without text or locks. Dumped on request.
// Thread: its owner writes; dump() belongs to the same thread.
#pragma once
#include <tideway/time.h>

#include <array>
#include <cstdint>
#include <string>

namespace tideway {

enum class TraceEvent : uint8_t { kNone, kPacketLost, kProbeTimeout, kSpuriousLoss, kMtuChanged, kKeyEpochChanged,
                                  kPathChanged, kBlockDropped, kCreditStall, kFlowDead };

struct TraceRecord {
  Time at;
  TraceEvent event = TraceEvent::kNone;
  uint16_t flow = 0;
  uint64_t first = 0, second = 0;  // meaning by event: packet number and size, old and new value, slot and block
};

class Trace {
 public:
  static constexpr size_t kRecords = 1024;  // a few seconds of losses on a bad path
  void add(const TraceRecord& record) { records_[next_++ % kRecords] = record; }
  // Oldest first, one record per line: `<ns> <event> flow=<id> <first> <second>`.
  std::string dump() const;

 private:
  std::array<TraceRecord, kRecords> records_{};
  uint64_t next_ = 0;
};

}  // namespace tideway
