// SPDX-License-Identifier: Apache-2.0
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/sha256.h"
#include "daemon/landlock.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace tideway::daemon {
namespace {

constexpr Duration kTurnMax = std::chrono::seconds(10);  // nothing of ours is due later without a wake-up

constexpr std::string_view kAuditFile = "audit.jsonl";

constexpr int64_t kWarnDays[] = {1, 7, 30};  // before our certificate's end

int64_t days_left(const crypto::Certificate& own) {
  return std::chrono::floor<std::chrono::days>(own.not_after - std::chrono::system_clock::now()).count();
}

std::string to_fields(const crypto::Certificate& own) {
  return "certificate=sha256:" + crypto::to_hex(own.fingerprint) + " ends_in_days=" + std::to_string(days_left(own));
}

std::string folder_of(const std::string& file) {
  const size_t slash = file.rfind('/');
  return slash == file.npos ? "." : slash == 0 ? "/" : file.substr(0, slash);
}

// After the configuration is read and before the first thread: from here on this process reaches its roots, its state, the
// folders of its configuration and keys (a new file may be renamed into them), and what every program needs.
void fence_in(const DaemonConfig& config) {
  const session::GatewayConfig& gateway = config.gateway;
  if (gateway.engine.packet_backend == "dpdk")  // eal_args may name any file, and only EAL knows which
    return log::info("landlock_off", "why=\"the dpdk backend\"");
  Fence fence{{config.state_dir}, {"/etc", "/usr", "/lib", "/lib64", "/proc", "/sys"}, {"/dev"}};
  for (const session::RootConfig& root : gateway.roots) fence.writable.push_back(root.path);
  if (!config.api.socket.empty()) fence.writable.push_back(folder_of(config.api.socket));
  if (!gateway.engine.capture.empty()) fence.writable.push_back(folder_of(gateway.engine.capture));
  if (config.phases && !config.phases->board.empty()) fence.writable.push_back(folder_of(config.phases->board));
  for (const std::string& file : {config.file, gateway.tls.ca_file, gateway.tls.certificate_file, gateway.tls.key_file, gateway.tls.crl_file})
    if (!file.empty()) fence.readable.push_back(folder_of(file));
  if (Status status = raise_fence(fence); !status.ok()) return log::info("landlock_off", "why=\"" + status.error().what + '"');
  log::info("landlock_on", "abi=" + std::to_string(landlock_abi()));
}

session::AuditEvent about(const crypto::Certificate& own, std::string_view event) {
  session::AuditEvent line(event);
  line.with("certificate", crypto::to_sha256_text(own.fingerprint));
  return line;
}

}  // namespace

Daemon::Daemon(ReadRules read_rules)
    : watchdog_(read_clock(), Watchdog::patience(std::getenv("WATCHDOG_USEC"), std::getenv("WATCHDOG_PID"), getpid())), read_rules_(std::move(read_rules)) {}

// Before any thread exists, so that all inherit it and only our descriptor sees them.
Status Daemon::block_signals() {
  ::signal(SIGIO, SIG_IGN);  // of a lease that somebody breaks: checkpoint_look.cc
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0)
    return Error{Fault::kOverloaded, std::string("cannot block signals: ") + strerror(errno), ""};
  signals_.reset(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_.is_open()) return Error{Fault::kOverloaded, std::string("cannot make a signalfd: ") + strerror(errno), "raise the limit of open files"};
  return success();
}

