// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a file that says which checkpoint is the newest, and as a checkpoint's name: what comes out is one component.
#include "checkpoint/tracker.h"

#include <tideway/check.h>
#include <tideway/object_name.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(checkpoint::step_in(text));
  for (const std::string_view name : {checkpoint::kMegatronTracker, checkpoint::kDeepspeedTracker}) {
    const auto tracked = checkpoint::tracked_name(name, text);
    if (tracked) TIDEWAY_CHECK(is_component(*tracked));
  }
  return 0;
}
