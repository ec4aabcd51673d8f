// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with a command line: which verb or flag was meant, and where its help is.
// Thread: main.
#pragma once
#include <tideway/result.h>

#include <CLI/CLI.hpp>

namespace tideway::cli {

// `app` as it was left when parsing ended with `failure`. The error is always `usage`.
Error usage_error(const CLI::App& app, const CLI::ParseError& failure);

}  // namespace tideway::cli
