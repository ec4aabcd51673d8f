// SPDX-License-Identifier: Apache-2.0
//
// The verbs of `tideway`: one file each, one line here and one in main.cc. A verb adds its options to the parser and
// says what to run.
#pragma once
#include "output.h"

#include <CLI/CLI.hpp>

#include <functional>
#include <string>

namespace tideway::cli {

// What every verb may be told; accepted before the verb and after it.
struct Globals {
  std::string config;   // --config, or TIDEWAY_CONFIG, or /etc/tideway/tideway.toml
  std::string api;      // --api, or TIDEWAY_API; empty: see gateway_client.h
  bool direct = false;  // --direct: never through a gateway
  OutputConfig output;
};

// Runs the chosen verb; returns the exit code.
using Action = std::function<int()>;

void add_globals(CLI::App& app, Globals& globals);
void add_copy(CLI::App& app, Globals& globals, Action& action);
void add_submit(CLI::App& app, Globals& globals, Action& action);
void add_jobs(CLI::App& app, Globals& globals, Action& action);
void add_bwlimit(CLI::App& app, Globals& globals, Action& action);
void add_schedule(CLI::App& app, Globals& globals, Action& action);
void add_peers(CLI::App& app, Globals& globals, Action& action);
void add_completion(CLI::App& app, Globals& globals, Action& action);
void add_list(CLI::App& app, Globals& globals, Action& action);
void add_verify(CLI::App& app, Globals& globals, Action& action);
void add_repair(CLI::App& app, Globals& globals, Action& action);
void add_restore(CLI::App& app, Globals& globals, Action& action);
void add_config(CLI::App& app, Globals& globals, Action& action);
void add_doctor(CLI::App& app, Globals& globals, Action& action);
void add_bench(CLI::App& app, Globals& globals, Action& action);
void add_audit(CLI::App& app, Globals& globals, Action& action);
void add_pki(CLI::App& app, Globals& globals, Action& action);
void add_phase(CLI::App& app, Globals& globals, Action& action);
void add_policy(CLI::App& app, Globals& globals, Action& action);
void add_selftest(CLI::App& app, Globals& globals, Action& action);
void add_version(CLI::App& app, Globals& globals, Action& action);

}  // namespace tideway::cli
