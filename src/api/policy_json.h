// SPDX-License-Identifier: Apache-2.0
//
// What a grant allows a peer: the question and the answer of POST /v1/policy/test.
// Thread: any. Pure.
#pragma once
#include <tideway/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tideway::api {

struct PolicyTest {
  std::string peer, op, path;
};
// Errors: usage: a field is missing, or there is another one.
Result<PolicyTest> parse_policy_test(std::string_view text);

// Of what a rule allows, with its limits.
std::string to_policy_allowed(std::string_view rule, std::span<const std::pair<std::string_view, uint64_t>> limits);
// That nothing does: the answer to a question, and no error.
std::string to_policy_denied(const Error& why);

}  // namespace tideway::api
