// SPDX-License-Identifier: Apache-2.0
//
// Small files above the checkpoints of a run that say which one is the newest: Megatron's latest_checkpointed_iteration.txt has a
// number or "release", DeepSpeed's latest the name of a directory. Both are rewritten in place, so a cut one may be met.
// Thread: any. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tideway::checkpoint {

inline constexpr std::string_view kMegatronTracker = "latest_checkpointed_iteration.txt", kDeepspeedTracker = "latest";
inline constexpr size_t kTrackerBytesMax = 1024;

// The last component of the checkpoint that the tracker called `name` points to. Nothing: it says none.
std::optional<std::string> tracked_name(std::string_view name, std::string_view text);

// Which step a checkpoint of that name is: the number behind "step" (step-9000, global_step9000, epoch=3-step=9000.ckpt), else
// the last number in it (iter_0009000, checkpoint-9000, 9000). Nothing: it has none.
std::optional<uint64_t> step_in(std::string_view name);

}  // namespace tideway::checkpoint
