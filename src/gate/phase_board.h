// SPDX-License-Identifier: Apache-2.0
//
// What a gateway reads of the shared-memory board on which trainers of its host announce phases (tideway/phase.h is the
// writer's side). A trainer may write anything there at any time; what that can do is hold bulk for ttl_max, as a beacon can.
// Thread: any reader. Pure.
#pragma once
#include "gate/phase_event.h"
#include <tideway/phase.h>

#include <algorithm>
#include <span>

namespace tideway::gate {

using BoardSlots = std::span<const tideway_phase_slot, TIDEWAY_PHASE_SLOTS>;

// How long a burst in the slot holds bulk that nobody ends: what BurstTable makes of the same details, but never less than `ttl_default`
// by a duration alone, which may be a prediction's that an older writer left there.
inline Duration slot_ttl(const tideway_phase_slot& slot, Duration ttl_default, Duration ttl_max) {
  const auto time_of = [](const uint32_t& us) -> Duration { return std::chrono::microseconds(__atomic_load_n(&us, __ATOMIC_RELAXED)); };
  Duration ttl = time_of(slot.ttl_us);
  const Duration duration = time_of(slot.duration_us);
  if (ttl == Duration::zero()) ttl = duration == Duration::zero() ? ttl_default : std::max(duration + 3 * time_of(slot.jitter_us), ttl_default);
  return ttl < ttl_max ? ttl : ttl_max;
}

// A begin ahead of now is one that was torn or forged, or of a clock that is not ours: it counts from `now` on.
inline Time slot_begin(const tideway_phase_slot& slot, Time now) {
  const uint64_t begin_ns = __atomic_load_n(&slot.begin_ns, __ATOMIC_RELAXED);
  return begin_ns < static_cast<uint64_t>(now.time_since_epoch().count()) ? Time(Duration(static_cast<int64_t>(begin_ns))) : now;
}

// Until when the slot's burst holds bulk; Time::min() when there is none. Of a begin ahead of now each look says a later moment, so
// whoever remembers when he saw it first has to take the slot away from those who do not.
inline Time slot_closed_until(const tideway_phase_slot& slot, Time now, Duration ttl_default, Duration ttl_max) {
  if (__atomic_load_n(&slot.state, __ATOMIC_ACQUIRE) != TIDEWAY_PHASE_BURST) return Time::min();
  return slot_begin(slot, now) + slot_ttl(slot, ttl_default, ttl_max);
}

}  // namespace tideway::gate
