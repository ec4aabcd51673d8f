// SPDX-License-Identifier: Apache-2.0
//
// tideway copy SRC... DST
#include "base/amounts.h"
#include "base/clock.h"
#include "config/config_file.h"
#include "config/gateway.h"
#include "signals.h"
#include "verbs.h"

#include <fstream>
#include <iostream>
#include <iterator>

namespace tideway::cli {
namespace {

struct CopyOptions {
  std::vector<std::string> places;
  std::vector<messages::Filter> filters;
  std::string files_from, bwlimit, compress = "auto", verify = "memory", capture, publish = "auto";
  std::vector<std::string> last;
  bool dry_run = false, null_separated = false, direct = false, error_on_no_transfer = false;
  uint32_t flows = 0;
};

Result<messages::TransferOptions> transfer_options(const CopyOptions& options) {
  messages::TransferOptions wire;
  wire.dry_run = options.dry_run;
  if (options.compress == "off") {
    wire.compress = messages::CompressMode::kOff;
  } else if (options.compress.starts_with("zstd:")) {
    wire.compress = messages::CompressMode::kZstd;
    const auto level = config::parse_zstd_level(options.compress.substr(5));
    if (!level.ok()) return Error{Fault::kUsage, "--compress " + options.compress + ": " + level.error().what, level.error().next};
    wire.level = level.value();
  } else if (options.compress != "auto") {
    return Error{Fault::kUsage, "--compress " + options.compress + " is not known", "write auto, off, or zstd:N with N from 1 to 19"};
  }
  if (options.verify == "wire") wire.verify = messages::VerifyLevel::kWire;
  else if (options.verify == "readback") wire.verify = messages::VerifyLevel::kReadback;
  else if (options.verify != "memory")
    return Error{Fault::kUsage, "--verify " + options.verify + " is not known", "write wire, memory or readback"};
  if (options.publish == "each")
    return Error{Fault::kUnsupported, "--publish each is not there yet in this version", "use --publish marker"};
  if (options.publish == "rename") wire.publish = messages::PublishForm::kRename;
  else if (options.publish == "marker") wire.publish = messages::PublishForm::kMarker;
  else if (options.publish != "auto")
    return Error{Fault::kUsage, "--publish " + options.publish + " is not known", "write auto, rename or marker"};
  for (const std::string& pattern : options.last)
    if (pattern.empty() || pattern.size() > kNameComponentMax || pattern.find('/') != pattern.npos)
      return Error{Fault::kUsage, "--last \"" + to_display(pattern) + "\" cannot be the last part of a name", "write a name, with * and ?, without /"};
  if (options.last.size() > messages::kLastMax)
    return Error{Fault::kUsage, "--last is given " + std::to_string(options.last.size()) + " times", "join them with * and ?, to at most " + std::to_string(messages::kLastMax)};
  wire.last = options.last;
  return wire;
}

Result<std::vector<ObjectName>> read_names(const CopyOptions& options) {
  std::ifstream file;
  if (options.files_from != "-") {
    file.open(options.files_from, std::ios::binary);
    if (!file) return Error{Fault::kUsage, "--files-from: cannot read " + to_display(options.files_from), "name a readable file, or - for standard input"};
  }
  std::istream& in = options.files_from == "-" ? std::cin : file;
  std::vector<ObjectName> names;
  for (std::string line; std::getline(in, line, options.null_separated ? '\0' : '\n');) {
    if (line.empty()) continue;
    auto name = ObjectName::from_text(line);
    if (!name.ok()) return Error{Fault::kUsage, "--files-from: " + name.error().what, name.error().next};
    names.push_back(std::move(name).value());
  }
  return names;
}

Result<session::CopyRequest> request_from(const CopyOptions& options) {
  session::CopyRequest request;
  if (options.places.size() < 2)
    return Error{Fault::kUsage, "copy needs at least one source and a destination", "tideway copy SRC... DST"};
  for (const std::string& place : options.places) {
    auto address = session::parse_address(place);
    if (!address.ok()) return std::move(address).error();
    request.sources.push_back(std::move(address).value());
  }
  request.destination = std::move(request.sources.back());
  request.sources.pop_back();
  const auto wire = transfer_options(options);
  if (!wire.ok()) return wire.error();
  request.options = wire.value();
  request.filters = options.filters;
  if (options.files_from.empty()) return request;
  auto names = read_names(options);
  if (!names.ok()) return std::move(names).error();
  request.only = std::move(names).value();
  return request;
}

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
  const bool was_skipped = is_skip(report.why.fault);
  if (output.json)
    JsonLine("entry").text("path", report.path).text("status", was_skipped ? "skipped" : "failed").text("code", report.why.name()).text("detail", report.why.what).print();
  else if (!output.quiet || !was_skipped)
    std::fprintf(stderr, "tideway: %s: %s (%s)\n", was_skipped ? "skipped" : "failed", report.why.what.c_str(), std::string(report.why.name()).c_str());
}

void print_summary(const session::Direct& direct, const OutputConfig& output, Duration took, int exit_code) {
  const session::CopyNumbers numbers = direct.numbers();
  const auto& outcome = direct.outcome().value();
  const double seconds = std::chrono::duration<double>(took).count();
  const double ratio = numbers.bytes_packed > 0_B ? static_cast<double>(numbers.bytes_raw.count()) / static_cast<double>(numbers.bytes_packed.count()) : 1;
  const double loss = numbers.packets_sent > 0 ? static_cast<double>(numbers.packets_lost) / static_cast<double>(numbers.packets_sent) : 0;
  if (output.json) {
    JsonLine line("summary");
    line.text("state", "published").text("root", "sha256:" + hex(outcome.root)).number("entries", outcome.entries);
    line.number("failed", numbers.failed).number("skipped", numbers.skipped).number("kept", numbers.kept).number("leaves_rejected", numbers.leaves_rejected);
    line.number("bytes", outcome.bytes.count()).number("bytes_sent", numbers.bytes_needed.count()).number("bytes_held", numbers.bytes_held.count()).real("seconds", seconds);
    line.real("ratio", ratio).real("loss", loss).number("exit", static_cast<uint64_t>(exit_code)).print();
  }
  if (output.quiet) return;
  char figures[160];
  std::snprintf(figures, sizeof figures, "%s, ratio %.2f, loss %s, %.2f s",
                to_string(Rate::of(numbers.bytes_needed, took)).c_str(), ratio, percent_to_string(loss).c_str(), seconds);
  std::fprintf(stderr, "published  %llu entries, %s", static_cast<unsigned long long>(outcome.entries), to_string(outcome.bytes).c_str());
  if (numbers.kept > 0) std::fprintf(stderr, " (%llu files were there already)", static_cast<unsigned long long>(numbers.kept));
  if (numbers.bytes_held > 0_B) std::fprintf(stderr, " (%s of it by an earlier run)", to_string(numbers.bytes_held).c_str());
  std::fprintf(stderr, "\n           %s\n           root sha256:%s\n", figures, hex(outcome.root).c_str());
  if (numbers.leaves_rejected > 0)
    std::fprintf(stderr, "repaired   %llu leaves came with a wrong hash, or back from the device with one, and were sent again\n", static_cast<unsigned long long>(numbers.leaves_rejected));
  if (numbers.skipped > 0) std::fprintf(stderr, "skipped    %llu special files or unsafe links\n", static_cast<unsigned long long>(numbers.skipped));
}

int print_dry_run(const session::Direct& direct, const session::CopyRequest& request, const OutputConfig& output) {
  const auto& outcome = direct.outcome().value();
  if (output.json) JsonLine("summary").text("state", "dry_run").number("entries", outcome.entries).number("bytes", outcome.bytes.count()).number("exit", 0).print();
  for (const session::Address& source : request.sources) std::fprintf(stderr, "would copy %s to %s\n", shown(source).c_str(), shown(request.destination).c_str());
  std::fprintf(stderr, "           %llu entries, %s; the peer allows it\n", static_cast<unsigned long long>(outcome.entries), to_string(outcome.bytes).c_str());
  return 0;
}

int exit_code_of(const session::CopyNumbers& numbers, const CopyOptions& options) {
  if (numbers.skipped > 0) return row_of(Fault::kSpecialFile).exit_code;
  if (options.error_on_no_transfer && numbers.bytes_needed == 0_B && numbers.kept > 0) return row_of(Fault::kNothingToDo).exit_code;
  return 0;
}

struct Running {
  session::Direct& direct;
  const session::CopyRequest& request;
  int signals;
};

// Runs the copy to its end. A first interrupt cancels it cleanly, so that the peer removes what is unfinished.
int run(const Running& running, const CopyOptions& options, const Globals& globals) {
  auto& [direct, request, signals] = running;
  const Time start = read_clock();
  Progress progress(globals.output, shown(request.sources.front()), start);
  int interrupted = 0;
  const auto drain_reports = [&] {
    for (; !direct.reports().empty(); direct.reports().pop_front()) {
      progress.clear();
      print_report(direct.reports().front(), globals.output);
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
    std::fprintf(stderr, "tideway: interrupted; nothing was published; run the same command again to go on from here\n");
    return 128 + interrupted;
  }
  if (!direct.outcome().ok()) return report(direct.outcome().error(), globals.output);
  if (options.dry_run) return print_dry_run(direct, request, globals.output);
  const int exit_code = exit_code_of(direct.numbers(), options);
  print_summary(direct, globals.output, progress.elapsed(read_clock()), exit_code);
  return exit_code;
}

int copy(const CopyOptions& options, const Globals& globals) {
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
  if (!options.bwlimit.empty()) {
    const auto rate = parse_rate(options.bwlimit);
    if (!rate.ok()) return report({Fault::kUsage, "--bwlimit: " + rate.error().what, rate.error().next}, globals.output);
    gateway.engine.rate = std::min(gateway.engine.rate, rate.value());
    request.value().options.rate_max = rate.value();
  }
  const session::CopyRequest shown_request = request.value();
  const int signals = open_signal_fd();
  auto direct = session::Direct::copy(gateway, peer.value(), std::move(request).value());
  if (!direct.ok()) return report(direct.error(), globals.output);
  return run({*direct.value(), shown_request, signals}, options, globals);
}

}  // namespace

void add_copy(CLI::App& app, Globals& globals, Action& action) {
  auto options = std::make_shared<CopyOptions>();
  CLI::App* verb = app.add_subcommand("copy", "Copy files and trees to a peer, or from one");
  verb->footer(
      "Addresses are peer:root/path, or a path on this machine. One directory: DST becomes the tree. One file: DST is its\n"
      "new name, unless DST ends in / or is a directory. Several sources: DST is a directory.\n\n"
      "  tideway copy runs/step-9000 wisconsin:ckpt/llm7/step-9000\n"
      "  tideway copy wisconsin:ckpt/llm7/step-9000 /data/restore/");
  verb->add_option("place", options->places, "SRC... DST")->required()->type_name("")->expected(1, -1);
  verb->add_flag("-n,--dry-run", options->dry_run, "Say what would be done, copy nothing");
  const auto filter = [options](messages::FilterKind kind) {
    return [options, kind](const std::string& pattern) { options->filters.push_back({kind, pattern}); };
  };
  verb->add_option_function<std::string>("--include", filter(messages::FilterKind::kInclude), "Copy what matches PATTERN; the first match of all filters wins")->type_name("PATTERN")->trigger_on_parse();
  verb->add_option_function<std::string>("--exclude", filter(messages::FilterKind::kExclude), "Leave out what matches PATTERN")->type_name("PATTERN")->trigger_on_parse();
  verb->add_option("--files-from", options->files_from, "Copy only the names listed in FILE, below the source; - is standard input")->type_name("FILE");
  verb->add_flag("-0", options->null_separated, "Names in --files-from end with NUL");
  verb->add_option("--bwlimit", options->bwlimit, "Send at most RATE, such as 2Gbit or 250MB; off is no limit")->type_name("RATE")->envname("TIDEWAY_BWLIMIT");
  verb->add_option("--flows", options->flows, "Parallel flows; 0 chooses")->type_name("N")->check(CLI::Range(0, 64));
  verb->add_option("--compress", options->compress, "auto, off or zstd:N")->type_name("MODE");
  verb->add_option("--verify", options->verify, "wire, memory or readback: how far along the way hashes are compared")->type_name("LEVEL");
  verb->add_option("--publish", options->publish, "auto; rename: a new tree appears as a whole; marker: part by part, markers of completion last")->type_name("FORM");
  verb->add_option_function<std::string>("--last", [options](const std::string& pattern) { options->last.push_back(pattern); }, "What is called so appears after all else, besides the markers of known formats")->type_name("PATTERN")->trigger_on_parse();
  verb->add_option("--capture", options->capture, "Write the data packets to FILE as pcapng, for Wireshark")->type_name("FILE");
  verb->add_flag("--direct", options->direct, "Run in this process and dial the peer's daemon (always so in this version)");
  verb->add_flag("--error-on-no-transfer", options->error_on_no_transfer, "Exit 9 instead of 0 when nothing was to do");
  add_globals(*verb, globals);
  verb->callback([&globals, &action, options] { action = [&globals, options] { return copy(*options, globals); }; });
}

}  // namespace tideway::cli
