// SPDX-License-Identifier: Apache-2.0
//
// tideway: copies, lists, verifies and checks, by hand or from scripts.
#include "base/core_dumps.h"
#include "base/log.h"
#include "config/config_file.h"
#include "usage.h"
#include "verbs.h"

#include <cstdio>

namespace tideway::cli {

void add_globals(CLI::App& app, Globals& globals) {
  const auto general = [](CLI::Option* option) { option->group("General options"); return option; };
  general(app.add_option("--config", globals.config, "Configuration file (default /etc/tideway/tideway.toml)"))->envname("TIDEWAY_CONFIG")->type_name("FILE");
  general(app.add_option("--api", globals.api, "Socket of this machine's gateway (default as configured)"))->envname("TIDEWAY_API")->type_name("SOCKET");
  general(app.add_flag("--direct", globals.direct, "Copy in this process, even if a gateway answers"));
  general(app.add_flag("--json", globals.output.json, "One JSON object per line on standard output"));
  general(app.add_flag("-q,--quiet", globals.output.quiet, "Errors only"));
  general(app.add_flag("-v,--verbose", globals.output.verbosity, "Say more; twice for debugging"));
  general(app.add_flag_callback("-P,--progress", [&globals] { globals.output.progress = ProgressMode::kAlways; }, "Show progress every second, even without a terminal"));
  general(app.add_flag_callback("--no-color", [] {}, "Plain text, which all output is"));
}

}  // namespace tideway::cli

namespace {

using namespace tideway::cli;
using tideway::log::Level;

int parse_and_run(CLI::App& app, Globals& globals, Action& action, char** argv, int argc) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    return report(usage_error(app, error), globals.output);
  }
  const int verbosity = globals.output.verbosity;
  tideway::log::set_level(verbosity > 1 ? Level::kDebug : verbosity == 1 ? Level::kInfo : Level::kError);
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  tideway::forbid_core_dumps();
  Globals globals;
  globals.config = tideway::config::kDefaultFile;
  Action action;
  CLI::App app("Moves files and trees between sites: encrypted, verified, at the speed of the link.", "tideway");
  app.require_subcommand(1);
  app.set_version_flag("--version", "tideway " TIDEWAY_VERSION, "Print the version and exit");
  add_globals(app, globals);
  add_copy(app, globals, action);
  add_submit(app, globals, action);
  add_jobs(app, globals, action);
  add_bwlimit(app, globals, action);
  add_schedule(app, globals, action);
  add_peers(app, globals, action);
  add_list(app, globals, action);
  add_verify(app, globals, action);
  add_repair(app, globals, action);
  add_restore(app, globals, action);
  add_config(app, globals, action);
  add_doctor(app, globals, action);
  add_audit(app, globals, action);
  add_pki(app, globals, action);
  add_phase(app, globals, action);
  add_policy(app, globals, action);
  add_selftest(app, globals, action);
  add_bench(app, globals, action);
  add_completion(app, globals, action);
  add_version(app, globals, action);
  return parse_and_run(app, globals, action, argv, argc);
}
