// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a record of a shelf's index: what is accepted is apart and ascending, and is written as the same bytes again.
#include "engine/shelf_record.h"

#include <tideway/check.h>

#include <algorithm>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway::engine;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto object = parse_shelved(bytes);
  if (!object) return 0;
  uint64_t end = 0;
  for (const ShelvedRun& run : object->runs) {
    TIDEWAY_CHECK(run.first >= end && !run.hashes.empty());
    end = uint64_t{run.first} + run.hashes.size();
  }
  TIDEWAY_CHECK(shelved_size(*object) == size);
  std::vector<std::byte> again(size);
  tideway::Writer out{std::span(again)};
  write_shelved(out, *object);
  TIDEWAY_CHECK(std::ranges::equal(again, bytes));
  return 0;
}
