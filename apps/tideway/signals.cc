// SPDX-License-Identifier: Apache-2.0
#include "signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace tideway::cli {

int open_signal_fd() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int next_signal(int signal_fd) {
  signalfd_siginfo info{};
  return read(signal_fd, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace tideway::cli
