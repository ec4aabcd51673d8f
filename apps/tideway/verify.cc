// SPDX-License-Identifier: Apache-2.0
//
// tideway verify PATH [--scrub] [--signer FILE]
#include "base/amounts.h"
#include "base/clock.h"
#include "session/address.h"
#include "session/verify_tree.h"
#include "scrub.h"
#include "summary.h"
#include "verbs.h"

#include <unistd.h>

#include <optional>

namespace tideway::cli {

namespace {

struct VerifyOptions {
  std::string path, signer;
  bool scrub = false;
};

int verify(const VerifyOptions& options, const Globals& globals) {
  if (const auto place = session::parse_address(options.path); place.ok() && std::holds_alternative<session::RemoteAddress>(place.value()) && access(options.path.c_str(), F_OK) != 0)
    return report({Fault::kUsage, to_display(options.path) + " lies at a peer, and what is verified lies here", "run tideway verify there, on its own path"},
                  globals.output);
  const Time start = read_clock();
  session::VerifyHow how;
  auto progress = std::make_optional<ScrubProgress>(globals.output, start);
  if (options.scrub) {
    yield_to_others();
    how.from = session::ReadFrom::kDevice;
    how.on_progress = [&](Bytes done) { progress->show(done); };
  }
  std::optional<crypto::RootChecker> signer;
  if (!options.signer.empty()) {
    auto opened = crypto::RootChecker::open(options.signer);
    if (!opened.ok()) return report(opened.error(), globals.output);
    how.signer = &signer.emplace(std::move(opened).value());
  }
  const auto result = session::verify_tree(options.path, how);
  progress.reset();
  if (!result.ok()) return report(result.error(), globals.output);
  const session::VerifyReport& found = result.value();
  for (const session::Difference& one : found.differences) {
    if (globals.output.json) JsonLine("entry").text("path", one.path).text("status", "failed").text("code", "hash_mismatch").text("detail", one.what).print();
    else std::printf("%s: %s\n", one.path.c_str(), one.what.c_str());
  }
  const int exit_code = found.is_good() ? 0 : row_of(Fault::kHashMismatch).exit_code;
  if (globals.output.json)
    JsonLine("summary").text("state", found.is_good() ? "verified" : "damaged").text("root", "sha256:" + hex(found.root)).number("entries", found.entries)
        .number("bytes", found.bytes.count()).number("kept", found.kept).number("not_listed", found.not_listed).number("failed", found.differences_seen).text("signed_by", found.signed_by)
        .number("exit", static_cast<uint64_t>(exit_code)).print();
  if (globals.output.quiet) return exit_code;
  std::fprintf(stderr, "%s  %s, %s in %s\n           root sha256:%s\n", found.is_good() ? "verified " : "DAMAGED  ",
               entries_text(found.entries).c_str(), to_string(found.bytes).c_str(), to_string(read_clock() - start).c_str(), hex(found.root).c_str());
  if (!found.signed_by.empty())
    std::fprintf(stderr, "           signed by %s%s\n", found.signed_by.c_str(), signer ? "" : "; not checked, see --signer");
  if (found.kept > 0)
    std::fprintf(stderr, "           %llu files were there before the copy; their content is not in the manifest\n", static_cast<unsigned long long>(found.kept));
  if (found.not_listed > 0)
    std::fprintf(stderr, "           %llu entr%s there and not in the manifest, the first in %s%s\n", static_cast<unsigned long long>(found.not_listed), found.not_listed == 1 ? "y is" : "ies are", found.not_listed_in.c_str(),
                 signer ? "; the signature says nothing of that" : "");
  if (!found.is_good())
    std::fprintf(stderr, "           %llu difference%s\n  next  tideway repair PATH --from PEER:ROOT/PATH, or copy the tree again\n", static_cast<unsigned long long>(found.differences_seen), found.differences_seen == 1 ? "" : "s");
  return exit_code;
}

}  // namespace

void add_verify(CLI::App& app, Globals& globals, Action& action) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* verb = app.add_subcommand("verify", "Re-read a published tree and compare it with its manifest, offline");
  verb->footer("  tideway verify /data/ckpt/llm7/step-9000\n  tideway verify --scrub --signer atlanta.pub /data/ckpt/llm7/step-9000\n\n"
               "Exit code 0: all agrees. 8: something differs, and is named, or the signature is not the one asked for. Else nothing was found out.\n");
  verb->add_option("PATH", options->path, "A directory or file here that a copy published")->required()->type_name("");
  verb->add_flag("--scrub", options->scrub, "Read from the device, not from the page cache, at the lowest priority");
  verb->add_option("--signer", options->signer, "Also check that it was signed, with this public key of the site it came from")->type_name("FILE");
  add_globals(*verb, globals);
  verb->callback([&globals, &action, options] { action = [&globals, options] { return verify(*options, globals); }; });
}

}  // namespace tideway::cli
