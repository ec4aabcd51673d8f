// SPDX-License-Identifier: Apache-2.0
//
// What goes ahead of a transfer whose source is still being written: a transfer of its own, with a number that both sides derive from the
// other's, which never ends and so is never published. Its list is one flat directory that grows: each entry is a part of a file, whole
// leaves of it, and its name says of which file and from which leaf on. What it brought stays in staging, and is a base of the transfer
// that brings the whole (engine/ahead_parts.h): each leaf is hashed again there, so that nothing of it has to be believed.
// Thread: any. Pure.
#pragma once
#include <tideway/object_name.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tideway::transfer {

struct AheadPart {
  uint32_t number = 0;  // in the order of the list
  uint32_t leaf = 0;    // the first of it
  ObjectName path;      // below what is copied; the root: it is this one file
};

// One component. Nothing: the path is too long to be part of one, so the file does not go ahead.
std::optional<std::string> ahead_name(const AheadPart& part);
// Nothing: it is none.
std::optional<AheadPart> parse_ahead_name(std::string_view name);

}  // namespace tideway::transfer
