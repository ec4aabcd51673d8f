// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the end of a file, of the size that the first eight say: what ends as a zip does not when a byte more is there.
#include "checkpoint/zip_directory.h"

#include <tideway/check.h>

#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  uint64_t file_size = 0;
  if (size < sizeof file_size) return 0;
  std::memcpy(&file_size, data, sizeof file_size);
  const std::string_view tail(reinterpret_cast<const char*>(data) + sizeof file_size, size - sizeof file_size);
  if (file_size == UINT64_MAX || !checkpoint::ends_as_zip(tail, Bytes(file_size))) return 0;
  TIDEWAY_CHECK(tail.size() >= 22 && tail.size() <= file_size);
  TIDEWAY_CHECK(!checkpoint::ends_as_zip(tail, Bytes(file_size + 1)));
  return 0;
}
