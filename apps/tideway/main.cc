// SPDX-License-Identifier: Apache-2.0
//
// tideway: copies, lists, verifies and checks, by hand or from scripts.
#include "base/log.h"
#include "config/config_file.h"
#include "verbs.h"

#include <cstdio>

namespace tideway::cli {

void add_globals(CLI::App& app, Globals& globals) {
  app.add_option("--config", globals.config, "Configuration file")->envname("TIDEWAY_CONFIG")->type_name("FILE");
  app.add_option("--api", globals.api, "Socket of the gateway of this machine")->envname("TIDEWAY_API")->type_name("SOCKET");
  app.add_flag("--direct", globals.direct, "Copy in this process, also when a gateway answers");
  app.add_flag("--json", globals.output.json, "One JSON object per line on standard output");
  app.add_flag("-q,--quiet", globals.output.quiet, "Errors only");
  app.add_flag("-v,--verbose", globals.output.verbosity, "Say more; twice for debugging");
  app.add_flag_callback("-P,--progress", [&globals] { globals.output.progress = ProgressMode::kAlways; }, "Show progress every second, also without a terminal");
  app.add_flag("--no-color", globals.output.no_color, "Plain text");
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
    return report({tideway::Fault::kUsage, error.what(), "see tideway --help, or tideway VERB --help"}, globals.output);
  }
  const int verbosity = globals.output.verbosity;
  tideway::log::set_level(verbosity > 1 ? Level::kDebug : verbosity == 1 ? Level::kInfo : Level::kError);
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  Globals globals;
  globals.config = tideway::config::kDefaultFile;
  Action action;
  CLI::App app("Moves files and trees between sites: encrypted, verified, at the speed of the link.", "tideway");
  app.require_subcommand(1);
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
