// SPDX-License-Identifier: Apache-2.0
#include "engine/path_bench.h"

#include "base/clock.h"
#include "engine/aead_alone.h"
#include "engine/packet_ports.h"
#include "wire/packet_header.h"

#include <poll.h>
#include <time.h>

#include <atomic>
#include <barrier>
#include <functional>
#include <thread>

namespace tideway::engine {
namespace {

constexpr Duration kWarmUp =
    std::chrono::milliseconds(500);  // path MTU, the controller's start, pages touched at first
constexpr Duration kAeadTime = std::chrono::milliseconds(500);  // long beside a time slice
constexpr uint64_t kPatternSeed = 1;
constexpr int kLookPeriodMs = 50;  // of the caller's thread, at its stop_fd

Duration thread_cpu() {
  timespec spent{};
  TIDEWAY_CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent) == 0);
  return std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec);
}

// What an end has done by now.
struct Snapshot {
  Time at{};
  Duration cpu{};
  uint64_t cycles = 0;
  PathCounts counts;
  StageCounts stages{};
};

struct Driven {
  std::unique_ptr<PathEnd> end;
  std::vector<BoundPort> ports;
  Status status = success();  // of bind(), which the other end looks at
  Status opened = success();
  StageMeter meter;
  Snapshot before, after;

  Snapshot snapshot(Time now) const {
    return {now, thread_cpu(), read_cycles(), end->counts(), meter.counts()};
  }
};

class Bench {
 public:
  explicit Bench(const PathBenchOrder& order)
      : order_(order),
        threads_(order.threads == PathBenchOrder::Threads::kOne ? 1 : 2),
        step_(threads_) {}
  Status make_ends();
  Status run();
  Status measure_aead();
  PathBenchNumbers numbers() const;

 private:
  Status make_end(Driven& driven, PathEndConfig::Role role, const PathBenchOrder::End& end,
                  packet_io::PacketIoConfig&& packets);
  void on_threads(const std::function<void(size_t)>& work);
  void drive(std::span<Driven> ends);
  void drive_until(std::span<Driven> ends, Time end);
  Driven& other_of(const Driven& driven) { return &driven == &source_ ? sink_ : source_; }
  Status outcome() const;
  PathEndNumbers numbers_of(const Driven& driven) const;

  const PathBenchOrder& order_;
  const std::ptrdiff_t threads_;
  const PathPattern pattern_{kPatternSeed};
  Driven ends_[2];
  Driven &source_ = ends_[0], &sink_ = ends_[1];
  std::barrier<> step_;
  Time start_{};
  std::atomic<bool> is_stopped_{false};
  std::atomic<std::ptrdiff_t> ended_{0};
  Rate alone_[2];
};

// ---- the ends -----------------------------------------------------------------------------------

Status Bench::make_ends() {
  packet_io::JoinedConfigs packets{order_.source.packets, order_.sink.packets};
  if (order_.ports == PathBenchOrder::Ports::kJoined) {
    auto joined = join_packet_ios(order_.backend, std::move(packets), 1);
    if (!joined.ok()) return std::move(joined).error();
    packets = std::move(joined).value();
  }
  if (Status status =
          make_end(source_, PathEndConfig::Role::kSource, order_.source, std::move(packets.first));
      !status.ok())
    return status;
  return make_end(sink_, PathEndConfig::Role::kSink, order_.sink, std::move(packets.second));
}

Status Bench::make_end(Driven& driven, PathEndConfig::Role role, const PathBenchOrder::End& end,
                       packet_io::PacketIoConfig&& packets) {
  const auto controller = congestion::find_controller(order_.congestion, Rate());
  if (!controller.ok()) return controller.error();
  auto ios = make_packet_ios(order_.backend, std::move(packets), 1);
  if (!ios.ok()) return std::move(ios).error();
  PathEndConfig config;
  config.role = role;
  config.local = end.local;
  config.flows = order_.flows;
  config.mtu = order_.mtu;
  config.controller = controller.value();
  config.pattern = &pattern_;
  auto made = PathEnd::create(config, std::move(ios.value().front()));
  if (!made.ok()) return std::move(made).error();
  driven.end = std::move(made).value();
  return success();
}

// ---- threads ------------------------------------------------------------------------------------

// Calls it once in each thread, and meanwhile listens to whoever wants to end it.
void Bench::on_threads(const std::function<void(size_t)>& work) {
  ended_ = 0;
  std::vector<std::thread> threads;
  for (std::ptrdiff_t i = 0; i < threads_; ++i)
    threads.emplace_back([&, i] {
      work(static_cast<size_t>(i));
      ++ended_;
    });
  pollfd fd{order_.stop_fd, POLLIN, 0};
  while (ended_ < threads_)
    if (::poll(&fd, 1, kLookPeriodMs) > 0) is_stopped_ = true;
  for (std::thread& thread : threads) thread.join();
}

Status Bench::run() {
  start_ = read_clock();
  on_threads([&](size_t thread) {
    drive(threads_ == 1 ? std::span(ends_) : std::span(ends_).subspan(thread, 1));
  });
  return outcome();
}

