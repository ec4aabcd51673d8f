// SPDX-License-Identifier: Apache-2.0
//
// tideway policy test: which line of the configuration lets a peer do something, or that none does.
#include "base/amounts.h"
#include "config/config_file.h"
#include "config/gateway.h"
#include "session/policy_question.h"
#include "verbs.h"

#include <cstdio>

namespace tideway::cli {
namespace {

std::string limits_text(const session::GrantLimits& limits) {
  const session::GrantLimits none;
  std::string text;
  if (limits.bytes_max != none.bytes_max) text += "  max_bytes " + to_string(limits.bytes_max);
  if (limits.files_max != none.files_max) text += "  max_files " + std::to_string(limits.files_max);
  if (limits.flows_max != none.flows_max) text += "  max_flows " + std::to_string(limits.flows_max);
  if (limits.rate_max != none.rate_max) text += "  max_rate " + to_string(limits.rate_max);
  char modes[16];
  std::snprintf(modes, sizeof modes, "  modes %04o", limits.modes);
  return limits.modes == none.modes ? text : text + modes;
}

int explain(const Globals& globals, const session::PolicyQuestion& question) {
  const auto config = config::load(globals.config);
  if (!config.ok()) return report(config.error(), globals.output);
  const auto rules = config::serving_rules(config.value());
  if (!rules.ok()) return report(rules.error(), globals.output);
  const auto has_root = [&](const std::string& name) { return config.value().root_named(name) != nullptr; };
  const auto decision = session::explain(question, rules.value().gateway.grants, has_root);
  if (!decision.ok()) return report(decision.error(), globals.output);
  if (!globals.output.json) {
    std::printf("allowed by %s%s\n", std::string(decision.value().rule()).c_str(), limits_text(decision.value().grant->limits).c_str());
    return 0;
  }
  JsonLine line("policy");
  line.text("rule", decision.value().rule());
  for (const auto& [name, limit] : session::limits_of(decision.value())) line.number(name, limit);
  line.print();
  return 0;
}

}  // namespace

void add_policy(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* group = app.add_subcommand("policy", "Say what grants allow");
  group->require_subcommand(1);
  auto question = std::make_shared<session::PolicyQuestion>();
  CLI::App* test = group->add_subcommand("test", "Say which grant lets a peer do something; exit code 5 if none does");
  test->add_option("--peer", question->peer, "Identity of the peer, spiffe://DOMAIN/site/SITE/gw/GATEWAY")->required()->type_name("P");
  test->add_option("--op", question->op, "read, list, write, overwrite or delete")->required()->type_name("OP");
  test->add_option("--path", question->path, "Root and path below it, such as ckpt/runs/llm7")->required()->type_name("ROOT/PATH");
  add_globals(*test, globals);
  test->callback([&globals, &action, question] { action = [&globals, question] { return explain(globals, *question); }; });
}

}  // namespace tideway::cli
