// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the head of a safetensors file: one that is accepted is as long as it says, and the file not shorter than its head.
#include "checkpoint/safetensors_header.h"

#include <tideway/check.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  const std::string_view head(reinterpret_cast<const char*>(data), size);
  const auto head_size = checkpoint::safetensors_head_size(head);
  const auto file_size = checkpoint::safetensors_file_size(head);
  if (!file_size) return 0;
  TIDEWAY_CHECK(head_size && head_size->count() == size && *file_size >= *head_size);
  TIDEWAY_CHECK(!checkpoint::safetensors_file_size(head.substr(0, size - 1)));
  return 0;
}
