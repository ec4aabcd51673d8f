// SPDX-License-Identifier: Apache-2.0
#include "summary.h"

#include "base/amounts.h"

#include <cstdio>

namespace tideway::cli {

int print_submitted(const job::Job& job, const OutputConfig& output) {
  if (output.json) JsonLine("state").text("job", job.id).text("state", job::to_string(job.state)).print();
  else std::printf("%s\n", job.id.c_str());
  return 0;
}

void print_problem(const job::EntryProblem& problem, const OutputConfig& output) {
  const char* const status = problem.is_skipped ? "skipped" : "failed";
  if (output.json) JsonLine("entry").text("path", problem.path).text("status", status).text("code", problem.code).text("detail", problem.detail).print();
  else if (!output.quiet || !problem.is_skipped) std::fprintf(stderr, "tideway: %s: %s (%s)\n", status, problem.detail.c_str(), problem.code.c_str());
}

std::string entries_text(uint64_t entries) { return std::to_string(entries) + (entries == 1 ? " entry" : " entries"); }

Error with_way_on(Error error, bool has_existing) {
  if (has_existing && error.fault == Fault::kEntriesFailed && error.next.empty())
    error.next = "copy to a new directory, or let the whole tree take the place of the one there: --overwrite always --publish rename";
  return error;
}

void print_summary(const job::Outcome& outcome, const OutputConfig& output, Duration took, int exit_code) {
  const double seconds = std::chrono::duration<double>(took).count();
  if (output.json) {
    JsonLine line("summary");
    line.text("state", "published").text("root", "sha256:" + hex(outcome.root)).number("entries", outcome.entries);
    line.number("failed", outcome.failed).number("skipped", outcome.skipped).number("kept", outcome.kept).number("leaves_rejected", outcome.leaves_rejected);
    line.number("bytes", outcome.bytes.count()).number("bytes_sent", outcome.bytes_sent.count()).number("bytes_held", outcome.bytes_held.count()).real("seconds", seconds);
    line.real("ratio", outcome.ratio).real("loss", outcome.loss).number("exit", static_cast<uint64_t>(exit_code)).print();
  }
  if (output.quiet) return;
  char figures[160];
  std::snprintf(figures, sizeof figures, "%s, ratio %.2f, loss %s, %.2f s", to_string(Rate::of(outcome.bytes_sent, took)).c_str(), outcome.ratio,
                percent_to_string(outcome.loss).c_str(), seconds);
  std::fprintf(stderr, "published  %s, %s", entries_text(outcome.entries).c_str(), to_string(outcome.bytes).c_str());
  if (outcome.kept > 0) std::fprintf(stderr, " (%llu %s there already)", static_cast<unsigned long long>(outcome.kept), outcome.kept == 1 ? "file was" : "files were");
  if (outcome.bytes_held > 0_B) std::fprintf(stderr, " (%s of it by an earlier run)", to_string(outcome.bytes_held).c_str());
  std::fprintf(stderr, "\n           %s\n           root sha256:%s\n", figures, hex(outcome.root).c_str());
  if (outcome.leaves_rejected > 0)
    std::fprintf(stderr, "repaired   %llu leaves came with a wrong hash, or back from the device with one, and were sent again\n",
                 static_cast<unsigned long long>(outcome.leaves_rejected));
  if (outcome.skipped > 0) std::fprintf(stderr, "skipped    %llu special files or unsafe links\n", static_cast<unsigned long long>(outcome.skipped));
}

int exit_code_of(const job::Outcome& outcome, OnNothing on_nothing) {
  if (outcome.skipped > 0) return row_of(Fault::kSpecialFile).exit_code;
  if (on_nothing == OnNothing::kError && outcome.bytes_sent == 0_B && outcome.kept > 0) return row_of(Fault::kNothingToDo).exit_code;
  return 0;
}

}  // namespace tideway::cli
