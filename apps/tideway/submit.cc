// SPDX-License-Identifier: Apache-2.0
//
// tideway submit SRC... DST: leaves a copy to the gateway of this machine.
#include "api/spec_json.h"
#include "base/amounts.h"
#include "copy_options.h"
#include "summary.h"
#include "verbs.h"

namespace tideway::cli {
namespace {

struct SubmitOptions {
  std::shared_ptr<CopyOptions> copy = std::make_shared<CopyOptions>();
  std::string every, submission_id;
};

int submit(const SubmitOptions& options, const Globals& globals) {
  const GatewayClient gateway(globals);
  auto spec = spec_from(*options.copy, gateway);
  if (!spec.ok()) return report(spec.error(), globals.output);
  spec.value().submission_id = options.submission_id;
  if (!options.every.empty()) {
    const auto every = parse_duration(options.every);
    if (!every.ok()) return report({Fault::kUsage, "--every: " + every.error().what, every.error().next}, globals.output);
    spec.value().every = std::chrono::floor<std::chrono::milliseconds>(every.value());
  }
  const auto body = gateway.ask("POST", "/v1/jobs", api::to_json(spec.value()));
  if (!body.ok()) return report(body.error(), globals.output);
  const auto view = api::parse_view(body.value());
  if (!view.ok()) return report(view.error(), globals.output);
  return print_submitted(view.value().job, globals.output);
}

}  // namespace

void add_submit(CLI::App& app, Globals& globals, Action& action) {
  auto options = std::make_shared<SubmitOptions>();
  CLI::App* verb = app.add_subcommand("submit", "Leave a copy to the gateway of this machine; prints the job's id");
  verb->footer("The gateway keeps the job through crashes and restarts, and tries again what may pass.\n\n"
               "  tideway submit /data/ckpt/step-9000 wisconsin:ckpt/llm7/step-9000\n"
               "  tideway submit --every 30m /data/ckpt/live wisconsin:ckpt/live/");
  add_copy_options(*verb, options->copy);
  verb->add_option("--every", options->every, "Again and again: the next run is due so long after the last was due, such as 30m")->type_name("TIME");
  verb->add_option("--submission-id", options->submission_id, "The same id with the same request is the same job, however often it is sent")->type_name("ID");
  add_globals(*verb, globals);
  verb->callback([&globals, &action, options] { action = [&globals, options] { return submit(*options, globals); }; });
}

}  // namespace tideway::cli
