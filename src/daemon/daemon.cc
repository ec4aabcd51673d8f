// SPDX-License-Identifier: Apache-2.0
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/sha256.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tideway::daemon {
namespace {

constexpr Duration kTurnMax = std::chrono::seconds(10);  // nothing of ours is due later without a wake-up

std::string to_fields(const crypto::Certificate& own) {
  const auto left = own.not_after - std::chrono::system_clock::now();
  return "certificate=sha256:" + crypto::to_hex(own.fingerprint) +
         " ends_in_days=" + std::to_string(std::chrono::floor<std::chrono::days>(left).count());
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::start(session::GatewayConfig config, ReadRules read_rules) {
  // Blocked before any thread exists, so that all inherit it and only our descriptor sees them.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0)
    return Error{Fault::kOverloaded, std::string("cannot block signals: ") + strerror(errno), ""};
  const int signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (signals < 0) return Error{Fault::kOverloaded, std::string("cannot make a signalfd: ") + strerror(errno), "raise the limit of open files"};
  auto gateway = session::Gateway::start(std::move(config));
  if (!gateway.ok()) {
    close(signals);
    return std::move(gateway).error();
  }
  return std::unique_ptr<Daemon>(new Daemon(std::move(gateway).value(), std::move(read_rules), signals));
}

Daemon::~Daemon() { close(signals_); }

Daemon::Signal Daemon::take_signals() {
  Signal strongest = Signal::kNone;
  signalfd_siginfo info{};
  while (read(signals_, &info, sizeof info) == sizeof info)
    strongest = std::max(strongest, info.ssi_signo == SIGHUP ? Signal::kReload : Signal::kEnd);
  return strongest;
}

void Daemon::reload() {
  auto rules = read_rules_();
  Status status = rules.ok() ? gateway_->reload(std::move(rules).value()) : Status(rules.error());
  if (!status.ok())
    return log::error("reload_failed", "code=" + std::string(status.error().name()) + " why=\"" + status.error().what + "\" next=\"" +
                                           status.error().next + "\"; what was in force stays");
  log::info("reloaded", to_fields(gateway_->own_certificate()));
}

void Daemon::run(const std::function<void()>& on_ready) {
  if (geteuid() == 0) log::info("running_as_root", "a service should have a user of its own");
  on_ready();
  for (Signal signal = Signal::kNone; signal != Signal::kEnd; signal = take_signals()) {
    if (signal == Signal::kReload) reload();
    gateway_->turn(kTurnMax, signals_);
  }
  drain();
}

void Daemon::drain() {
  const size_t running = gateway_->transfers();
  log::info("stopping", "transfers=" + std::to_string(running));
  gateway_->drain(kDrainTime);
  const Time until = read_clock() + kDrainTime;
  gateway_->turn({});  // the farewell leaves
  while (gateway_->transfers() > 0 && read_clock() < until && take_signals() != Signal::kEnd) gateway_->turn(until - read_clock(), signals_);
  log::info("stopped", "transfers_finished=" + std::to_string(running - gateway_->transfers()) +
                           " transfers_given_up=" + std::to_string(gateway_->transfers()));
}

}  // namespace tideway::daemon
