// SPDX-License-Identifier: Apache-2.0
#include "engine/path_run.h"

#include "base/clock.h"
#include "base/random.h"
#include "engine/aead_alone.h"
#include "engine/packet_ports.h"
#include "wire/packet_header.h"

#include <poll.h>
#include <time.h>

#include <thread>

namespace tideway::engine {
namespace {

constexpr Duration kAeadTime = std::chrono::milliseconds(500);  // long beside a time slice
constexpr uint64_t kPatternSeed = 1;
constexpr int kTurnPeriodMs = 50;  // of the caller's thread, at its descriptors

Duration thread_cpu() {
  timespec spent{};
  TIDEWAY_CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent) == 0);
  return std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec);
}

// The same in every process of this program.
const PathPattern& pattern() {
  static const PathPattern made(kPatternSeed);
  return made;
}

Bytes payload_at(const PathBenchOrder& order, Bytes mtu) {
  return Bytes(wire::data_payload_for_mtu(mtu.count(), order.source.local.is_ipv4()));
}

void drive_until(std::span<PathRun* const> runs, Time end, std::atomic<bool>& stop) {
  const auto thread = runs.size() > 1 ? PathRun::Thread::kShared : PathRun::Thread::kOwn;
  for (Time now = read_clock(); now < end && !stop.load(std::memory_order_relaxed);
       now = read_clock()) {
    for (PathRun* run : runs) {
      const bool worked = run->turn(now, thread);
      run->end_turn(worked);
      if (thread == PathRun::Thread::kOwn) run->rest(now);
      if (run->has_failed()) stop = true;
    }
  }
}

}  // namespace

// ---- one end ------------------------------------------------------------------------------------

Result<std::unique_ptr<PathRun>> PathRun::create(const PathBenchOrder& order,
                                                 PathEndConfig::Role role,
                                                 packet_io::PacketIoConfig&& packets) {
  const auto controller = congestion::find_controller(order.congestion, Rate());
  if (!controller.ok()) return controller.error();
  auto ios = make_packet_ios(order.backend, std::move(packets), 1);
  if (!ios.ok()) return std::move(ios).error();
  PathEndConfig config;
  config.role = role;
  config.local = role == PathEndConfig::Role::kSource ? order.source.local : order.sink.local;
  config.flows = order.flows;
  config.mtu = order.mtu;
  config.controller = controller.value();
  config.pattern = &pattern();
  auto made = PathEnd::create(config, std::move(ios.value().front()));
  if (!made.ok()) return std::move(made).error();
  std::unique_ptr<PathRun> run(new PathRun);
  run->end_ = std::move(made).value();
  return run;
}

Status PathRun::bind(Time now) {
  auto ports = end_->bind(now);
  if (!ports.ok()) return std::move(ports).error();
  ports_ = std::move(ports).value();
  return success();
}

Status PathRun::open(Time now, const std::vector<BoundPort>& theirs) {
  return end_->open(now, theirs);
}

bool PathRun::turn(Time now, Thread thread) {
  if (thread == Thread::kShared) meter_.resume();
  stage_meter = &meter_;
  return end_->poll(now);
}

void PathRun::end_turn(bool worked) {
  end_stage(worked ? Stage::kTurn : Stage::kIdle);
  stage_meter = nullptr;
}

// What it sleeps is no part of a turn.
void PathRun::rest(Time now) {
  stage_meter = &meter_;
  end_->rest(now);
  end_turn(false);
}

void PathRun::close(Time now) { end_->close(now); }

PathRun::Snapshot PathRun::snapshot() const {
  return {read_clock(), thread_cpu(), read_cycles(), end_->counts(), meter_.counts()};
}

Duration PathRun::work(const PathEndNumbers& numbers, Thread thread) const {
  uint64_t at_work = 0;
  for (size_t i = 0; i < kStages; ++i)
    if (static_cast<Stage>(i) != Stage::kIdle) at_work += numbers.stages[i].cycles;
  const double share = static_cast<double>(at_work) / static_cast<double>(numbers.cycles);
  const auto of = [&](Duration whole) {
    return Duration(static_cast<int64_t>(static_cast<double>(whole.count()) * share));
  };
  if (thread == Thread::kShared) return of(numbers.cpu);
  if (end_->is_woken()) return numbers.cpu;  // it sleeps otherwise
  return std::min(numbers.cpu, of(numbers.took));
}

