// SPDX-License-Identifier: Apache-2.0
//
// tidewayd: the gateway of a site, in the foreground. Prints one `ready` line to stdout when peers can connect.
#include "base/core_dumps.h"
#include "base/log.h"
#include "config/config_file.h"
#include "config/gateway.h"
#include "config/phases.h"
#include "daemon/daemon.h"
#include "tidewayd/web_files.h"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace tideway {
namespace {

int report(const Error& error) {
  std::fprintf(stderr, "tidewayd: %s (%s)\n", error.what.c_str(), std::string(error.name()).c_str());
  if (!error.next.empty()) std::fprintf(stderr, "  next  %s\n", error.next.c_str());
  return error.exit_code();
}

void print_ready(const config::GatewayConfig& config, const Endpoint& data) {
  std::string roots;
  for (const config::Root& root : config.roots) roots += (roots.empty() ? "" : ",") + root.name;
  std::printf("ready site=%s control=%s data=%s roots=%s\n", config.site.name.c_str(), to_string(*config.listen.control).c_str(),
              to_string(data).c_str(), roots.c_str());
  std::fflush(stdout);
}

// What SIGHUP does with the file: takes up the rules, and names what only a restart takes up.
Result<daemon::DaemonRules> read_again(const std::string& file, const config::GatewayConfig& running) {
  const auto fresh = config::load(file);
  if (!fresh.ok()) return fresh.error();
  auto rules = config::serving_rules(fresh.value());
  if (!rules.ok()) return rules;
  for (const std::string& section : config::needing_restart(running, fresh.value()))
    log::warning("needs_restart", "section=" + section);
  return rules;
}

int serve(const std::string& file, bool only_checks) {
  const auto config = config::load(file);
  if (!config.ok()) return report(config.error());
  auto gateway = config::serving_gateway(config.value());
  if (!gateway.ok()) return report(gateway.error());
  for (const std::string& note : config.value().notes) log::info("no_effect_yet", note);
  if (only_checks) return 0;
  gateway.value().engine.gates = config::gates_of(config.value());
  auto phases = config::phase_port(config.value(), gateway.value().engine.gates);
  if (!phases.ok()) return report(phases.error());
  auto jobs = config::job_rules(config.value());
  if (!jobs.ok()) return report(jobs.error());
  auto api = config::api_config(config.value(), file);
  api.web_files = web_files();
  auto daemon = daemon::Daemon::start({std::move(gateway).value(), config.value().site.state_dir, file, [&] { return read_again(file, config.value()); },
                                       std::move(api), std::move(jobs).value(), std::move(phases).value(), config::links_of(config.value()),
                                       config::watches_of(config.value())});
  if (!daemon.ok()) return report(daemon.error());
  daemon.value()->run([&] { print_ready(config.value(), daemon.value()->data_address()); });
  return 0;
}

}  // namespace
}  // namespace tideway

int main(int argc, char** argv) {
  tideway::forbid_core_dumps();
  std::string file(tideway::config::kDefaultFile);
  bool only_checks = false;
  int verbosity = 0;
  CLI::App app("The gateway of a site: serves the roots of its configuration to the peers it grants.", "tidewayd");
  app.set_version_flag("--version", "tidewayd " TIDEWAY_VERSION, "Print the version and exit");
  app.add_option("--config", file, "Configuration file (default /etc/tideway/tideway.toml)")->envname("TIDEWAY_CONFIG")->type_name("FILE");
  app.add_flag("--check", only_checks, "Check the configuration and end");
  app.add_flag("-v,--verbose", verbosity, "Log more");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return tideway::report({tideway::Fault::kUsage, error.what(), "see tidewayd --help"});
  }
  tideway::log::set_level(verbosity > 0 ? tideway::log::Level::kDebug : tideway::log::Level::kInfo);
  return tideway::serve(file, only_checks);
}
