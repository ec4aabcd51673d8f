// SPDX-License-Identifier: Apache-2.0
//
// An error as problem+json (RFC 9457), with the code that the command line has for it.
// Thread: any. Pure.
#pragma once
#include <tideway/result.h>

#include <string>
#include <string_view>

namespace tideway::api {

unsigned status_of(Fault fault);
std::string to_problem(const Error& error, unsigned status, std::string_view job = {});
// The error in an answer that is none of 2xx.
Error parse_problem(std::string_view body, unsigned status);

}  // namespace tideway::api
