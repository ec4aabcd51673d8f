// SPDX-License-Identifier: Apache-2.0
#include "daemon/supersede.h"

#include <algorithm>

namespace tideway::daemon {

bool is_pointer(const job::Job& job) { return job.spec.overwrite == "if-older"; }

std::string_view place_above(std::string_view destination) { return destination.substr(0, destination.rfind('/')); }

bool gives_way(const job::Job& older, const std::optional<api::Progress>& progress, const job::Job& newer) {
  if (!newer.spec.checkpoint || newer.spec.checkpoint->supersede == job::Checkpoint::Supersede::kAll || is_pointer(newer) || !newer.spec.step) return false;
  if (!older.spec.checkpoint || job::is_over(older.state) || is_pointer(older) || !older.spec.step || *older.spec.step >= *newer.spec.step) return false;
  if (older.spec.series != newer.spec.series || place_above(older.spec.destination) != place_above(newer.spec.destination)) return false;
  if (!progress || progress->stage == "scan") return true;
  const Bytes there = progress->bytes_verified + progress->bytes_held;
  return there * 2 <= progress->bytes_needed + progress->bytes_held;
}

std::vector<std::string> too_many(std::vector<HeldPin> held, const PinLimits& limits) {
  std::ranges::sort(held, {}, &HeldPin::step);
  size_t left = held.size();
  Bytes bytes;
  for (const HeldPin& one : held) bytes += one.bytes;
  std::vector<std::string> gone;
  for (const HeldPin& one : held) {
    const bool is_too_much = (limits.pins_max > 0 && left > limits.pins_max) || bytes > limits.bytes_max;
    if (!is_too_much) break;
    if (one.use == HeldPin::Use::kNeeded) continue;
    gone.push_back(one.pin);
    left -= 1;
    bytes = bytes - one.bytes;
  }
  return gone;
}

}  // namespace tideway::daemon
