// SPDX-License-Identifier: Apache-2.0
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/log.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tideway::daemon {
namespace {

constexpr Duration kTurnMax = std::chrono::seconds(10);  // nothing of ours is due later without a wake-up

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::start(session::GatewayConfig config) {
  // Blocked before any thread exists, so that all inherit it and only our descriptor sees them.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);  // reload comes later; until then it must not end the service
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0)
    return Error{Fault::kOverloaded, std::string("cannot block signals: ") + strerror(errno), ""};
  const int signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (signals < 0) return Error{Fault::kOverloaded, std::string("cannot make a signalfd: ") + strerror(errno), "raise the limit of open files"};
  auto gateway = session::Gateway::start(std::move(config));
  if (!gateway.ok()) {
    close(signals);
    return std::move(gateway).error();
  }
  return std::unique_ptr<Daemon>(new Daemon(std::move(gateway).value(), signals));
}

Daemon::~Daemon() { close(signals_); }

bool Daemon::take_signal() {
  signalfd_siginfo info{};
  while (read(signals_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGHUP) return true;
    log::info("reload_ignored", "this version reads its configuration only at the start");
  }
  return false;
}

void Daemon::run(const std::function<void()>& on_ready) {
  if (geteuid() == 0) log::info("running_as_root", "a service should have a user of its own");
  on_ready();
  while (!take_signal()) gateway_->turn(kTurnMax, signals_);
  drain();
}

void Daemon::drain() {
  const size_t running = gateway_->transfers();
  log::info("stopping", "transfers=" + std::to_string(running));
  gateway_->drain(kDrainTime);
  const Time until = read_clock() + kDrainTime;
  gateway_->turn({});  // the farewell leaves
  while (gateway_->transfers() > 0 && read_clock() < until && !take_signal()) gateway_->turn(until - read_clock(), signals_);
  log::info("stopped", "transfers_finished=" + std::to_string(running - gateway_->transfers()) +
                           " transfers_given_up=" + std::to_string(gateway_->transfers()));
}

}  // namespace tideway::daemon
