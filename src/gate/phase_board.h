// SPDX-License-Identifier: Apache-2.0
//
// What a gateway reads of the shared-memory board on which trainers of its host announce phases (tideway/phase.h is the
// writer's side). A trainer may write anything there at any time; what that can do is hold bulk for ttl_max, as a beacon can.
// Thread: any reader. Pure.
#pragma once
#include "gate/phase_event.h"
#include <tideway/phase.h>

#include <span>

namespace tideway::gate {

using BoardSlots = std::span<const tideway_phase_slot, TIDEWAY_PHASE_SLOTS>;

// Until when the slot's burst holds bulk; Time::min() when there is none. `details_ttl` is what the burst table makes of a
// slot that names no time to live.
inline Time slot_closed_until(const tideway_phase_slot& slot, Time now, Duration ttl_default, Duration ttl_max) {
  if (__atomic_load_n(&slot.state, __ATOMIC_ACQUIRE) != TIDEWAY_PHASE_BURST) return Time::min();
  const uint64_t begin_ns = __atomic_load_n(&slot.begin_ns, __ATOMIC_RELAXED);
  const uint32_t ttl_us = __atomic_load_n(&slot.ttl_us, __ATOMIC_RELAXED);
  const Duration ttl = ttl_us == 0 ? ttl_default : std::chrono::microseconds(ttl_us);
  // A begin ahead of now is one that was torn or forged: it counts from now on, and not for long.
  const auto now_ns = static_cast<uint64_t>(now.time_since_epoch().count());
  const Time begin = begin_ns < now_ns ? Time(Duration(static_cast<int64_t>(begin_ns))) : now;
  return begin + (ttl < ttl_max ? ttl : ttl_max);
}

}  // namespace tideway::gate
