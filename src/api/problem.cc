// SPDX-License-Identifier: Apache-2.0
#include "api/problem.h"

#include "api/json_fields.h"

#include <algorithm>

namespace tideway::api {

unsigned status_of(Fault fault) {
  switch (fault) {
    case Fault::kUsage:
    case Fault::kUnsupported:
    case Fault::kVerifyUnavailable:
    case Fault::kConfigInvalid:
    case Fault::kNameReserved: return 400;
    case Fault::kDenied: return 403;
    case Fault::kSourceMissing: return 404;
    case Fault::kOverloaded:
    case Fault::kStoreUnavailable: return 503;
    default: return 409;
  }
}

std::string to_problem(const Error& error, unsigned status, std::string_view job) {
  std::string title(error.name());
  std::ranges::replace(title, '_', ' ');
  Json json{{"type", "about:blank"}, {"title", title}, {"status", status}, {"code", std::string(error.name())}, {"detail", error.what}, {"next", error.next}};
  if (!job.empty()) json["job"] = std::string(job);
  return to_line(json);
}

Error parse_problem(std::string_view body, unsigned status) {
  Error error{Fault::kDaemonUnreachable, "the gateway answered with status " + std::to_string(status), "look at its log"};
  const auto json = parse_object(body);
  if (!json.ok()) return error;
  Fields fields(json.value());
  std::string code;
  fields.read("code", code);
  fields.read("detail", error.what);
  fields.read("next", error.next);
  error.fault = fault_named(code).value_or(Fault::kDaemonUnreachable);
  return error;
}

}  // namespace tideway::api
