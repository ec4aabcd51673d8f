// SPDX-License-Identifier: Apache-2.0
//
// What the emulator did, for people and as JSON lines.
// Thread: main.
#pragma once
#include "direction.h"

#include <string>

namespace tideway::wan {

struct Snapshot {
  Duration age{};  // since the start
  Duration cpu{};  // user and system time of this process
  Direction& ab;
  Direction& ba;
};

std::string to_text(const Snapshot& snapshot);
// One line with its end. `type` is "stats" or "summary".
std::string to_json(const Snapshot& snapshot, const char* type);

}  // namespace tideway::wan
