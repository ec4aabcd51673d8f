// SPDX-License-Identifier: Apache-2.0
#include "api/json_fields.h"

#include "api/time_text.h"
#include <tideway/object_name.h>

namespace tideway::api {
namespace {

constexpr int kDepthMax = 8;  // deeper than anything we define

}  // namespace

Result<Json> parse_object(std::string_view text) {
  const auto is_shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= kDepthMax; };
  Json json = Json::parse(text, is_shallow, false);
  if (!json.is_object()) return Error{Fault::kUsage, "this is no JSON object", "send one, in UTF-8"};
  return json;
}

std::string to_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

const Json* Fields::find(const char* name) {
  asked_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void Fields::wrong(const char* name, std::string_view wanted) {
  if (!wrong_) wrong_ = Error{Fault::kUsage, std::string(name) + " is not " + std::string(wanted), "see docs/openapi.json"};
}

void Fields::read(const char* name, std::string& into) {
  const Json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_string()) return wrong(name, "a string");
  into = value->get<std::string>();
}

void Fields::read(const char* name, bool& into) {
  const Json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) return wrong(name, "true or false");
  into = value->get<bool>();
}

void Fields::read(const char* name, uint64_t& into) {
  const Json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_number_unsigned()) return wrong(name, "a whole number from 0 on");
  into = value->get<uint64_t>();
}

void Fields::read(const char* name, uint32_t& into) {
  uint64_t wide = into;
  read(name, wide);
  if (wide > UINT32_MAX) return wrong(name, "below 2^32");
  into = static_cast<uint32_t>(wide);
}

void Fields::read(const char* name, double& into) {
  const Json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_number()) return wrong(name, "a number");
  into = value->get<double>();
}

void Fields::read(const char* name, std::vector<std::string>& into) {
  const Json* value = array(name);
  if (value == nullptr) return;
  into.clear();
  for (const Json& item : *value) {
    if (!item.is_string()) return wrong(name, "a list of strings");
    into.push_back(item.get<std::string>());
  }
}

void Fields::read(const char* name, std::optional<std::vector<std::string>>& into) {
  if (find(name) == nullptr) return;
  read(name, into.emplace());
}

void Fields::read(const char* name, std::map<std::string, std::string>& into) {
  const Json* value = object(name);
  if (value == nullptr) return;
  for (const auto& [key, item] : value->items()) {
    if (!item.is_string()) return wrong(name, "an object of strings");
    into[key] = item.get<std::string>();
  }
}

void Fields::read(const char* name, job::WallTime& into) {
  std::string text;
  read(name, text);
  if (text.empty()) return;
  const auto time = parse_time(text);
  if (!time) return wrong(name, "a time such as 2026-11-26T06:10:00Z");
  into = *time;
}

void Fields::read(const char* name, std::optional<job::WallTime>& into) {
  if (find(name) == nullptr) return;
  read(name, into.emplace());
}

void Fields::read(const char* name, Bytes& into) {
  uint64_t count = into.count();
  read(name, count);
  into = Bytes(count);
}

void Fields::read_seconds(const char* name, std::optional<std::chrono::milliseconds>& into) {
  constexpr uint64_t kCentury = 100ULL * 366 * 86'400;
  uint64_t seconds = 0;
  if (find(name) == nullptr) return;
  read(name, seconds);
  if (seconds > kCentury) return wrong(name, "a number of seconds below a century");
  into = std::chrono::seconds(seconds);
}

void Fields::read_rate(const char* name, Rate& into) {
  uint64_t bits = 0;
  if (find(name) == nullptr) return;
  read(name, bits);
  into = Rate::bits_per_second(bits);
}

const Json* Fields::object(const char* name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_object()) return value;
  wrong(name, "an object");
  return nullptr;
}

const Json* Fields::array(const char* name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_array()) return value;
  wrong(name, "a list");
  return nullptr;
}

Status Fields::finish_known() {
  if (wrong_) return *wrong_;
  return success();
}

Status Fields::finish() {
  for (const auto& [name, value] : object_.items())
    if (!asked_.contains(name)) return Error{Fault::kUsage, "\"" + to_display(std::string_view(name).substr(0, 64)) + "\" is no field of this request", "see docs/openapi.json"};
  return finish_known();
}

}  // namespace tideway::api
