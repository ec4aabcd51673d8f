// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the .metadata of torch.distributed.checkpoint: what comes out are names that stand in it.
#include "checkpoint/dcp_metadata.h"

#include <tideway/check.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  const std::string_view pickle(reinterpret_cast<const char*>(data), size);
  const auto files = checkpoint::files_of_dcp(pickle);
  if (!files) return 0;
  TIDEWAY_CHECK(!files->empty() && files->size() <= checkpoint::kDcpFilesMax);
  for (const auto& [path, end] : *files) TIDEWAY_CHECK(path.empty() || (path.data() >= pickle.data() && path.data() + path.size() <= pickle.data() + pickle.size()));
  return 0;
}
