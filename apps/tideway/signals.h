// SPDX-License-Identifier: Apache-2.0
//
// SIGINT and SIGTERM as something a loop can wait for.
// Thread: main.
#pragma once

namespace tideway::cli {

// A descriptor that is readable when one has come. Call it before any thread starts, so that none of them gets the signal.
int open_signal_fd();
// The signal that came; 0: none has.
int next_signal(int signal_fd);

}  // namespace tideway::cli
