// SPDX-License-Identifier: Apache-2.0
#include "engine/boot_id.h"

#include "digest/leaf_hash.h"

#include <fstream>
#include <span>

namespace tideway::engine {

transfer::BootId read_boot_id(const std::string& path) {
  std::string text;
  std::getline(std::ifstream(path), text);
  return text.empty() ? transfer::BootId{} : digest::leaf_hash(std::as_bytes(std::span(text)));
}

}  // namespace tideway::engine
