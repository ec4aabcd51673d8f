// SPDX-License-Identifier: Apache-2.0
//
// The calls of a simulated disk by kind: what each may meet, and which of them a planned fault counts.
#pragma once
#include "support/sim_disk.h"

#include <array>
#include <cerrno>
#include <cstdint>

namespace tideway::test {

enum class Call : uint8_t { kRead, kWrite, kSync, kOpen, kCreate, kMove, kRemove, kResize, kAttribute, kLook };

// What such a call may meet; another one with each number.
inline int error_for(Call call, uint64_t number) {
  static constexpr std::array<int, 2> kOfWriting = {ENOSPC, EIO};
  switch (call) {
    case Call::kWrite: case Call::kCreate: case Call::kMove: return kOfWriting[number % kOfWriting.size()];
    case Call::kResize: return ENOSPC;
    case Call::kOpen: return number % 2 == 0 ? EMFILE : EIO;
    default: return EIO;
  }
}

inline bool takes_space(Call call) { return call == Call::kWrite || call == Call::kCreate || call == Call::kResize; }
inline bool only_looks(Call call) { return call == Call::kRead || call == Call::kOpen || call == Call::kLook; }
inline bool counts(DiskFault::Calls calls, Call call) {
  switch (calls) {
    case DiskFault::Calls::kAll: return true;
    case DiskFault::Calls::kSyncs: return call == Call::kSync;
    case DiskFault::Calls::kMoves: return call == Call::kRead || call == Call::kWrite;
    case DiskFault::Calls::kChanges: return !only_looks(call);
    case DiskFault::Calls::kSpace: return takes_space(call);
    case DiskFault::Calls::kDurability: break;
  }
  return call == Call::kSync || call == Call::kMove || call == Call::kRemove || call == Call::kResize;
}

}  // namespace tideway::test
