// SPDX-License-Identifier: Apache-2.0
//
// tideway policy test: which line of the configuration lets a peer do something, or that none does.
#include "base/amounts.h"
#include "config/config_file.h"
#include "config/gateway.h"
#include "verbs.h"

#include <cstdio>

namespace tideway::cli {
namespace {

struct Question {
  std::string peer, op, path;
};

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

void print_json(const session::Decision& decision) {
  const session::GrantLimits none, limits = decision.grant->limits;
  JsonLine line("policy");
  line.text("rule", decision.rule());
  if (limits.bytes_max != none.bytes_max) line.number("max_bytes", limits.bytes_max.count());
  if (limits.files_max != none.files_max) line.number("max_files", limits.files_max);
  if (limits.flows_max != none.flows_max) line.number("max_flows", limits.flows_max);
  if (limits.rate_max != none.rate_max) line.number("max_rate_bits", static_cast<uint64_t>(limits.rate_max.bits_per_second()));
  line.number("modes", limits.modes);
  line.print();
}

int explain(const Globals& globals, const Question& question) {
  const auto config = config::load(globals.config);
  if (!config.ok()) return report(config.error(), globals.output);
  const auto rules = config::serving_rules(config.value());
  if (!rules.ok()) return report(rules.error(), globals.output);
  const auto peer = crypto::Identity::parse(question.peer);
  if (!peer.ok()) return report({Fault::kUsage, peer.error().what, "write the identity of one gateway: spiffe://DOMAIN/site/SITE/gw/GATEWAY"}, globals.output);
  const auto op = session::grant_op_named(question.op);
  if (!op) return report({Fault::kUsage, "\"" + to_display(question.op) + "\" is no operation", "write read, list, write, overwrite or delete"}, globals.output);
  const size_t slash = question.path.find('/');
  const std::string root = question.path.substr(0, slash);
  const auto name = ObjectName::from_text(slash == question.path.npos ? "" : std::string_view(question.path).substr(slash + 1));
  if (!name.ok()) return report(name.error(), globals.output);
  if (config.value().root_named(root) == nullptr)
    return report({Fault::kDenied, "there is no root \"" + to_display(root) + '"', "write --path ROOT/PATH with a [[root]] of the configuration"}, globals.output);
  const session::Decision decision = rules.value().gateway.grants.decide(peer.value(), root, name.value(), *op);
  if (!decision.is_allowed())
    return report({Fault::kDenied, "no [[grant]] lets " + to_string(peer.value()) + " " + question.op + " " + to_display(question.path), "add a [[grant]], if it should"}, globals.output);
  if (globals.output.json) print_json(decision);
  else std::printf("allowed by %s%s\n", std::string(decision.rule()).c_str(), limits_text(decision.grant->limits).c_str());
  return 0;
}

}  // namespace

void add_policy(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* group = app.add_subcommand("policy", "Say what grants allow");
  group->require_subcommand(1);
  auto question = std::make_shared<Question>();
  CLI::App* test = group->add_subcommand("test", "Say which grant lets a peer do something; exit code 5 if none does");
  test->add_option("--peer", question->peer, "Identity of the peer, spiffe://DOMAIN/site/SITE/gw/GATEWAY")->required()->type_name("P");
  test->add_option("--op", question->op, "read, list, write, overwrite or delete")->required()->type_name("OP");
  test->add_option("--path", question->path, "Root and path below it, such as ckpt/runs/llm7")->required()->type_name("ROOT/PATH");
  add_globals(*test, globals);
  test->callback([&globals, &action, question] { action = [&globals, question] { return explain(globals, *question); }; });
}

}  // namespace tideway::cli
