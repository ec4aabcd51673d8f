// SPDX-License-Identifier: Apache-2.0
//
// A failed or skipped entry, for the person who started the copy.
// Pure.
#pragma once
#include <tideway/ids.h>
#include <tideway/result.h>

#include <optional>

namespace tideway::transfer {

inline constexpr size_t kEntryErrorsReported = 1000;  // of a transfer, with their text; the rest is only counted

struct EntryReport {
  std::optional<ObjectId> object;  // not set: the scan left it out, `why` names it
  Error why;
};

}  // namespace tideway::transfer
