// SPDX-License-Identifier: Apache-2.0
//
// The command line of tideway-wan. Each flag acts on both directions; `--ab` or `--ba` right before it restricts it.
#pragma once
#include "wan/link_model.h"
#include <tideway/result.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tideway::wan {

struct Arguments {
  std::string interface_a, interface_b;
  LinkConfig ab, ba;
  uint64_t seed = 1;
  std::string stats_file;  // empty: none
  std::string count_file;  // empty: none
  std::vector<uint16_t> count_ports;
};

// What to do after parsing: go on, or stop with this code because help, version or a complaint was printed.
struct ParsedArguments {
  Arguments arguments;
  int exit_code = -1;  // -1: go on
};
ParsedArguments parse_arguments(int argc, char** argv);

// Says on stderr what is wrong, and what to do about it; returns the exit code.
int complain(const Error& error);

}  // namespace tideway::wan
