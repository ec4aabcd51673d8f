// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the small JSON files of a checkpoint: whatever an index names lies beside it.
#include "checkpoint/index_json.h"

#include <tideway/check.h>
#include <tideway/object_name.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(checkpoint::tensors_end(text));
  if (checkpoint::says_committed(text)) TIDEWAY_CHECK(checkpoint::is_object(text));
  const auto files = checkpoint::files_of_index(text);
  if (!files) return 0;
  TIDEWAY_CHECK(!files->empty() && checkpoint::is_object(text));
  for (const std::string& file : *files) {
    TIDEWAY_CHECK(!file.empty() && file.front() != '/');
    TIDEWAY_CHECK(file != ".." && !file.starts_with("../") && file.find("/../") == file.npos && !file.ends_with("/.."));
  }
  return 0;
}
