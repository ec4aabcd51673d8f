// SPDX-License-Identifier: Apache-2.0
//
// tideway-wan IF_A IF_B --rate 1Gbit --delay 25ms ...: forwards frames between two interfaces as a wide-area link would.
//
// One thread. While frames flow it sleeps in short fixed turns instead of waking for each frame: frames wait for their
// delay anyway, and the kernel stamped their arrival, so a turn costs no accuracy but that of the delivery. A turn sends what is
// due within the next half of one, so that frames leave up to half a turn early or late and on average in time (the statistics
// tell). Without traffic it sleeps until a frame arrives.
#include "arguments.h"
#include "base/clock.h"
#include "direction.h"
#include "statistics.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace tideway::wan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTurnMin = 20us, kTurnMax = 100us;  // the first keeps a short link honest, the second the CPU cool
constexpr Duration kActiveFor = 5ms;                   // after the last frame; then the next arrival wakes us
constexpr Duration kStatsPeriod = 1s;

Duration since_epoch(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec);
}

Duration cpu_time() { return since_epoch(CLOCK_PROCESS_CPUTIME_ID); }

// Owns the descriptors and the loop; the directions own the traffic.
class Emulator {
 public:
  Emulator(Time start, Direction& ab, Direction& ba, int signals, int stats)
      : start_(start), ab_(ab), ba_(ba), signals_(signals), stats_(stats), active_until_(start),
        stats_due_(start + kStatsPeriod) {}

  void set_turn(Duration turn) { turn_ = turn; }

  // Until SIGINT or SIGTERM; the interface's loss is an error.
  Status run() {
    while (true) {
      const Time now = read_clock();
      const Duration wall_offset = since_epoch(CLOCK_REALTIME) - now.time_since_epoch();
      const size_t taken = ab_.receive(now, wall_offset) + ba_.receive(now, wall_offset);
      if (taken > 0) active_until_ = now + kActiveFor;
      ab_.transmit(now, now + turn_ / 2);
      ba_.transmit(now, now + turn_ / 2);
      if (now >= stats_due_) report_second(now);
      switch (wait(now)) {
        case Wake::kWork: break;
        case Wake::kStop: return success();
        case Wake::kShow: std::fputs(to_text(snapshot()).c_str(), stdout), std::fflush(stdout); break;
        case Wake::kPortError:
          if (ab_.from().is_gone() || ba_.from().is_gone())
            return Error{Fault::kConfigInvalid, "one of the two interfaces was deleted", "make it again and start again"};
          ::usleep(1000);  // an interface that is down reports so without end
      }
    }
  }

