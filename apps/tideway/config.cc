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
  const auto note = [&](const std::string& text) {
    if (globals.output.json) JsonLine("check").text("verdict", "note").text("detail", text).print();
    else std::printf("NOTE  %s\n", text.c_str());
  };
  for (const std::string& text : config.value().notes) note(text);
  const Status serves = config::check_serves(config.value());
  if (!serves.ok()) note("tidewayd cannot serve with it, tideway copy --direct can: " + serves.error().what);
  for (const config::Peer& peer : config.value().peers)
    if (const auto known = config::peer_for(config.value(), peer.name); !known.ok()) return report(known.error(), globals.output);
  const std::string summary = to_display(globals.config) + ": site " + config.value().site.name + ", " + std::to_string(config.value().roots.size()) + " roots, " +
                              std::to_string(config.value().grants.size()) + " grants, " + std::to_string(config.value().peers.size()) + " peers";
  if (globals.output.json) JsonLine("check").text("verdict", "ok").text("detail", summary).print();
  else std::printf("OK    %s\n", summary.c_str());
  return 0;
}

}  // namespace

void add_config(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* group = app.add_subcommand("config", "Check a configuration");
  group->require_subcommand(1);
  CLI::App* verb = group->add_subcommand("check", "Check a configuration file; start nothing");
  verb->add_option("FILE", globals.config, "Configuration file, instead of --config")->type_name("");
  add_globals(*verb, globals);
  verb->callback([&globals, &action] { action = [&globals] { return check(globals); }; });
}

}  // namespace tideway::cli
