// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a configuration: they parse or are refused by name, and every refusal can be shown to a person.
#include "config/config_file.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config = tideway::config::parse({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
  if (config.ok()) {
    static_cast<void>(tideway::config::check_serves(config.value()));
    for (const auto& grant : config.value().grants)
      TIDEWAY_CHECK(config.value().root_named(grant.root) != nullptr);
  } else {
    TIDEWAY_CHECK(config.error().exit_code() == 3);
    TIDEWAY_CHECK(!config.error().what.empty() && !config.error().next.empty());
  }
  return 0;
}
