// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/index_json.h"

#include <nlohmann/json.hpp>

#include <set>

namespace tideway::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr int kDepthMax = 64;  // a trainer's own state is nested, too

Json parse(std::string_view text) {
  if (text.size() > kJsonBytesMax) return {};
  const auto is_shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= kDepthMax; };
  Json json = Json::parse(text, is_shallow, false);
  return json.is_object() ? std::move(json) : Json();
}

// A name in the same directory, or below it.
bool lies_beside(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\0') != name.npos) return false;
  for (size_t from = 0; from <= name.size();) {
    const size_t slash = std::min(name.find('/', from), name.size());
    const std::string_view part = name.substr(from, slash - from);
    if (part.empty() || part == "." || part == "..") return false;
    from = slash + 1;
  }
  return true;
}

}  // namespace

std::optional<std::vector<std::string>> files_of_index(std::string_view text) {
  const Json json = parse(text);
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object()) return std::nullopt;
  std::set<std::string> files;
  for (const Json& file : *map) {
    if (!file.is_string() || !lies_beside(file.get_ref<const std::string&>())) return std::nullopt;
    files.insert(file.get<std::string>());
    if (files.size() > kIndexFilesMax) return std::nullopt;
  }
  if (files.empty()) return std::nullopt;
  return std::vector<std::string>(files.begin(), files.end());
}

std::optional<uint64_t> tensors_end(std::string_view header) {
  const Json json = parse(header);
  if (!json.is_object()) return std::nullopt;
  uint64_t end = 0;
  for (const auto& [name, tensor] : json.items()) {
    if (name == "__metadata__") continue;
    const auto offsets = tensor.is_object() ? tensor.find("data_offsets") : tensor.end();
    if (offsets == tensor.end() || !offsets->is_array() || offsets->size() != 2) return std::nullopt;
    const Json &first = (*offsets)[0], &last = (*offsets)[1];
    if (!first.is_number_unsigned() || !last.is_number_unsigned() || first.get<uint64_t>() > last.get<uint64_t>()) return std::nullopt;
    end = std::max(end, last.get<uint64_t>());
  }
  return end;
}

bool is_object(std::string_view text) { return parse(text).is_object(); }

std::optional<bool> says_committed(std::string_view text) {
  const Json json = parse(text);
  if (!json.is_object()) return std::nullopt;
  const auto time = json.find("commit_timestamp_nsecs");
  if (time == json.end()) return std::nullopt;
  return !time->is_null();
}

}  // namespace tideway::checkpoint