Result<PathEndNumbers> PathRun::numbers(Thread thread) const {
  if (end_->failure()) return *end_->failure();
  PathEndNumbers numbers;
  for (size_t i = 0; i < kStages; ++i) {
    const StageCount &before = before_.stages[i], &after = after_.stages[i];
    numbers.stages[i] = {after.cycles - before.cycles, after.packets - before.packets,
                         after.bursts - before.bursts};
  }
  numbers.took = after_.at - before_.at;
  numbers.cpu = after_.cpu - before_.cpu;
  numbers.cycles = after_.cycles - before_.cycles;
  numbers.work = work(numbers, thread);
  numbers.payload = after_.counts.payload - before_.counts.payload;
  numbers.whole_run = end_->counts();
  for (const FlowBoard& flow : end_->board().flows) {
    numbers.path_mtu = std::max(numbers.path_mtu, Bytes(flow.path_mtu.get()));
    numbers.packets_lost += flow.packets_lost.get();
  }
  return numbers;
}

// ---- threads ------------------------------------------------------------------------------------

void drive(std::span<PathRun* const> runs, Time start, Duration measured, std::atomic<bool>& stop) {
  drive_until(runs, start + kPathWarmUp, stop);
  for (PathRun* run : runs) run->begin();
  drive_until(runs, start + kPathWarmUp + measured, stop);
  for (PathRun* run : runs) run->finish();
}

void run_threads(const PathThreads& threads, std::atomic<bool>& stop,
                 const std::function<void(size_t)>& work) {
  std::vector<pollfd> fds;
  for (const int fd : threads.ends) fds.push_back({fd, POLLIN, 0});
  for (const int fd : threads.lives) fds.push_back({fd, 0, 0});  // what it says is for another
  std::atomic<size_t> ended{0};
  std::vector<std::thread> running;
  for (size_t i = 0; i < threads.count; ++i)
    running.emplace_back([&, i] {
      work(i);
      ++ended;
    });
  while (ended < threads.count) {
    if (::poll(fds.data(), fds.size(), kTurnPeriodMs) <= 0) continue;
    stop = true;
    break;
  }
  for (std::thread& thread : running) thread.join();
}

// ---- numbers ------------------------------------------------------------------------------------

Result<Rate> measure_alone(const PathBenchOrder& order, PathEndConfig::Role role) {
  const auto work = role == PathEndConfig::Role::kSource ? AeadAlone::Work::kSeal : AeadAlone::Work::kOpen;
  auto made = AeadAlone::create(work, payload_at(order, order.mtu));
  if (!made.ok()) return std::move(made).error();
  const Duration before = thread_cpu();
  const Bytes done = made.value()->run(kAeadTime);
  return Rate::of(done, thread_cpu() - before);
}

Result<PathBenchNumbers> sum_up(const PathBenchOrder& order, const PathEndNumbers& source,
                                const PathEndNumbers& sink) {
  if (sink.whole_run.damaged > 0)
    return Error{Fault::kHashMismatch, "a block arrived damaged",
                 "this is a fault of Tideway or of this machine's memory: report it"};
  if (sink.whole_run.blocks == 0)
    return Error{
        Fault::kUdpBlocked, "no block of 4 MiB arrived",
        "measure for longer, and look whether packets of this size pass between the two ports"};
  PathBenchNumbers numbers;
  numbers.source = source;
  numbers.sink = sink;
  numbers.took = sink.took;
  numbers.payload = sink.payload;
  numbers.path_mtu = source.path_mtu;
  numbers.packets_lost = source.packets_lost;
  if (numbers.path_mtu >= flow::PathMtu::kBase)
    numbers.packet_payload = payload_at(order, numbers.path_mtu);
  numbers.cycles_per_ns =
      static_cast<double>(sink.cycles) / static_cast<double>(numbers.took.count());
  return numbers;
}

}  // namespace tideway::engine
