// SPDX-License-Identifier: Apache-2.0
//
// tideway submit SRC... DST: leaves a copy to the gateway of this machine.
#include "api/schedule_json.h"
#include "api/spec_json.h"
#include "api/time_text.h"
#include "base/amounts.h"
#include "copy_options.h"
#include "summary.h"
#include "verbs.h"

namespace tideway::cli {
namespace {

struct SubmitOptions {
  std::shared_ptr<CopyOptions> copy = std::make_shared<CopyOptions>();
  std::string every, submission_id, rpo;
};

void print_feasibility(const api::Feasibility& answer) {
  const auto line = [](const char* name, const std::string& value) {
    if (!value.empty()) std::printf("%-12s %s\n", name, value.c_str());
  };
  const bool has_cost = answer.is_feasible && answer.cost > 0;
  line("answer", !answer.is_feasible ? "does not fit" : has_cost ? "fits at cost" : "fits");
  line("why", answer.why);
  line("eta", answer.eta ? api::to_text(*answer.eta) : "not known");
  if (answer.slack) line("slack", to_string(Duration(*answer.slack)));
  if (has_cost) line("cost", answer.mode + ", " + percent_to_string(answer.cost) + " of the link during bursts");
  if (answer.earliest) line("earliest", api::to_text(*answer.earliest));
  if (answer.by_deadline) line("by then", to_string(*answer.by_deadline));
  if (!answer.needs_mode.empty()) line("needs", answer.needs_mode + ", " + percent_to_string(answer.needs_share) + " of the link during bursts");
  line("confidence", answer.confidence);
}

int ask_whether(const GatewayClient& gateway, const job::Spec& spec, const OutputConfig& output) {
  const auto body = gateway.ask("POST", "/v1/schedule/check", api::to_json(spec));
  if (!body.ok()) return report(body.error(), output);
  const auto answer = api::parse_feasibility(body.value());
  if (!answer.ok()) return report(answer.error(), output);
  if (output.json) std::printf("%s\n", body.value().c_str());
  else print_feasibility(answer.value());
  return answer.value().is_feasible ? 0 : row_of(Fault::kDeadline).exit_code;
}

// A duration of the command line into `into`, when there is one. Errors: usage, with the flag.
Status read_time(const char* flag, const std::string& text, std::optional<std::chrono::milliseconds>& into) {
  if (text.empty()) return success();
  const auto time = parse_duration(text);
  if (!time.ok()) return Error{Fault::kUsage, std::string(flag) + ": " + time.error().what, time.error().next};
  into = std::chrono::floor<std::chrono::milliseconds>(time.value());
  return success();
}

int submit(const SubmitOptions& options, const Globals& globals) {
  const GatewayClient gateway(globals);
  auto spec = spec_from(*options.copy, gateway);
  if (!spec.ok()) return report(spec.error(), globals.output);
  spec.value().submission_id = options.submission_id;
  if (Status status = read_time("--every", options.every, spec.value().every); !status.ok()) return report(status.error(), globals.output);
  if (Status status = read_time("--rpo", options.rpo, spec.value().rpo); !status.ok()) return report(status.error(), globals.output);
  if (options.copy->dry_run) return ask_whether(gateway, spec.value(), globals.output);
  const auto view = gateway.ask_job("POST", "/v1/jobs", api::to_json(spec.value()));
  if (!view.ok()) return report(view.error(), globals.output);
  return print_submitted(view.value().job, globals.output);
}

}  // namespace

void add_submit(CLI::App& app, Globals& globals, Action& action) {
  auto options = std::make_shared<SubmitOptions>();
  CLI::App* verb = app.add_subcommand("submit", "Leave a copy to this machine's gateway; prints the id of the job");
  verb->footer(std::string(kCopyFooter) +
               "The gateway keeps the job through crashes and restarts, and tries again where that may help.\n\n"
               "  tideway submit /data/ckpt/step-9000 wisconsin:ckpt/llm7/step-9000\n"
               "  tideway submit --every 30m --overwrite always --publish rename /data/ckpt/live wisconsin:ckpt/live");
  add_copy_options(*verb, options->copy);
  verb->add_option("--every", options->every, "Repeat: the next run is due TIME, such as 30m, after the last one was due")->type_name("TIME");
  verb->add_option("--rpo", options->rpo, "With --every: how old the newest copy may get, such as 45m;\na job that will not meet it is reported at risk")->type_name("TIME");
  verb->add_flag("-n,--dry-run", options->copy->dry_run, "Only say when it would be done, and whether its deadline can be met\n(exit 11 if not)");
  verb->add_option("--submission-id", options->submission_id, "Makes it safe to repeat: the same id with the same request is the same job")->type_name("ID");
  add_globals(*verb, globals);
  verb->callback([&globals, &action, options] { action = [&globals, options] { return submit(*options, globals); }; });
}

}  // namespace tideway::cli
