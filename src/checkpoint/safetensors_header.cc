// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/safetensors_header.h"

#include "checkpoint/index_json.h"

#include <limits>

namespace tideway::checkpoint {

std::optional<Bytes> safetensors_head_size(std::string_view front) {
  if (front.size() < kSafetensorsLength.count()) return std::nullopt;
  uint64_t length = 0;
  for (size_t i = kSafetensorsLength.count(); i > 0; --i) length = length << 8 | static_cast<uint8_t>(front[i - 1]);
  if (length == 0 || length > kSafetensorsHeaderMax.count()) return std::nullopt;
  return kSafetensorsLength + Bytes(length);
}

std::optional<Bytes> safetensors_file_size(std::string_view head) {
  const auto size = safetensors_head_size(head);
  if (!size || head.size() != size->count()) return std::nullopt;
  const auto end = tensors_end(head.substr(kSafetensorsLength.count()));
  if (!end || *end > std::numeric_limits<uint64_t>::max() - size->count()) return std::nullopt;
  return *size + Bytes(*end);
}

}  // namespace tideway::checkpoint
