// SPDX-License-Identifier: Apache-2.0
//
// The path bench with a process for each end, for backends that join two processes and not two ports
// of one. The sink is a child of the source: made by fork before either has a thread, it knows the
// order already, so what passes between them is what only one can know (the ports each has bound,
// when to start, what was measured, why it failed), over a pair of sockets. A process that dies
// closes its socket, which ends the other. Thread: control, the only one of its process.
#pragma once
#include "engine/path_bench.h"

namespace tideway::engine {

// Errors: those of run_path_bench.
Result<PathBenchNumbers> run_path_processes(const PathBenchOrder& order);

}  // namespace tideway::engine
