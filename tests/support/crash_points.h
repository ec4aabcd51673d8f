// SPDX-License-Identifier: Apache-2.0
//
// Stops this process at a chosen call that syncs, renames, cuts or removes something, and leaves below a folder what a crash
// there would: everything, as after a kill, or only what was synced, as after a loss of power. The calls are those of the
// C library; crash_points.cc stands in front of them in the test that links it.
#pragma once
#include <cstdint>
#include <filesystem>

namespace tideway::test {

enum class Loss : uint8_t {
  kNothing,   // the process dies, the kernel lives
  kUnsynced,  // of files all that was written and of directories all that was changed since their last sync
  kTorn,      // of files every other page since then; names are all there
};

struct CrashPlan {
  std::filesystem::path root;   // what is watched
  std::filesystem::path after;  // where to leave it, when something is lost; does not exist
  uint64_t stop_at = 0;         // before which of these calls, from 1
  Loss loss = Loss::kNothing;
};

inline constexpr int kCrashed = 99;  // exit code

// In a process that was forked for it: from here on calls are counted.
void arm_crash(const CrashPlan& plan);

}  // namespace tideway::test
