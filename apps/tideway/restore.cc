// SPDX-License-Identifier: Apache-2.0
//
// tideway restore ADDRESS DIR: brings the newest checkpoint of a run back, or the one of a step, from whichever peer has it.
#include "api/checkpoint_json.h"
#include "base/clock.h"
#include "config/config_file.h"
#include "config/gateway.h"
#include "daemon/job_runner.h"
#include "follow.h"
#include "session/copy_words.h"
#include "session/direct.h"
#include "session/replicas.h"
#include "signals.h"
#include "verbs.h"

namespace tideway::cli {
namespace {

constexpr std::string_view kAny = "any";

struct RestoreOptions {
  std::string from, to, verify = "memory";
  std::optional<uint64_t> step;
  bool latest = false, fallback = false;
};

// ---- through the gateway ------------------------------------------------------------------------------------------------

int restore_through(const GatewayClient& gateway, const RestoreOptions& options, const Globals& globals) {
  api::RestoreRequest request;
  request.from = options.from;
  request.step = options.step;
  request.verify = options.verify;
  request.patience = job::Patience::kCommand;
  if (options.fallback) request.fallback = api::RestoreRequest::Fallback::kToOlder;
  auto place = gateway.place(options.to);
  if (!place.ok()) return report(place.error(), globals.output);
  request.destination = std::move(place).value();
  const auto body = gateway.ask("POST", "/v1/restore", api::to_json(request));
  if (!body.ok()) return report(body.error(), globals.output);
  const auto id = api::parse_accepted(body.value());
  if (!id.ok()) return report(id.error(), globals.output);
  auto job = gateway.job(id.value());
  if (!job.ok()) return report(job.error(), globals.output);
  return follow(gateway, std::move(job).value(), globals, {FollowOptions::OnInterrupt::kCancel, OnNothing::kFine, options.from});
}

// ---- in this process ------------------------------------------------------------------------------------------------------

struct Peers {
  session::GatewayConfig gateway;
  std::vector<session::PeerConfig> peers;  // to be asked
};

Result<Peers> peers_for(const session::RemoteAddress& run, const Globals& globals) {
  const auto config = config::load(globals.config);
  if (!config.ok()) return config.error();
  auto gateway = config::dialling_gateway(config.value());
  if (!gateway.ok()) return std::move(gateway).error();
  Peers asked{std::move(gateway).value(), {}};
  for (const config::Peer& peer : config.value().peers) {
    if (run.peer != kAny && run.peer != peer.name) continue;
    auto dialled = config::peer_for(config.value(), peer.name);
    if (!dialled.ok()) return std::move(dialled).error();
    asked.peers.push_back(std::move(dialled).value());
  }
  if (!asked.peers.empty()) return asked;
  return run.peer == kAny ? Error{Fault::kUsage, "the configuration names no peer", "add a [[peer]]"} : config::peer_for(config.value(), run.peer).error();
}

// Those that could be asked. Errors: none could.
Result<std::vector<session::Replica>> find_replicas(const Peers& peers, const session::RemoteAddress& run) {
  std::vector<session::Replica> found;
  std::optional<Error> trouble;
  for (const session::PeerConfig& peer : peers.peers) {
    session::RemoteAddress there = run;
    there.peer = peer.name;
    session::ReplicaList list(session::to_display(there));
    auto direct = session::Direct::list(peers.gateway, peer, there, session::kReplicaDepth);
    if (!direct.ok()) {
      trouble = direct.error();
      continue;
    }
    Status status = success();
    const auto take = [&] {
      for (; !direct.value()->entries().empty(); direct.value()->entries().pop_front()) {
        if (!status.ok()) continue;
        status = list.add(direct.value()->entries().front());
        if (!status.ok()) direct.value()->cancel();
      }
    };
    while (direct.value()->turn(std::chrono::milliseconds(200))) take();
    take();
    if (!status.ok()) trouble = status.error();
    else if (!direct.value()->outcome().ok()) trouble = direct.value()->outcome().error();
    else std::ranges::move(list.replicas(), std::back_inserter(found));
  }
  if (found.empty() && trouble) return *trouble;
  return found;
}

struct Attempt {
  const session::Replica& replica;
  const RestoreOptions& options;
  int signals;
};

// Errors: why it did not come from there.
Result<int> restore_from(const Attempt& attempt, const Peers& peers, const Globals& globals) {
  session::CopyRequest request;
  auto source = session::parse_address(attempt.replica.source);
  if (!source.ok()) return std::move(source).error();
  const std::string peer_name = std::get<session::RemoteAddress>(source.value()).peer;
  request.sources.push_back(std::move(source).value());
  request.destination = session::LocalAddress{attempt.options.to};
  const auto options = session::options_from({"auto", attempt.options.verify, "rename", {}});
  if (!options.ok()) return options.error();
  request.options = options.value();
  request.transfer_class = "restore";
  request.staging_ttl = peers.gateway.staging_ttl;
  const auto peer = std::ranges::find(peers.peers, peer_name, &session::PeerConfig::name);
  auto direct = session::Direct::copy(peers.gateway, *peer, std::move(request));
  if (!direct.ok()) return std::move(direct).error();
  const Time start = read_clock();
  Progress progress(globals.output, attempt.replica.source, start);
  int interrupted = 0;
  while (direct.value()->turn(std::chrono::milliseconds(200), attempt.signals)) {
    if (interrupted == 0 && (interrupted = next_signal(attempt.signals)) != 0) direct.value()->cancel();
    for (; !direct.value()->reports().empty(); direct.value()->reports().pop_front()) {
      const auto& why = direct.value()->reports().front().why;
      progress.clear();
      print_problem({direct.value()->reports().front().path, std::string(why.name()), why.what, is_skip(why.fault)}, globals.output);
    }
    progress.show(read_clock(), direct.value()->numbers());
  }
  progress.clear();
  if (interrupted != 0) return 128 + interrupted;
  if (!direct.value()->outcome().ok()) return direct.value()->outcome().error();
  const Duration took = progress.elapsed(read_clock());
  const job::Outcome outcome = daemon::to_outcome(direct.value()->outcome().value(), direct.value()->numbers(), took);
  const int exit_code = exit_code_of(outcome, OnNothing::kFine);
  print_summary(outcome, globals.output, took, exit_code);
  return exit_code;
}

int restore_here(const RestoreOptions& options, const Globals& globals) {
  const auto address = session::parse_address(options.from);
  if (!address.ok()) return report(address.error(), globals.output);
  const auto* run = std::get_if<session::RemoteAddress>(&address.value());
  if (run == nullptr) return report({Fault::kUsage, to_display(options.from) + " names no peer", "write peer:root/run, or any:root/run"}, globals.output);
  const auto peers = peers_for(*run, globals);
  if (!peers.ok()) return report(peers.error(), globals.output);
  auto found = find_replicas(peers.value(), *run);
  if (!found.ok()) return report(found.error(), globals.output);
  const auto chosen = session::choose(found.value(), {options.step, options.fallback ? session::OlderToo::kYes : session::OlderToo::kNo});
  const std::string older = options.fallback || chosen.empty() ? std::string() : session::source_before(std::move(found).value(), chosen.front().step);
  Error why{Fault::kSourceMissing, (options.step ? "step " + std::to_string(*options.step) : std::string("a checkpoint")) + " of " + to_display(options.from) + " is published at none of the peers",
            "see tideway ls for what is there"};
  const int signals = open_signal_fd();
  for (const session::Replica& replica : chosen) {
    auto ended = restore_from({replica, options, signals}, peers.value(), globals);
    if (ended.ok()) return ended.value();
    why = std::move(ended).error();
    if (why.code() == ErrorCode::kStorage || why.code() == ErrorCode::kInvalid) break;  // it would be the same with any of them
    if (!globals.output.quiet) std::fprintf(stderr, "tideway: not from %s: %s (%s)\n", to_display(replica.source).c_str(), why.what.c_str(), std::string(why.name()).c_str());
  }
  return report(job::with_older(std::move(why), older), globals.output);
}

int restore(const RestoreOptions& options, const Globals& globals) {
  if (options.latest == options.step.has_value())
    return report({Fault::kUsage, "it is not said which checkpoint", "add --latest, or --step N"}, globals.output);
  const GatewayClient gateway(globals);
  return globals.direct || !gateway.is_there() ? restore_here(options, globals) : restore_through(gateway, options, globals);
}

}  // namespace

void add_restore(CLI::App& app, Globals& globals, Action& action) {
  auto options = std::make_shared<RestoreOptions>();
  CLI::App* verb = app.add_subcommand("restore", "Bring back the newest checkpoint of a run, or that of a step");
  verb->footer("ADDRESS is PEER:ROOT/RUN, or any:ROOT/RUN for whichever peer has it. DIR becomes the checkpoint and must not exist.\n"
               "When a peer is lost on the way, the next one that has the checkpoint goes on.\n\n"
               "  tideway restore any:ckpt/runs/llm7 --latest /data/ckpt/restore/llm7");
  verb->add_option("ADDRESS", options->from, "PEER:ROOT/RUN or any:ROOT/RUN")->required()->type_name("");
  verb->add_option("DIR", options->to, "What the checkpoint becomes")->required()->type_name("");
  verb->add_flag("--latest", options->latest, "The newest one that is published");
  verb->add_option("--step", options->step, "The one of step N")->type_name("N");
  verb->add_flag("--fallback", options->fallback, "An older one, if that one cannot be had undamaged");
  verb->add_option("--verify", options->verify, "wire, memory (default) or readback, as for copy")->type_name("LEVEL");
  add_globals(*verb, globals);
  verb->callback([&globals, &action, options] { action = [&globals, options] { return restore(*options, globals); }; });
}

}  // namespace tideway::cli
