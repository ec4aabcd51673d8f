// SPDX-License-Identifier: Apache-2.0
//
// tideway copy SRC... DST: through the gateway of this machine when it answers, else in this process.
#include "api/spec_json.h"
#include "base/amounts.h"
#include "base/clock.h"
#include "config/config_file.h"
#include "config/gateway.h"
#include "copy_options.h"
#include "daemon/job_runner.h"
#include "follow.h"
#include "signals.h"
#include "verbs.h"

namespace tideway::cli {
namespace {

enum class Waiting : uint8_t { kToTheEnd, kNot };

// The peer named in the one remote side.
Result<session::RemoteAddress> remote_side(const session::CopyRequest& request) {
  if (const auto* remote = std::get_if<session::RemoteAddress>(&request.destination)) return *remote;
  if (const auto* remote = std::get_if<session::RemoteAddress>(&request.sources.front())) return *remote;
  return Error{Fault::kUsage, "neither side names a peer", "write peer:root/path for one of the two sides"};
}

std::string shown(const session::Address& address) {
  if (const auto* remote = std::get_if<session::RemoteAddress>(&address)) return session::to_display(*remote);
  return to_display(std::get<session::LocalAddress>(address).path);
}

void print_report(const engine::EntryReported& report, const OutputConfig& output) {
  print_problem({report.path, std::string(report.why.name()), report.why.what, is_skip(report.why.fault)}, output);
}

// Of what the copy got over by itself.
void print_notice(const Error& notice, const OutputConfig& output) {
  if (output.json) JsonLine("state").text("notice", notice.name()).text("detail", notice.what).text("next", notice.next).print();
  else if (!output.quiet)
    std::fprintf(stderr, "tideway: %s (%s)\n  next  %s\n", notice.what.c_str(), std::string(notice.name()).c_str(), notice.next.c_str());
}

int print_dry_run(const session::Direct& direct, const session::CopyRequest& request, const OutputConfig& output) {
  const auto& outcome = direct.outcome().value();
  if (output.json) JsonLine("summary").text("state", "dry_run").number("entries", outcome.entries).number("bytes", outcome.bytes.count()).number("exit", 0).print();
  const auto* remote = std::get_if<session::RemoteAddress>(&request.destination);
  const bool is_into = remote != nullptr && remote->trailing == session::Trailing::kSlash;  // of a place here the text has it
  for (const session::Address& source : request.sources) std::fprintf(stderr, "would copy %s to %s%s\n", shown(source).c_str(), shown(request.destination).c_str(), is_into ? "/" : "");
  std::fprintf(stderr, "           %s, %s; the peer allows it\n", entries_text(outcome.entries).c_str(), to_string(outcome.bytes).c_str());
  return 0;
}

struct Running {
  session::Direct& direct;
  const session::CopyRequest& request;
  int signals;
};

// Runs the copy to its end. An interrupt ends it in order: what has arrived is recorded, for the same command to go on from.
int run(const Running& running, const CopyOptions& options, const Globals& globals) {
  auto& [direct, request, signals] = running;
  const Time start = read_clock();
  Progress progress(globals.output, shown(request.sources.front()), start);
  int interrupted = 0;
  bool has_existing = false;
  const auto drain_reports = [&] {
    for (; !direct.reports().empty(); direct.reports().pop_front()) {
      progress.clear();
      has_existing |= direct.reports().front().why.fault == Fault::kDestExists;
      print_report(direct.reports().front(), globals.output);
    }
    for (; !direct.notices().empty(); direct.notices().pop_front()) {
      progress.clear();
      print_notice(direct.notices().front(), globals.output);
    }
    direct.entries().clear();
  };
  while (direct.turn(std::chrono::milliseconds(200), signals)) {
    if (interrupted == 0) {
      interrupted = next_signal(signals);
      if (interrupted != 0) direct.cancel();
    }
    drain_reports();
    progress.show(read_clock(), direct.numbers());
  }
  progress.clear();
  drain_reports();
  if (interrupted != 0) {
    std::fprintf(stderr, "tideway: interrupted; what has arrived is kept; run the same command again to go on from there\n");
    return 128 + interrupted;
  }
  if (!direct.outcome().ok()) return report(with_way_on(direct.outcome().error(), has_existing), globals.output);
  if (options.dry_run) return print_dry_run(direct, request, globals.output);
  const Duration took = progress.elapsed(read_clock());
  const job::Outcome outcome = daemon::to_outcome(direct.outcome().value(), direct.numbers(), took);
  const int exit_code = exit_code_of(outcome, options.error_on_no_transfer ? OnNothing::kError : OnNothing::kFine);
  print_summary(outcome, globals.output, took, exit_code);
  return exit_code;
}

int copy_here(const CopyOptions& options, const Globals& globals) {
  if (!options.deadline.empty() || !options.may_hurt.empty())
    return report({Fault::kUnsupported, "a copy in this process knows of no other job, so it can promise no deadline", "leave --direct out where a gateway answers, or --deadline and --may-hurt"}, globals.output);
  auto request = request_from(options);
  if (!request.ok()) return report(request.error(), globals.output);
  const auto remote = remote_side(request.value());
  if (!remote.ok()) return report(remote.error(), globals.output);
  const auto config = config::load(globals.config);
  if (!config.ok()) return report(config.error(), globals.output);
  const auto peer = config::peer_for(config.value(), remote.value().peer);
  if (!peer.ok()) return report(peer.error(), globals.output);
  auto dialling = config::dialling_gateway(config.value());
  if (!dialling.ok()) return report(dialling.error(), globals.output);
  session::GatewayConfig gateway = std::move(dialling).value();
  if (options.flows > 0) gateway.flows = options.flows;
  gateway.engine.capture = options.capture;
  request.value().staging_ttl = gateway.staging_ttl;
  const auto rate = rate_from(options);
  if (!rate.ok()) return report(rate.error(), globals.output);
  gateway.engine.rate = std::min(gateway.engine.rate, rate.value());
  request.value().options.rate_max = rate.value();
  const session::CopyRequest shown_request = request.value();
  const int signals = open_signal_fd();
  auto direct = session::Direct::copy(gateway, peer.value(), std::move(request).value());
  if (!direct.ok()) return report(direct.error(), globals.output);
  return run({*direct.value(), shown_request, signals}, options, globals);
}

// What only a process of its own can do: it has its own flows and packets, and a dry run leaves no job behind.
bool needs_process(const CopyOptions& options, const Globals& globals) {
  return globals.direct || options.dry_run || options.flows > 0 || !options.capture.empty();
}

int copy_through(const GatewayClient& gateway, const CopyOptions& options, const Globals& globals, Waiting waiting) {
  auto spec = spec_from(options, gateway);
  if (!spec.ok()) return report(spec.error(), globals.output);
  if (waiting == Waiting::kToTheEnd) spec.value().patience = job::Patience::kCommand;
  auto view = gateway.ask_job("POST", "/v1/jobs", api::to_json(spec.value()));
  if (!view.ok()) return report(view.error(), globals.output);
  if (waiting == Waiting::kNot) return print_submitted(view.value().job, globals.output);
  FollowOptions follows{FollowOptions::OnInterrupt::kCancel, options.error_on_no_transfer ? OnNothing::kError : OnNothing::kFine, options.places.front()};
  return follow(gateway, std::move(view).value(), globals, follows);
}

int copy(const CopyOptions& options, const Globals& globals, Waiting waiting) {
  const GatewayClient gateway(globals);
  const bool can_wait_here = waiting == Waiting::kToTheEnd;
  if (can_wait_here && needs_process(options, globals)) return copy_here(options, globals);
  if (can_wait_here && !gateway.is_there()) {
    if (gateway.is_closed_to_us() && !globals.output.quiet)
      std::fprintf(stderr, "tideway: this user may not speak to the gateway at %s, so the copy runs in this process\n  next  join the group of that socket, usually tideway; or add --direct\n",
                   to_display(std::string_view(gateway.socket())).c_str());
    return copy_here(options, globals);
  }
  return copy_through(gateway, options, globals, waiting);
}

}  // namespace

void add_copy(CLI::App& app, Globals& globals, Action& action) {
  auto options = std::make_shared<CopyOptions>();
  auto in_background = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("copy", "Copy files and trees to a peer, or from one");
  verb->footer(std::string(kCopyFooter) +
               "  tideway copy runs/step-9000 wisconsin:ckpt/llm7/step-9000\n"
               "  tideway copy wisconsin:ckpt/llm7/step-9000 /data/restore");
  add_copy_options(*verb, options);
  verb->add_flag("-n,--dry-run", options->dry_run, "Ask the peer, and say what would be done; copy nothing");
  verb->add_option("--flows", options->flows, "Parallel flows; 0 (default) chooses")->type_name("N")->check(CLI::Range(0, 64));
  verb->add_option("--capture", options->capture, "Write the data packets to FILE as pcapng, for Wireshark")->type_name("FILE");
  verb->add_flag("--background", *in_background, "Leave the copy to this machine's gateway and return; tideway jobs watch shows it");
  verb->add_flag("--wait")->description("Stay until the copy has ended (default)")->excludes("--background");
  verb->add_flag("--error-on-no-transfer", options->error_on_no_transfer, "Exit 9 instead of 0 when there was nothing to do");
  add_globals(*verb, globals);
  verb->callback([&globals, &action, options, in_background] {
    action = [&globals, options, in_background] { return copy(*options, globals, *in_background ? Waiting::kNot : Waiting::kToTheEnd); };
  });
}

}  // namespace tideway::cli
