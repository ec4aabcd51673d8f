// SPDX-License-Identifier: Apache-2.0
//
// A fence of the kernel around the files a process reaches (Landlock, Linux 5.13 on). It is the second one: names of peers
// stay below their root by storage/rooted_dir alone, and this holds should that ever fail.
// Thread: main, before another one is started: it holds for the calling thread and those it starts later.
#pragma once
#include <tideway/result.h>

#include <string>
#include <vector>

namespace tideway::daemon {

// Moving a file from one directory to another, which each publish does, can be allowed from this version on (Linux 5.19).
inline constexpr int kLandlockAbiMin = 2;

// What the running kernel has; 0: none, or it is turned off.
int landlock_abi();

// Directories, with all below them. One that does not exist is passed over.
struct Fence {
  std::vector<std::string> writable;
  std::vector<std::string> readable;  // and what is in them may be loaded and run
  std::vector<std::string> devices;   // existing files may be read and written
};

// From here on nothing else can be opened, made, renamed or removed; what is open stays open. There is no way back.
// Errors: unsupported when the kernel has no Landlock, or an older one than kLandlockAbiMin; then nothing changed.
Status raise_fence(const Fence& fence);

}  // namespace tideway::daemon
