// SPDX-License-Identifier: Apache-2.0
//
// tideway audit verify: checks the chain of an audit log.
#include "crypto/sha256.h"
#include "daemon/audit_file.h"
#include "verbs.h"

#include <cstdio>
#include <optional>

namespace tideway::cli {
namespace {

struct Order {
  std::vector<std::string> files;
  std::optional<std::string> last;  // hash of the last line, noted elsewhere
};

Result<std::optional<Hash256>> parse_last(const std::optional<std::string>& text) {
  if (!text) return std::optional<Hash256>();
  if (const auto hash = crypto::parse_sha256_text(*text)) return hash;
  return Error{Fault::kUsage, "--last \"" + to_display(*text) + "\" is no hash of a line", "write sha256: and 64 hex digits, as in the line audit_end of the gateway's own log"};
}

int verify(const Order& order, const OutputConfig& output) {
  const auto last = parse_last(order.last);
  if (!last.ok()) return report(last.error(), output);
  const auto check = daemon::check_audit_files(order.files);
  if (!check.ok()) return report(check.error(), output);
  const daemon::ChainCheck& chain = check.value();
  if (chain.lines() == 0 && !last.value())  // nothing is wrong with it, and nothing proven: all of it may have been cut off
    return report({Fault::kNothingToDo, to_display(order.files.back()) + ": there is no line to check", "name the log of a gateway that has run, state_dir/audit.jsonl, or after a rotation all of its parts"}, output);
  const std::string hash = crypto::to_sha256_text(chain.end().hash);
  if (last.value() && *last.value() != chain.end().hash)
    return report({Fault::kHashMismatch, to_display(order.files.back()) + ": its last line (seq " + std::to_string(chain.end().sequence) + ") has the hash " + hash +
                       ", not the one that was noted",
                   "lines are missing at its end, or the last one was changed; if it only has new lines since, verify with a newer hash"},
                  output);
  if (output.json)
    return JsonLine("audit").number("lines", chain.lines()).number("first_seq", chain.first()).number("last_seq", chain.end().sequence).text("last", hash).print(), 0;
  std::printf("OK    %llu lines, seq %llu to %llu, last %s\n", static_cast<unsigned long long>(chain.lines()), static_cast<unsigned long long>(chain.first()),
              static_cast<unsigned long long>(chain.end().sequence), hash.c_str());
  if (chain.first() > 1) std::printf("NOTE  it begins at seq %llu; name the files before it first to check where it goes on\n", static_cast<unsigned long long>(chain.first()));
  if (!last.value()) std::printf("NOTE  lines cut from its end, or a change of the last one, show only with --last and a hash that was noted elsewhere\n");
  return 0;
}

}  // namespace

void add_audit(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* group = app.add_subcommand("audit", "Check an audit log");
  group->require_subcommand(1);
  auto order = std::make_shared<Order>();
  CLI::App* check = group->add_subcommand("verify", "Find changed, missing and moved lines of an audit log");
  check->footer("  tideway audit verify /var/lib/tideway/audit.jsonl.1 /var/lib/tideway/audit.jsonl\n\n"
                "Exit code 0: the chain holds. 8: it does not, and the line is named. 9: there is no line.\n");
  check->add_option("FILE", order->files, "The log; rotated parts first, oldest first")->required()->type_name("");
  check->add_option("--last", order->last, "Hash of the last line, as the gateway's own log (audit_end) or somebody else noted it")->type_name("sha256:HEX");
  add_globals(*check, globals);
  check->callback([&globals, &action, order] { action = [&globals, order] { return verify(*order, globals.output); }; });
}

}  // namespace tideway::cli
