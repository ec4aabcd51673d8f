// SPDX-License-Identifier: Apache-2.0
//
// A job's specification as JSON: the body of POST /v1/jobs.
// Thread: any. Pure.
#pragma once
#include "job/job.h"
#include <tideway/result.h>

#include <string>
#include <string_view>

namespace tideway::api {

// Errors: usage: no JSON, an unknown field or a wrong type, naming it.
Result<job::Spec> parse_spec(std::string_view body);
// Fields that have their default are left out, so that equal specifications are equal texts.
std::string to_json(const job::Spec& spec);

}  // namespace tideway::api
