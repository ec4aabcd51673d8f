// SPDX-License-Identifier: Apache-2.0
//
// tideway repair PATH --from PEER:ROOT/PATH
#include "base/amounts.h"
#include "base/clock.h"
#include "config/config_file.h"
#include "config/gateway.h"
#include "scrub.h"
#include "session/verify_tree.h"
#include "signals.h"
#include "verbs.h"

namespace tideway::cli {
namespace {

constexpr size_t kDamagedMax = 100'000;  // files; with more of them, copying the tree again is the shorter way

struct RepairOptions {
  std::string path, from;
};

using Damage = std::map<ObjectId, std::vector<uint32_t>>;

Result<session::VerifyReport> scrub(const std::string& path, const Globals& globals, Damage& damage) {
  ScrubProgress progress(globals.output, read_clock());
  session::VerifyHow how{.from = session::ReadFrom::kDevice, .on_progress = [&](Bytes done) { progress.show(done); }};
  how.on_damaged = [&](const session::DamagedFile& file) {
    if (damage.size() <= kDamagedMax) damage[file.entry.number] = file.leaves;
  };
  return session::verify_tree(path, how);
}

// To its end. An error, or nothing.
std::optional<Error> fetch(session::Direct& direct, const std::string& title, const Globals& globals) {
  const int signals = open_signal_fd();
  Progress progress(globals.output, title, read_clock());
  bool is_cancelled = false;
  while (direct.turn(std::chrono::milliseconds(200), signals)) {
    if (!is_cancelled && next_signal(signals) != 0) {
      direct.cancel();
      is_cancelled = true;
    }
    progress.show(read_clock(), direct.numbers());
  }
  progress.clear();
  return direct.outcome().ok() ? std::nullopt : std::optional(direct.outcome().error());
}

int print_result(const session::VerifyReport& after, Bytes fetched, const Globals& globals) {
  const std::string state = !after.is_good() ? "damaged" : fetched == 0_B ? "sound" : "repaired";
  const int exit_code = after.is_good() ? 0 : row_of(Fault::kHashMismatch).exit_code;
  if (globals.output.json)
    JsonLine("summary").text("state", state).text("root", "sha256:" + hex(after.root))
        .number("entries", after.entries).number("bytes", after.bytes.count()).number("bytes_sent", fetched.count())
        .number("failed", after.differences_seen).number("exit", static_cast<uint64_t>(exit_code)).print();
  for (const session::Difference& one : after.differences)
    if (!globals.output.json) std::printf("%s: %s\n", one.path.c_str(), one.what.c_str());
  if (globals.output.quiet) return exit_code;
  std::fprintf(stderr, "%-9s  %s fetched\n           root sha256:%s\n", after.is_good() ? state.c_str() : "DAMAGED", fetched == 0_B ? "nothing" : to_string(fetched).c_str(), hex(after.root).c_str());
  if (!after.is_good())
    std::fprintf(stderr, "           %llu differences are left\n  next  directories, links, permissions and empty files are not repaired: copy the tree again\n",
                 static_cast<unsigned long long>(after.differences_seen));
  return exit_code;
}

int repair(const RepairOptions& options, const Globals& globals) {
  const auto from = session::parse_address(options.from);
  const auto* remote = from.ok() ? std::get_if<session::RemoteAddress>(&from.value()) : nullptr;
  if (remote == nullptr)
    return report({Fault::kUsage, "--from " + to_display(options.from) + " names no peer", "write --from PEER:ROOT/PATH"}, globals.output);
  Damage damage;
  const auto before = scrub(options.path, globals, damage);
  if (!before.ok()) return report(before.error(), globals.output);
  if (damage.empty()) return print_result(before.value(), {}, globals);
  if (damage.size() > kDamagedMax)
    return report({Fault::kHashMismatch, "more than " + std::to_string(kDamagedMax) + " files are damaged", "copy the tree again"}, globals.output);
  const auto config = config::load(globals.config);
  if (!config.ok()) return report(config.error(), globals.output);
  const auto peer = config::peer_for(config.value(), remote->peer);
  if (!peer.ok()) return report(peer.error(), globals.output);
  auto gateway = config::dialling_gateway(config.value());
  if (!gateway.ok()) return report(gateway.error(), globals.output);
  auto direct = session::Direct::repair(gateway.value(), peer.value(), {*remote, options.path, std::move(damage)});
  if (!direct.ok()) return report(direct.error(), globals.output);
  if (const auto error = fetch(*direct.value(), session::to_display(*remote), globals)) return report(*error, globals.output);
  const Bytes fetched = direct.value()->numbers().bytes_needed;
  const auto after = scrub(options.path, globals, damage);
  return after.ok() ? print_result(after.value(), fetched, globals) : report(after.error(), globals.output);
}

}  // namespace

void add_repair(CLI::App& app, Globals& globals, Action& action) {
  auto options = std::make_shared<RepairOptions>();
  CLI::App* verb = app.add_subcommand("repair", "Fetch the damaged parts of a published tree from a copy of it, and nothing else");
  verb->footer("  tideway repair /data/ckpt/llm7/step-9000 --from wisconsin:ckpt/llm7/step-9000\n\n"
               "Scrubs PATH, fetches what is damaged of its files, and scrubs again. To look only: tideway verify --scrub PATH.\n");
  verb->add_option("PATH", options->path, "A directory or file that a copy published")->required()->type_name("");
  verb->add_option("--from", options->from, "PEER:ROOT/PATH of a copy with the same root hash")->required()->type_name("ADDRESS");
  add_globals(*verb, globals);
  verb->callback([&globals, &action, options] { action = [&globals, options] { return repair(*options, globals); }; });
}

}  // namespace tideway::cli
