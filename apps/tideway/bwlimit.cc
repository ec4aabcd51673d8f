// SPDX-License-Identifier: Apache-2.0
//
// tideway bwlimit [RATE]: the ceiling of the running gateway, of what it sends to one peer, or of one of its jobs.
#include "base/amounts.h"
#include "gateway_client.h"
#include "verbs.h"

namespace tideway::cli {
namespace {

struct BwlimitOptions {
  std::string rate, job, link, time;
};

// `left`: until the ceiling from before comes back, if it does.
int print_rate(Rate rate, std::optional<std::chrono::seconds> left, const OutputConfig& output) {
  if (output.json) {
    JsonLine line("rate");
    if (rate.is_unlimited()) line.null("rate_bits");
    else line.number("rate_bits", static_cast<uint64_t>(rate.bits_per_second()));
    if (left) line.number("for_s", static_cast<uint64_t>(left->count()));
    line.print();
  } else {
    std::printf("%s%s\n", to_string(rate).c_str(), left ? (" for " + to_string(*left)).c_str() : "");
  }
  return 0;
}

int of_job(const GatewayClient& gateway, const BwlimitOptions& options, std::optional<Rate> rate, const Globals& globals) {
  const std::string path = "/v1/jobs/" + options.job;
  api::JobChange change;
  change.rate = rate;
  const auto body = rate ? gateway.ask("PATCH", path, api::to_json(change)) : gateway.ask("GET", path);
  if (!body.ok()) return report(body.error(), globals.output);
  const auto view = api::parse_view(body.value());
  if (!view.ok()) return report(view.error(), globals.output);
  return print_rate(view.value().job.spec.rate_max, {}, globals.output);
}

int bwlimit(const BwlimitOptions& options, const Globals& globals) {
  const GatewayClient gateway(globals);
  std::optional<Rate> rate;
  if (!options.rate.empty()) {
    const auto parsed = parse_rate(options.rate);
    if (!parsed.ok()) return report({Fault::kUsage, "RATE: " + parsed.error().what, parsed.error().next}, globals.output);
    rate = parsed.value();
  }
  if (!options.job.empty()) return of_job(gateway, options, rate, globals);
  api::RateState state;
  if (rate) state.rate = *rate;
  if (!options.time.empty()) {
    const auto time = parse_duration(options.time);
    if (!time.ok()) return report({Fault::kUsage, "--for: " + time.error().what, time.error().next}, globals.output);
    state.seconds = static_cast<uint64_t>(std::chrono::floor<std::chrono::seconds>(time.value()).count());
  }
  const std::string path = options.link.empty() ? "/v1/rate" : "/v1/links/" + options.link;
  const auto body = rate ? gateway.ask("PATCH", path, api::to_json(state)) : gateway.ask("GET", path);
  if (!body.ok()) return report(body.error(), globals.output);
  const auto now = api::parse_rate_state(body.value());
  if (!now.ok()) return report(now.error(), globals.output);
  std::optional<std::chrono::seconds> left;
  if (now.value().seconds) left = std::chrono::seconds(*now.value().seconds);
  return print_rate(now.value().rate, left, globals.output);
}

}  // namespace

void add_bwlimit(CLI::App& app, Globals& globals, Action& action) {
  auto options = std::make_shared<BwlimitOptions>();
  CLI::App* verb = app.add_subcommand("bwlimit", "Change or show the ceiling of the running gateway");
  CLI::Option* rate = verb->add_option("RATE", options->rate, "Such as 2Gbit or 250MB; off is no limit. Without RATE the ceiling is shown")->type_name("");
  verb->add_option("--job", options->job, "Of this job only")->type_name("JOB");
  verb->add_option("--link", options->link, "Of what all jobs together send to this peer; until the configuration is reloaded")->type_name("PEER")->excludes("--job");
  verb->add_option("--for", options->time, "For TIME only, such as 2h; then the former ceiling comes back")->type_name("TIME")->excludes("--job")->needs(rate);
  add_globals(*verb, globals);
  verb->callback([&globals, &action, options] { action = [&globals, options] { return bwlimit(*options, globals); }; });
}

}  // namespace tideway::cli