// The ends' own threads open them, because a backend belongs to whoever uses it.
void Bench::drive(std::span<Driven> ends) {
  for (Driven& driven : ends) {
    auto ports = driven.end->bind(start_);
    if (ports.ok())
      driven.ports = std::move(ports).value();
    else
      driven.status = std::move(ports).error();
  }
  step_.arrive_and_wait();
  if (source_.status.ok() && sink_.status.ok()) {
    for (Driven& driven : ends) driven.opened = driven.end->open(read_clock(), other_of(driven).ports);
    drive_until(ends, start_ + kWarmUp);
    for (Driven& driven : ends) driven.before = driven.snapshot(read_clock());
    drive_until(ends, start_ + kWarmUp + order_.measured);
    for (Driven& driven : ends) driven.after = driven.snapshot(read_clock());
  }
  step_.arrive_and_wait();
  for (Driven& driven : ends) driven.end->close(read_clock());
}

void Bench::drive_until(std::span<Driven> ends, Time end) {
  const bool is_shared = ends.size() > 1;
  for (Time now = read_clock(); now < end && !is_stopped_.load(std::memory_order_relaxed);
       now = read_clock()) {
    bool worked = false;
    for (Driven& driven : ends) {
      if (is_shared) driven.meter.resume();
      stage_meter = &driven.meter;
      worked |= driven.end->poll(now);
      if (driven.end->failure()) is_stopped_ = true;
    }
    if (!worked && !is_shared) ends.front().end->rest(now);
    end_stage(worked ? Stage::kTurn : Stage::kIdle);
    stage_meter = nullptr;
  }
}

Status Bench::outcome() const {
  for (const Driven* driven : {&source_, &sink_}) {
    if (!driven->status.ok()) return driven->status;
    if (!driven->opened.ok()) return driven->opened;
    if (driven->end->failure()) return *driven->end->failure();
  }
  if (is_stopped_) return Error{Fault::kCancelled, "interrupted", "run it again"};
  const PathCounts counts = sink_.end->counts();
  if (counts.damaged > 0)
    return Error{Fault::kHashMismatch, "a block arrived damaged",
                 "this is a fault of Tideway or of this machine's memory: report it"};
  if (counts.blocks == 0)
    return Error{
        Fault::kUdpBlocked, "no block of 4 MiB arrived",
        "measure for longer, and look whether packets of this size pass between the two ports"};
  return success();
}

// ---- numbers ------------------------------------------------------------------------------------

// At the same time on as many cores as the path had: caches and memory are shared then, too.
Status Bench::measure_aead() {
  const Bytes payload(
      wire::data_payload_for_mtu(order_.mtu.count(), order_.source.local.is_ipv4()));
  std::unique_ptr<AeadAlone> works[2];
  for (const size_t i : {size_t{0}, size_t{1}}) {
    auto made =
        AeadAlone::create(i == 0 ? AeadAlone::Work::kSeal : AeadAlone::Work::kOpen, payload);
    if (!made.ok()) return std::move(made).error();
    works[i] = std::move(made).value();
  }
  on_threads([&](size_t thread) {
    for (size_t i = thread; i < 2; i += static_cast<size_t>(threads_)) {
      const Duration before = thread_cpu();
      const Bytes done = works[i]->run(kAeadTime);
      alone_[i] = Rate::of(done, thread_cpu() - before);
    }
  });
  return success();
}

PathEndNumbers Bench::numbers_of(const Driven& driven) const {
  PathEndNumbers numbers;
  uint64_t at_work = 0;
  for (size_t i = 0; i < kStages; ++i) {
    const StageCount &before = driven.before.stages[i], &after = driven.after.stages[i];
    numbers.stages[i] = {after.cycles - before.cycles, after.packets - before.packets, after.bursts - before.bursts};
    if (static_cast<Stage>(i) != Stage::kIdle) at_work += numbers.stages[i].cycles;
  }
  numbers.cpu = driven.after.cpu - driven.before.cpu;
  const double cycles = static_cast<double>(driven.after.cycles - driven.before.cycles);
  const auto of_cycles = [&](Duration whole) {
    return Duration(static_cast<int64_t>(static_cast<double>(whole.count()) * static_cast<double>(at_work) / cycles));
  };
  if (threads_ == 1) numbers.work = of_cycles(numbers.cpu);
  else if (driven.end->is_woken()) numbers.work = numbers.cpu;  // it sleeps otherwise
  else numbers.work = std::min(numbers.cpu, of_cycles(driven.after.at - driven.before.at));
  return numbers;
}

PathBenchNumbers Bench::numbers() const {
  PathBenchNumbers numbers;
  numbers.took = sink_.after.at - sink_.before.at;
  numbers.payload = sink_.after.counts.payload - sink_.before.counts.payload;
  for (const FlowBoard& flow : source_.end->board().flows) {
    numbers.path_mtu = std::max(numbers.path_mtu, Bytes(flow.path_mtu.get()));
    numbers.packets_lost += flow.packets_lost.get();
  }
  if (numbers.path_mtu >= flow::PathMtu::kBase)
    numbers.packet_payload =
        Bytes(wire::data_payload_for_mtu(numbers.path_mtu.count(), order_.source.local.is_ipv4()));
  numbers.cycles_per_ns = static_cast<double>(sink_.after.cycles - sink_.before.cycles) /
                          static_cast<double>(numbers.took.count());
  numbers.source = numbers_of(source_);
  numbers.sink = numbers_of(sink_);
  numbers.seal_alone = alone_[0];
  numbers.open_alone = alone_[1];
  return numbers;
}

}  // namespace

Result<PathBenchNumbers> run_path_bench(const PathBenchOrder& order) {
  Bench bench(order);
  if (Status status = bench.make_ends(); !status.ok()) return std::move(status).error();
  if (Status status = bench.run(); !status.ok()) return std::move(status).error();
  if (Status status = bench.measure_aead(); !status.ok()) return std::move(status).error();
  return bench.numbers();
}

}  // namespace tideway::engine