Result<std::unique_ptr<Daemon>> Daemon::start(DaemonConfig config) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config.read_rules)));
  if (Status status = daemon->block_signals(); !status.ok()) return std::move(status).error();
  mkdir(config.state_dir.c_str(), 0700);  // where that fails, opening the lock in it says why
  fence_in(config);
  auto lock = StateLock::take(config.state_dir);  // before anything in it is read: the end of the audit log moves while somebody writes there
  if (!lock.ok()) return std::move(lock).error();
  daemon->lock_.emplace(std::move(lock).value());
  auto audit = AuditLog::open(config.state_dir + '/' + std::string(kAuditFile));
  if (!audit.ok()) return std::move(audit).error();
  daemon->audit_ = std::move(audit).value();
  config.gateway.audit = daemon->audit_sink();
  if (config.phases) {
    auto phases = PhasePort::start(std::move(*config.phases));
    if (!phases.ok()) return std::move(phases).error();
    daemon->phases_ = std::move(phases).value();
  }
  if (daemon->phases_ != nullptr)
    config.gateway.on_notice = [phases = daemon->phases_.get()](const std::string& site, const messages::PhaseNotice& notice) { phases->on_notice(read_clock(), site, notice); };
  daemon->gates_ = config.gateway.engine.gates;
  auto gateway = session::Gateway::start(std::move(config.gateway));
  if (!gateway.ok()) return std::move(gateway).error();
  daemon->gateway_ = std::move(gateway).value();
  auto service = JobService::start({std::move(config.api), std::move(config.jobs), config.state_dir, daemon->phases_.get(), std::move(config.links), daemon->gates_, std::move(config.watches), daemon->audit_sink(), [log = daemon->audit_.get()] { return log->end(); }}, *daemon->gateway_, [self = daemon.get()] { return self->reload(); });
  if (!service.ok()) return std::move(service).error();
  daemon->service_ = std::move(service).value();
  if (Status status = daemon->watch_descriptors(); !status.ok()) return std::move(status).error();
  daemon->audit_->record(about(daemon->gateway_->own_certificate(), "started"));
  log::info("audit_end", to_fields(daemon->audit_->end()));
  return daemon;
}

session::AuditSink Daemon::audit_sink() const {
  return [log = audit_.get()](session::AuditEvent event) { log->record(std::move(event)); };
}

Status Daemon::watch_descriptors() {
  waits_.reset(epoll_create1(EPOLL_CLOEXEC));
  std::vector<int> fds = service_->wait_fds();
  fds.push_back(signals_.get());
  if (phases_ != nullptr) fds.push_back(phases_->mail().wait_fd());
  for (const int fd : fds) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (!waits_.is_open() || epoll_ctl(waits_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      return Error{Fault::kOverloaded, std::string("cannot wait for descriptors: ") + strerror(errno), "raise the limit of open files"};
  }
  return success();
}

// One that did not get as far as its service has not said that it started.
Daemon::~Daemon() {
  const bool has_served = service_ != nullptr;
  service_.reset();
  if (has_served) audit_->record(session::AuditEvent("stopped", session::AuditEvent::Care::kSynced));
}

Daemon::Signal Daemon::take_signals() {
  Signal strongest = Signal::kNone;
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == sizeof info)
    strongest = std::max(strongest, info.ssi_signo == SIGHUP ? Signal::kReload : Signal::kEnd);
  return strongest;
}

// The local grants first: they can be wrong, and nothing has changed yet.
Status Daemon::take_up(DaemonRules rules) {
  auto grants = LocalGrants::resolve(rules.jobs.grants, audit_sink());
  if (!grants.ok()) return std::move(grants).error();
  if (Status status = gateway_->reload(std::move(rules.gateway)); !status.ok()) return status;
  service_->take_up(std::move(rules.jobs), std::move(grants).value());
  return success();
}

Status Daemon::reload() {
  notify_.say("RELOADING=1");
  audit_->reopen();
  auto rules = read_rules_();
  Status status = rules.ok() ? take_up(std::move(rules).value()) : Status(rules.error());
  service_->reload_ended(status);
  if (!status.ok()) {
    const Error& why = status.error();
    audit_->record(session::AuditEvent("reload_failed").with("code", why.name()).with("why", why.what));
    log::error("reload_failed", "code=" + std::string(why.name()) + " why=\"" + why.what + "\" next=\"" + why.next +
                                    "\"; what was in force stays");
  } else {
    warned_days_ = std::numeric_limits<int64_t>::max();
    audit_->record(about(gateway_->own_certificate(), "reloaded"));
    log::info("reloaded", to_fields(gateway_->own_certificate()));
  }
  notify_.say("READY=1");
  return status;
}

