// SPDX-License-Identifier: Apache-2.0
//
// The lookup below rooted_dir: opens a name beneath a held directory without ever passing a symbolic link or a mount.
// Thread: any.
#pragma once
#include <span>
#include <string>

namespace tideway::storage {

struct OpenHow {
  int flags;
  unsigned mode = 0;  // of a file that O_CREAT makes
};

// Both give a descriptor or a negative errno. `components` may be empty (the directory itself) and of any length.
int open_beneath(int dir, std::span<const std::string> components, OpenHow how);
int open_by_walk(int dir, std::span<const std::string> components, OpenHow how);

}  // namespace tideway::storage
