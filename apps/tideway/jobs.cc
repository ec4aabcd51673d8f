// SPDX-License-Identifier: Apache-2.0
//
// tideway jobs list | show | watch | pause | resume | cancel | set
#include "api/time_text.h"
#include "base/amounts.h"
#include "copy_options.h"
#include "follow.h"
#include "verbs.h"

namespace tideway::cli {
namespace {

struct JobsOptions {
  std::string id, state, peer, rate, transfer_class, deadline;
  uint32_t weight = 0;  // zero: as it is
};

std::string reason_of(const api::JobView& view) {
  if (view.job.wait) return view.job.wait->reason;
  return view.job.error ? std::string(view.job.error->name()) : view.held_by;
}

std::string done_of(const api::JobView& view) {
  if (view.job.outcome) return to_string(view.job.outcome->bytes);
  if (!view.progress) return "";
  const Bytes done = view.progress->bytes_held + view.progress->bytes_verified, total = view.progress->bytes_held + view.progress->bytes_needed;
  return to_string(done) + '/' + to_string(total) + (view.progress->stage.empty() ? "" : ' ' + view.progress->stage);
}

std::string sources_of(const job::Spec& spec) {
  return to_display(std::string_view(spec.sources.front())) + (spec.sources.size() > 1 ? " +" + std::to_string(spec.sources.size() - 1) : "");
}

void print_line(const api::JobView& view, const OutputConfig& output) {
  const job::Job& job = view.job;
  if (output.json) {
    JsonLine line("state");
    line.text("job", job.id).text("state", job::to_string(job.state)).text("class", job::to_string(job.spec.service)).text("peer", job.peer);
    line.text("source", sources_of(job.spec)).text("destination", to_display(std::string_view(job.spec.destination))).text("reason", reason_of(view));
    if (view.progress) line.text("stage", view.progress->stage).number("bytes_done", view.progress->bytes_verified.count()).number("bytes_total", view.progress->bytes_needed.count()).text("backend", view.progress->backend);
    if (view.forecast && view.forecast->eta) line.text("eta", api::to_text(*view.forecast->eta)).text("eta_confidence", view.forecast->confidence);
    if (job.spec.deadline) line.text("deadline", api::to_text(*job.spec.deadline));
    if (job.is_at_risk) line.text("deadline_risk", "at_risk");
    line.text("created", api::to_text(job.created)).print();
    return;
  }
  const std::string eta = view.forecast && view.forecast->eta && !job::is_over(job.state) ? "  eta " + api::to_text(*view.forecast->eta) : "";
  std::printf("%s  %-9s  %-11s  %-24s  %s -> %s  %s%s%s\n", job.id.c_str(), std::string(job::to_string(job.state)).c_str(), std::string(job::to_string(job.spec.service)).c_str(),
              done_of(view).c_str(), sources_of(job.spec).c_str(), to_display(std::string_view(job.spec.destination)).c_str(), reason_of(view).c_str(),
              eta.c_str(), job.is_at_risk ? "  deadline_at_risk" : "");
}

int list(const JobsOptions& options, const Globals& globals) {
  const GatewayClient gateway(globals);
  std::string after = "0";
  bool is_empty = true;
  while (!after.empty()) {
    std::string path = "/v1/jobs?limit=1000&after=" + after;
    if (!options.state.empty()) path += "&state=" + options.state;
    if (!options.peer.empty()) path += "&peer=" + options.peer;
    const auto body = gateway.ask("GET", path);
    if (!body.ok()) return report(body.error(), globals.output);
    const auto page = api::parse_page(body.value());
    if (!page.ok()) return report(page.error(), globals.output);
    for (const api::JobView& view : page.value().jobs) print_line(view, globals.output);
    is_empty &= page.value().jobs.empty();
    after = page.value().next;
  }
  if (is_empty && !globals.output.json && !globals.output.quiet) std::fprintf(stderr, "tideway: there are no such jobs; tideway submit makes one\n");
  return 0;
}

void print_whole(const api::JobView& view) {
  const job::Job& job = view.job;
  const auto line = [](const char* name, const std::string& value) {
    if (!value.empty()) std::printf("%-12s %s\n", name, value.c_str());
  };
  line("job", job.id);
  line("state", std::string(job::to_string(job.state)));
  for (const std::string& source : job.spec.sources) line("source", to_display(std::string_view(source)));
  const std::vector<job::SourceShare> shares = view.progress ? view.progress->sources : job.outcome ? job.outcome->sources : std::vector<job::SourceShare>();
  for (const job::SourceShare& share : shares) line("brought by", to_display(std::string_view(share.source)) + ' ' + to_string(share.bytes));
  line("destination", to_display(std::string_view(job.spec.destination)));
  line("class", std::string(job::to_string(job.spec.service)));
  if (job.spec.weight) line("weight", std::to_string(*job.spec.weight));
  line("held by", view.held_by);
  if (view.progress) {
    line("done", done_of(view));
    line("carried by", view.progress->backend);
  }
  if (job.spec.deadline) line("deadline", api::to_text(*job.spec.deadline) + (job.is_at_risk ? ", at risk" : ""));
  if (job.spec.rpo) line("rpo", to_string(Duration(*job.spec.rpo)));
  if (view.forecast && view.forecast->eta)
    line("eta", api::to_text(*view.forecast->eta) + (view.forecast->latest ? ", in nine of ten days by " + api::to_text(*view.forecast->latest) : "") + " (confidence " + view.forecast->confidence + ')');
  if (!job.spec.rate_max.is_unlimited()) line("rate", to_string(job.spec.rate_max));
  line("submission", job.spec.submission_id);
  line("run of", job.run_of);
  if (job.spec.every) line("every", to_string(Duration(*job.spec.every)));
  if (job.is_recurring()) line("next run", api::to_text(job.due));
  line("created", api::to_text(job.created));
  if (job.ended != job::WallTime{}) line("ended", api::to_text(job.ended));
  if (job.attempts > 0) line("attempts", std::to_string(job.attempts));
  if (job.wait) {
    line("waits for", job.wait->reason + ": " + job.wait->what);
    line("next", job.wait->next);
  }
  if (job.error) {
    line("failed", std::string(job.error->name()) + ": " + job.error->what);
    line("next", job.error->next);
  }
  if (job.outcome) line("root", "sha256:" + hex(job.outcome->root));
}

int show(const JobsOptions& options, const Globals& globals) {
  const GatewayClient gateway(globals);
  const auto view = gateway.job(options.id);
  if (!view.ok()) return report(view.error(), globals.output);
  if (globals.output.json) print_line(view.value(), globals.output);
  else print_whole(view.value());
  return 0;
}

int watch(const JobsOptions& options, const Globals& globals) {
  const GatewayClient gateway(globals);
  auto view = gateway.job(options.id);
  if (!view.ok()) return report(view.error(), globals.output);
  FollowOptions follows;
  follows.title = sources_of(view.value().job.spec);
  return follow(gateway, std::move(view).value(), globals, follows);
}

// What is over stays as it is, which is no error, so that a command may be given twice.
void note_if_over(const GatewayClient& gateway, const std::string& id, const OutputConfig& output) {
  const auto view = gateway.job(id);
  if (!view.ok() || output.quiet || !job::is_over(view.value().job.state)) return;
  std::fprintf(stderr, "tideway: job %s is over, and stays as it is\n", view.value().job.id.c_str());
}

int act(const std::string& verb, const JobsOptions& options, const Globals& globals) {
  const GatewayClient gateway(globals);
  note_if_over(gateway, options.id, globals.output);
  const auto view = gateway.act(options.id, verb);
  if (!view.ok()) return report(view.error(), globals.output);
  print_line(view.value(), globals.output);
  return 0;
}

int set(const JobsOptions& options, const Globals& globals) {
  api::JobChange change;
  if (!options.rate.empty()) {
    const auto rate = parse_rate(options.rate);
    if (!rate.ok()) return report({Fault::kUsage, "--bwlimit: " + rate.error().what, rate.error().next}, globals.output);
    change.rate = rate.value();
  }
  if (!options.transfer_class.empty()) change.service = options.transfer_class;
  if (options.weight != 0) change.weight = options.weight;
  if (options.deadline == "off") change.deadline.emplace();
  else if (!options.deadline.empty()) {
    const auto deadline = parse_deadline(options.deadline);
    if (!deadline.ok()) return report(deadline.error(), globals.output);
    change.deadline = deadline.value();
  }
  if (!change.rate && !change.service && !change.weight && !change.deadline)
    return report({Fault::kUsage, "nothing is to be changed", "write --bwlimit RATE, --class CLASS, --weight N or --deadline TIME"}, globals.output);
  const GatewayClient gateway(globals);
  note_if_over(gateway, options.id, globals.output);
  const auto view = gateway.ask_job("PATCH", "/v1/jobs/" + options.id, api::to_json(change));
  if (!view.ok()) return report(view.error(), globals.output);
  print_line(view.value(), globals.output);
  return 0;
}

}  // namespace

void add_jobs(CLI::App& app, Globals& globals, Action& action) {
  auto options = std::make_shared<JobsOptions>();
  CLI::App* jobs = app.add_subcommand("jobs", "The queue of this machine's gateway: list, show, watch and change jobs");
  jobs->require_subcommand(1);
  const auto add = [&, options](const char* name, const char* help, auto run) {
    CLI::App* verb = jobs->add_subcommand(name, help);
    add_globals(*verb, globals);
    verb->callback([&globals, &action, options, run] { action = [&globals, options, run] { return run(*options, globals); }; });
    return verb;
  };
  const auto takes_job = [options](CLI::App* verb) { verb->add_option("JOB", options->id, "Id of the job, or how it begins")->required()->type_name(""); };
  CLI::App* listed = add("list", "One line for each job, in the order of submission", list);
  listed->add_option("--state", options->state, "Only those in STATE: queued, running, waiting, paused, published, failed, cancelled")->type_name("STATE");
  listed->add_option("--peer", options->peer, "Only those of PEER")->type_name("PEER");
  takes_job(add("show", "Everything about one job", show));
  takes_job(add("watch", "Show the progress of a job until it ends", watch));
  takes_job(add("pause", "Stop a job; what has arrived stays", [](const JobsOptions& o, const Globals& g) { return act("pause", o, g); }));
  takes_job(add("resume", "Queue a paused or waiting job again", [](const JobsOptions& o, const Globals& g) { return act("resume", o, g); }));
  takes_job(add("cancel", "End a job; of a recurring one, the series", [](const JobsOptions& o, const Globals& g) { return act("cancel", o, g); }));
  CLI::App* changed = add("set", "Change a job, also while it runs", set);
  takes_job(changed);
  changed->add_option("--bwlimit", options->rate, "At most RATE from now on; off is no limit")->type_name("RATE");
  changed->add_option("--class", options->transfer_class, "restore, checkpoint, staging or best-effort")->type_name("CLASS");
  changed->add_option("--deadline", options->deadline, "When it has to be there, refused if that cannot be met; off is none")->type_name("TIME");
  changed->add_option("--weight", options->weight, "Shares of the link against the other jobs of its class")->type_name("N")->check(CLI::Range(1U, job::kWeightMax));
}

}  // namespace tideway::cli
