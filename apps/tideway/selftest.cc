// SPDX-License-Identifier: Apache-2.0
//
// tideway selftest --dpdk: whether the programs and DPDK work on this machine, in half a minute and without preparations.
#include "base/amounts.h"
#include "session/self_test.h"
#include "signals.h"
#include "verbs.h"

#include <filesystem>

namespace tideway::cli {
namespace {

void print_step(const session::SelfTestStep& step, const OutputConfig& output) {
  const Rate rate = Rate::of(step.bytes, step.took);
  if (output.json) {
    JsonLine line("step");
    line.text("name", step.name).number("entries", step.entries).number("bytes", step.bytes.count());
    line.real("seconds", std::chrono::duration<double>(step.took).count()).number("rate_bits", static_cast<uint64_t>(rate.bits_per_second()));
    line.number("packets_sent", step.packets_sent).number("packets_lost", step.packets_lost).print();
  }
  if (output.quiet) return;
  std::fprintf(stderr, "%-9s  ", step.name.c_str());
  if (step.entries > 0)
    std::fprintf(stderr, "%llu entries, %s, %s in ", static_cast<unsigned long long>(step.entries), to_string(step.bytes).c_str(), to_string(rate).c_str());
  std::fprintf(stderr, "%s\n", to_string(step.took).c_str());
}

int selftest(const Globals& globals) {
  const int signals = open_signal_fd();
  std::error_code failure;
  const std::filesystem::path parent = std::filesystem::temp_directory_path(failure);
  if (failure) return report({Fault::kUsage, "TMPDIR names no directory", "set it to a directory with 500 MB where you may write"}, globals.output);
  session::SelfTestOrder order;
  order.parent = parent.native();
  order.stop_fd = signals;
  order.on_step = [&](const session::SelfTestStep& step) { print_step(step, globals.output); };
  const Status status = session::run_self_test(order);
  if (const int signal = next_signal(signals); signal != 0) {
    std::fprintf(stderr, "tideway: interrupted; nothing is left behind\n");
    return 128 + signal;
  }
  if (!status.ok()) return report(status.error(), globals.output);
  if (globals.output.json) JsonLine("summary").text("state", "passed").number("exit", 0).print();
  if (!globals.output.quiet) std::fprintf(stderr, "passed     DPDK and the programs work here\n");
  return 0;
}

}  // namespace

void add_selftest(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* verb = app.add_subcommand("selftest", "Run the whole stack in this process, on ports joined in memory");
  verb->footer("Needs no privileges, huge pages or configuration; writes 500 MB below TMPDIR and removes them.\n\n  tideway selftest --dpdk");
  verb->add_flag_function("--dpdk", [](int64_t) {}, "Over two DPDK ports (net_ring)")->required();
  add_globals(*verb, globals);
  verb->callback([&globals, &action] { action = [&globals] { return selftest(globals); }; });
}

}  // namespace tideway::cli