// Once for each of kWarnDays, as it is reached.
void Daemon::warn_of_expiry() {
  const int64_t left = days_left(gateway_->own_certificate());
  for (const int64_t days : kWarnDays) {
    if (left >= days || days >= warned_days_) continue;
    warned_days_ = days;
    log::warning("certificate_ends", to_fields(gateway_->own_certificate()) + " next=\"issue a new one (tideway pki issue) and reload\"");
    return;
  }
}

void Daemon::run(const std::function<void()>& on_ready) {
  if (geteuid() == 0) log::info("running_as_root", "a service should have a user of its own");
  on_ready();
  notify_.say("READY=1");
  for (Signal signal = Signal::kNone; signal != Signal::kEnd; signal = take_signals()) {
    if (signal == Signal::kReload) static_cast<void>(reload().ok());  // it says so itself
    warn_of_expiry();
    turn();
  }
  drain();
}

// What hangs for another reason than a disk only a new start mends. A net worker that stands still is as bad as we: nothing of ours would leave or
// arrive any more.
void Daemon::tell_watchdog(Time now) {
  feel_pulse(now);
  Time turned = now;
  for (const engine::NetBoard& board : gateway_->engine().net_boards())
    if (const uint64_t ns = board.turned_ns.get(); ns != 0) turned = std::min(turned, Time(Duration(static_cast<int64_t>(ns))));
  if (watchdog_.beat(now, turned) && !pulse_.has_still_worker()) notify_.say("WATCHDOG=1");
}

void Daemon::feel_pulse(Time now) {
  if (now < pulse_.next_look()) return;
  for (const WorkerPulse::Change& change : pulse_.look(now, WorkerPulse::read())) {
    if (change.now == WorkerPulse::Change::Now::kMoves) {
      log::info("worker_goes_on", "thread=" + change.worker);
      continue;
    }
    const WorkerPulse::LogLine line = WorkerPulse::line_of_still(change.worker);
    log::error(line.event, line.fields);
  }
}

void Daemon::renew_plan(Time now) {
  if (gates_ == nullptr) return;
  if (const Time until = gates_->plan_until(); now > until)
    log::warning("plan_expired", "late_ms=" + std::to_string((now - until) / std::chrono::milliseconds(1)) + " why=\"this thread was held up, and nobody said meanwhile what jobs may send\"");
  gates_->plan_holds_until(now + engine::Gates::kPlanHolds);
}

void Daemon::tell_peers(Time now) {
  if (phases_ == nullptr) return;
  for (const PhaseMail::ToTell& one : phases_->mail().take_to_tell(now)) gateway_->tell(one.site, one.notice);
}

void Daemon::turn() {
  const Time now = read_clock();
  tell_watchdog(now);
  const Duration turn_max = gates_ == nullptr ? kTurnMax : engine::Gates::kPlanHolds / 2;
  const Time until = std::min({now + turn_max, service_->next_deadline(now), watchdog_.next_deadline()});
  gateway_->turn(std::max(until - now, Duration()), waits_.get());
  renew_plan(read_clock());
  tell_peers(read_clock());
  service_->turn(read_clock());
}

void Daemon::drain() {
  const size_t running = gateway_->transfers();
  notify_.say("STOPPING=1");
  log::info("stopping", "transfers=" + std::to_string(running));
  service_->stop(read_clock());
  if (gates_ != nullptr) gates_->plan_holds_until(kNever);  // nobody plans any more, and what runs may end
  gateway_->drain(kDrainTime);
  const Time until = read_clock() + kDrainTime;
  gateway_->turn({});  // the farewell leaves
  while (gateway_->transfers() > 0 && read_clock() < until && take_signals() != Signal::kEnd) {
    tell_watchdog(read_clock());
    gateway_->turn(std::min(until, watchdog_.next_deadline()) - read_clock(), signals_.get());
  }
  log::info("stopped", "transfers_finished=" + std::to_string(running - gateway_->transfers()) +
                           " transfers_given_up=" + std::to_string(gateway_->transfers()));
}

}  // namespace tideway::daemon