  Snapshot snapshot() { return {read_clock() - start_, cpu_time(), ab_, ba_}; }
  void write_stats(const char* type) {
    if (stats_ < 0) return;
    const std::string line = to_json(snapshot(), type);
    if (::write(stats_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      std::fprintf(stderr, "tideway-wan: cannot write statistics: %s\n", std::strerror(errno));
  }

 private:
  enum class Wake { kWork, kStop, kShow, kPortError };

  void report_second(Time now) {
    write_stats("stats");
    stats_due_ = std::max(stats_due_ + kStatsPeriod, now);
    if (warned_ || !(ab_.mistakes().any() || ba_.mistakes().any())) return;
    warned_ = true;
    std::fprintf(stderr, "tideway-wan: measurements made now are not valid\n%s", to_text(snapshot()).c_str());
  }

  Wake wait(Time now) {
    const bool active = now < active_until_;
    const Time deadline = std::min({ab_.next_deadline(), ba_.next_deadline(), stats_due_});
    // In a turn only signals may wake us early; without traffic arrivals may, too.
    const Duration pause = active ? turn_ : std::clamp(deadline - read_clock(), Duration(0), kStatsPeriod);
    std::array<pollfd, 3> watched = {pollfd{signals_, POLLIN, 0}, pollfd{ab_.from().fd(), POLLIN, 0},
                                     pollfd{ba_.from().fd(), POLLIN, 0}};
    const timespec timeout{static_cast<time_t>(pause / 1s), static_cast<long>((pause % 1s).count())};
    if (::ppoll(watched.data(), active ? 1 : watched.size(), &timeout, nullptr) <= 0) return Wake::kWork;
    if ((watched[0].revents & POLLIN) != 0) return take_signal();
    return ((watched[1].revents | watched[2].revents) & (POLLERR | POLLHUP | POLLNVAL)) != 0 ? Wake::kPortError
                                                                                            : Wake::kWork;
  }

  Wake take_signal() {
    signalfd_siginfo signal{};
    if (::read(signals_, &signal, sizeof signal) != sizeof signal) return Wake::kWork;
    return signal.ssi_signo == SIGUSR1 ? Wake::kShow : Wake::kStop;
  }

  const Time start_;
  Direction& ab_;
  Direction& ba_;
  const int signals_, stats_;
  Duration turn_ = kTurnMax;
  Time active_until_, stats_due_;
  bool warned_ = false;
};

// A tenth of the shorter delay: a frame is at most a twentieth of it early or late, less than what a network card adds that
// gathers frames before it interrupts. Shorter turns take a core that those who are measured need: at 20 us two thirds of it.
Duration turn_for(const Arguments& arguments) {
  return std::clamp(std::min(arguments.ab.delay, arguments.ba.delay) / 10, kTurnMin, kTurnMax);
}

int take_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&wanted, signal);
  sigprocmask(SIG_BLOCK, &wanted, nullptr);
  return ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

// The programs that are measured share the cores with us. Without precedence we would deliver when they let us, tens of
// milliseconds late, and be the thing that is measured. Each turn's work is bounded, and the kernel keeps 5 % for others.
const char* take_precedence() {
  const sched_param lowest{::sched_get_priority_min(SCHED_FIFO)};
  if (::sched_setscheduler(0, SCHED_FIFO, &lowest) == 0) return "real-time";
  return ::setpriority(PRIO_PROCESS, 0, -20) == 0 ? "raised" : "normal";
}

int run(const Arguments& arguments) {
  const int signals = take_signals();
  int stats = -1;
  if (!arguments.stats_file.empty()) {
    stats = ::open(arguments.stats_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (stats < 0)
      return complain({Fault::kConfigInvalid, "cannot write " + arguments.stats_file + ": " + std::strerror(errno), ""});
  }
  ::prctl(PR_SET_TIMERSLACK, 1UL);  // the default of 50 us would double a turn
  auto port_a = Port::open(arguments.interface_a);
  if (!port_a.ok()) return complain(port_a.error());
  auto port_b = Port::open(arguments.interface_b);
  if (!port_b.ok()) return complain(port_b.error());
  const Time start = read_clock();
  auto ab = Direction::make(start, port_a.value(), port_b.value(), LinkModel(start, arguments.ab, arguments.seed));
  if (!ab.ok()) return complain(ab.error());
  auto ba = Direction::make(start, port_b.value(), port_a.value(), LinkModel(start, arguments.ba, ~arguments.seed));
  if (!ba.ok()) return complain(ba.error());

  std::unique_ptr<PortBins> bins;
  if (!arguments.count_file.empty()) {
    auto opened = PortBins::open(arguments.count_file, arguments.count_ports);
    if (!opened.ok()) return complain(opened.error());
    bins = std::move(opened).value();
    ab.value().count_in(*bins, PortBins::Way::kAb);
    ba.value().count_in(*bins, PortBins::Way::kBa);
  }
  Emulator emulator(start, ab.value(), ba.value(), signals, stats);
  emulator.set_turn(turn_for(arguments));
  std::printf("ready %s %s priority=%s\n", arguments.interface_a.c_str(), arguments.interface_b.c_str(), take_precedence());
  std::fflush(stdout);
  const Status status = emulator.run();
  emulator.write_stats("summary");
  if (bins) bins->write_out();
  std::fputs(to_text(emulator.snapshot()).c_str(), stdout);
  return status.ok() ? 0 : complain(status.error());
}

}  // namespace
}  // namespace tideway::wan

int main(int argc, char** argv) {
  const auto parsed = tideway::wan::parse_arguments(argc, argv);
  return parsed.exit_code >= 0 ? parsed.exit_code : tideway::wan::run(parsed.arguments);
}
