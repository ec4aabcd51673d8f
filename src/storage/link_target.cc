// SPDX-License-Identifier: Apache-2.0
#include "storage/link_target.h"

#include <algorithm>

namespace tideway::storage {

bool stays_inside(size_t depth, std::string_view target) {
  if (target.empty() || target.size() > kLinkTargetMax || target.front() == '/') return false;
  if (target.find('\0') != target.npos) return false;
  bool is_climbing = true;
  for (size_t from = 0; from <= target.size();) {
    const size_t slash = std::min(target.find('/', from), target.size());
    const std::string_view component = target.substr(from, slash - from);
    from = slash + 1;
    if (component.empty() || component == ".") continue;
    if (component != "..") {
      is_climbing = false;
      continue;
    }
    if (!is_climbing || depth == 0) return false;
    --depth;
  }
  return true;
}

}  // namespace tideway::storage
