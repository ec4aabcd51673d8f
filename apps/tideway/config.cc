// SPDX-License-Identifier: Apache-2.0
//
// tideway config check
#include "config/config_file.h"
#include "config/gateway.h"
#include "verbs.h"

namespace tideway::cli {
namespace {

int check(const Globals& globals) {
  const auto config = config::load(globals.config);
  if (!config.ok()) return report(config.error(), globals.output);
  for (const std::string& note : config.value().notes) std::printf("NOTE  %s\n", note.c_str());
  const Status serves = config::check_serves(config.value());
  if (!serves.ok()) std::printf("NOTE  serves direct copies only: %s\n", serves.error().what.c_str());
  for (const config::Peer& peer : config.value().peers)
    if (const auto known = config::peer_for(config.value(), peer.name); !known.ok()) return report(known.error(), globals.output);
  std::printf("OK    %s: site %s, %zu roots, %zu grants, %zu peers\n", to_display(globals.config).c_str(), config.value().site.name.c_str(),
              config.value().roots.size(), config.value().grants.size(), config.value().peers.size());
  return 0;
}

}  // namespace

void add_config(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* group = app.add_subcommand("config", "Configuration");
  group->require_subcommand(1);
  CLI::App* verb = group->add_subcommand("check", "Check a configuration file, start nothing");
  verb->add_option("file", globals.config, "Configuration file")->type_name("FILE");
  add_globals(*verb, globals);
  verb->callback([&globals, &action] { action = [&globals] { return check(globals); }; });
}

}  // namespace tideway::cli
