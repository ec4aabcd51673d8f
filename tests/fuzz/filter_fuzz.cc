// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a pattern and a name: the first byte says how long the pattern is. A pattern that is accepted can be asked about any
// name, takes a bounded time for it, and matches itself where nothing in it is special.
#include "storage/filter.h"

#include <tideway/check.h>

#include <algorithm>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::string_view pattern = text.substr(0, data[0]), rest = text.substr(pattern.size());
  static_cast<void>(storage::glob_matches(pattern, rest));
  const bool is_plain = std::ranges::none_of(pattern, [](char c) { return std::string_view("*?[\\").find(c) != std::string_view::npos; });
  if (is_plain) TIDEWAY_CHECK(storage::glob_matches(pattern, pattern));
  storage::Filter filter;
  if (!filter.add(storage::Verdict::kExclude, pattern).ok()) return 0;
  TIDEWAY_CHECK(!filter.is_empty());
  if (const auto name = ObjectName::from_text(rest); name.ok() && !name.value().is_root()) {
    const bool admits_file = filter.admits(name.value(), EntryType::kFile);
    TIDEWAY_CHECK(!filter.admits(name.value(), EntryType::kDirectory) || admits_file);  // what leaves out a file leaves out a directory
  }
  return 0;
}
