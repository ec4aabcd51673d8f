// SPDX-License-Identifier: Apache-2.0
//
// How a copy ended, the same whether this process ran it or a gateway.
// Thread: main.
#pragma once
#include "job/job.h"
#include "output.h"

#include <string>

namespace tideway::cli {

// What was taken in: its id on standard output.
int print_submitted(const job::Job& job, const OutputConfig& output);
void print_problem(const job::EntryProblem& problem, const OutputConfig& output);
// "1 entry", "3 entries".
std::string entries_text(uint64_t entries);
// What to do where nothing was published because files at the destination differ.
Error with_way_on(Error error, bool has_existing);
// `took`: as the user waited.
void print_summary(const job::Outcome& outcome, const OutputConfig& output, Duration took, int exit_code);
enum class OnNothing : uint8_t { kFine, kError };
int exit_code_of(const job::Outcome& outcome, OnNothing on_nothing);

}  // namespace tideway::cli
