// SPDX-License-Identifier: Apache-2.0
#include "api/policy_json.h"

#include "api/json_fields.h"

namespace tideway::api {

Result<PolicyTest> parse_policy_test(std::string_view text) {
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  for (const char* name : {"peer", "op", "path"})
    if (!json.value().contains(name)) return Error{Fault::kUsage, std::string(name) + " is missing", "give peer, op and path"};
  Fields fields(json.value());
  PolicyTest test;
  fields.read("peer", test.peer);
  fields.read("op", test.op);
  fields.read("path", test.path);
  if (Status status = fields.finish(); !status.ok()) return std::move(status).error();
  return test;
}

std::string to_policy_allowed(std::string_view rule, std::span<const std::pair<std::string_view, uint64_t>> limits) {
  Json json{{"allowed", true}, {"rule", std::string(rule)}};
  for (const auto& [name, limit] : limits) json[std::string(name)] = limit;
  return to_line(json);
}

std::string to_policy_denied(const Error& why) {
  return to_line(Json{{"allowed", false}, {"code", std::string(why.name())}, {"detail", why.what}, {"next", why.next}});
}

}  // namespace tideway::api
