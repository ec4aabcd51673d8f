// SPDX-License-Identifier: Apache-2.0
//
// Reads a JSON object field by field into checked values. The first thing that is wrong is kept, and so is the name of a
// field that nobody asked for. Only api/*.cc includes this.
// Thread: one owner.
#pragma once
#include "job/spec.h"
#include <tideway/result.h>

#include <nlohmann/json.hpp>

#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace tideway::api {

using Json = nlohmann::json;

// Errors: usage, without quoting what came.
Result<Json> parse_object(std::string_view text);
// Bytes that are not UTF-8 become U+FFFD: whatever must come back whole is escaped before.
std::string to_line(const Json& json);

class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  void read(const char* name, std::string& into);
  void read(const char* name, bool& into);
  void read(const char* name, uint64_t& into);
  void read(const char* name, uint32_t& into);
  void read(const char* name, double& into);
  void read(const char* name, std::vector<std::string>& into);
  void read(const char* name, std::optional<std::vector<std::string>>& into);
  void read(const char* name, std::map<std::string, std::string>& into);
  void read(const char* name, std::optional<uint64_t>& into) { read_optional(name, into); }
  void read(const char* name, std::optional<uint32_t>& into) { read_optional(name, into); }
  void read(const char* name, std::optional<double>& into) { read_optional(name, into); }
  void read(const char* name, job::WallTime& into);
  void read(const char* name, std::optional<job::WallTime>& into);
  void read(const char* name, Bytes& into);
  void read_seconds(const char* name, std::optional<std::chrono::milliseconds>& into);
  void read_rate(const char* name, Rate& into);  // in bits per second; absent: left
  void pass_over(const char* name) { asked_.insert(name); }  // the caller has looked at it
  const Json* object(const char* name);          // nothing: absent
  const Json* array(const char* name);

  void wrong(const char* name, std::string_view wanted);
  // Errors: usage, naming the field.
  Status finish_known();                           // fields that nobody asked for are fine
  Status finish();                                 // they are not

 private:
  const Json* find(const char* name);
  template <typename Value>
  void read_optional(const char* name, std::optional<Value>& into) {
    if (find(name) == nullptr) return;
    Value value{};
    read(name, value);
    into = value;
  }

  const Json& object_;
  std::set<std::string> asked_;
  std::optional<Error> wrong_;
};

}  // namespace tideway::api
