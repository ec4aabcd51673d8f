// SPDX-License-Identifier: Apache-2.0
//
// Which checkpoints give way to a newer one of their series that is ready: older ones for the same place that are not more than half
// there. What is nearly there is worth its end, since a newer one may be lost. And the oldest that runs in the place of one that had begun goes
// on to its end: where saves come faster than half of one crosses, none would ever arrive else. An earlier save of the same step gives way until
// it is being published, since both have one name. Of another user's nothing
// gives way, but to what root or the gateway's own user brings.
// Thread: control. Pure, but that it knows who we are.
#pragma once
#include "api/job_view.h"
#include "daemon/checkpoint_series.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::daemon {

// The directory that a checkpoint lies in, at its destination: "oslo:ckpt/runs" of "oslo:ckpt/runs/step-1".
std::string_view place_above(std::string_view destination);

// To whom one that had begun gave way, or one that stood in such a place before it began itself. `jobs`: of its series.
std::set<job::JobId> heirs_among(const CheckpointSeries::Jobs& jobs);

struct Live {
  const job::Job* job = nullptr;
  std::optional<api::Progress> progress;  // if it runs
};
// Which of `live` give way to `newer`: earlier saves of it, then the oldest first.
std::vector<job::JobId> giving_way(std::vector<Live> live, const std::set<job::JobId>& heirs, const job::Job& newer);

// What is held of a series, and takes room that its trainer thinks is free.
struct HeldPin {
  std::string pin;
  uint64_t step = 0;
  Bytes bytes;
  enum class Use : uint8_t { kWaits, kNeeded } use = Use::kWaits;  // kNeeded: it is being sent, or the newest
};
struct PinLimits {
  uint32_t pins_max = 0;  // 0: no limit
  Bytes bytes_max = Bytes::max();
};
// Which of these go: the oldest that wait, until what is left is within the limits, or only what is needed.
std::vector<std::string> too_many(std::vector<HeldPin> held, const PinLimits& limits);

}  // namespace tideway::daemon
