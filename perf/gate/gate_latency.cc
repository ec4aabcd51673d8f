// SPDX-License-Identifier: Apache-2.0
//
// How long after a gate's word is written the last bulk packet leaves: a source and a sink of a path bench, each polled by a
// thread of its own as an engine polls its net workers, and a third thread that closes and opens the source's gate. What counts
// is when the backend took the last burst of large packets. Of that time stands beside it how long the source's thread had a core: the rest
// is the machine's, which had given the core away. So does a control: how late an idle thread wakes at the same moments on that core.
//
//   tideway-gate-latency udp|net_ring [BURSTS]
#include "base/clock.h"
#include "base/random.h"
#include "engine/packet_ports.h"
#include "engine/path_end.h"
#include "packet_io/dpdk_args.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tideway::engine {
namespace {

using std::chrono::milliseconds;

constexpr size_t kBulkBytes = 1000;        // a packet of that much or more is bulk
constexpr double kTrickle = 0.0001;        // of the rate passes a closed gate, and is no latency: the usual 0.01 of what memory carries are several packets at once
constexpr size_t kTricklePackets = 1;      // one by itself
constexpr Duration kClosedFor = milliseconds(20), kOpenFor = milliseconds(20), kOpenSpread = milliseconds(10);
constexpr Duration kWarmUp = milliseconds(500);
constexpr size_t kBurstsDefault = 200, kBurstsMax = 100'000;

// What a thread has had of cores.
int64_t ran(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// When a backend took bulk last, and what its thread had had of cores then. In ns.
struct LastBulk {
  std::atomic<int64_t> at{0}, ran{0};
};

class StampedIo final : public PacketIo {
 public:
  StampedIo(std::unique_ptr<PacketIo> io, LastBulk& last) : io_(std::move(io)), last_(last) {}
  PacketIoLimits limits() const override { return io_->limits(); }
  Result<Path> open_path(const PathSpec& spec) override { return io_->open_path(spec); }
  void close_path(PathId path) override { io_->close_path(path); }
  size_t allocate(PathId path, Bytes payload, std::span<Packet> out) override { return io_->allocate(path, payload, out); }
  size_t send(std::span<Packet> burst) override {
    const auto bulk = static_cast<size_t>(std::ranges::count_if(burst, [](const Packet& packet) { return packet.bytes.size() >= kBulkBytes; }));
    const size_t sent = io_->send(burst);
    if (bulk <= kTricklePackets || sent == 0) return sent;
    last_.ran.store(ran(CLOCK_THREAD_CPUTIME_ID), std::memory_order_relaxed);
    last_.at.store(read_clock().time_since_epoch().count(), std::memory_order_release);
    return sent;
  }
  size_t receive(std::span<Packet> out) override { return io_->receive(out); }

 private:
  void release(Packet&) override {}  // packets know the backend itself
  std::unique_ptr<PacketIo> io_;
  LastBulk& last_;
};

std::chrono::steady_clock::time_point steady(Time time) { return std::chrono::steady_clock::time_point(time.time_since_epoch()); }

// The control: a thread that has nothing to do but to wake at a moment.
class Idler {
 public:
  Idler() : thread_([this] { run(); }) {}
  ~Idler() {
    is_over_ = true;
    asked_.release();
    thread_.join();
  }
  void ask(Time at, int core) {
    at_ = at;
    core_ = core;
    asked_.release();
  }
  int64_t take_late() {  // ns
    woken_.acquire();
    return late_;
  }

 private:
  void run() {
    for (asked_.acquire(); !is_over_; asked_.acquire()) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(static_cast<size_t>(core_), &one);
      sched_setaffinity(0, sizeof one, &one);  // where that is refused it is the control of another core
      std::this_thread::sleep_until(steady(at_));
      late_ = (read_clock() - at_).count();
      woken_.release();
    }
  }
  Time at_;
  int core_ = 0;
  int64_t late_ = 0;
  bool is_over_ = false;  // before the last asked_
  std::binary_semaphore asked_{0}, woken_{0};
  std::thread thread_;
};

struct Ends {
  Gates gates{1, {.trickle = kTrickle}};
  PathPattern pattern{1};
  LastBulk last;
  std::atomic<int> core{0};  // that the source is polled on
  std::unique_ptr<PathEnd> source, sink;
};

Result<packet_io::JoinedConfigs> configs_of(std::string_view io) {
  packet_io::JoinedConfigs configs;
  if (io == "udp") return configs;
  for (auto* config : {&configs.first, &configs.second}) {
    config->dpdk.eal_args = packet_io::eal_args_for_memory();
    auto& port = config->dpdk.ports.front();
    port.addresses = {ip::Prefix::parse(config == &configs.first ? "10.0.0.1/24" : "10.0.0.2/24").value()};
  }
  return join_packet_ios("dpdk", std::move(configs), 1);
}

Status make_ends(std::string_view io, Ends& ends) {
  auto configs = configs_of(io);
  if (!configs.ok()) return std::move(configs).error();
  for (const auto role : {PathEndConfig::Role::kSource, PathEndConfig::Role::kSink}) {
    const bool is_source = role == PathEndConfig::Role::kSource;
    auto ios = make_packet_ios(io == "udp" ? "udp" : "dpdk", std::move(is_source ? configs.value().first : configs.value().second), 1);
    if (!ios.ok()) return std::move(ios).error();
    PathEndConfig config;
    config.role = role;
    config.local = Endpoint::parse(io == "udp" ? "127.0.0.1:0" : is_source ? "10.0.0.1:7401" : "10.0.0.2:7401").value();
    config.controller = congestion::find_controller("bbr", Rate()).value();
    config.gates = is_source ? &ends.gates : nullptr;
    config.pattern = &ends.pattern;
    std::unique_ptr<PacketIo> made = std::move(ios.value().front());
    if (is_source) made = std::make_unique<StampedIo>(std::move(made), ends.last);
    auto end = PathEnd::create(config, std::move(made));
    if (!end.ok()) return std::move(end).error();
    (is_source ? ends.source : ends.sink) = std::move(end).value();
  }
  return success();
}

struct Steps {
  std::barrier<>& step;
  std::atomic<bool>& stop;
};

// Until it is stopped; a backend belongs to the thread that drives it, which says where it runs.
void drive(PathEnd& end, std::vector<BoundPort>& ours, const std::vector<BoundPort>& theirs, const Steps& steps, std::atomic<int>* core) {
  auto& [step, stop] = steps;
  auto bound = end.bind(read_clock());
  if (bound.ok()) ours = bound.value();
  else stop = true;
  step.arrive_and_wait();
  if (!stop && !end.open(read_clock(), theirs).ok()) stop = true;
  while (!stop.load(std::memory_order_relaxed)) {
    if (core != nullptr) core->store(std::max(sched_getcpu(), 0), std::memory_order_relaxed);
    const Time now = read_clock();
    if (!end.poll(now)) end.rest(now);
    if (end.failure()) stop = true;
  }
  step.arrive_and_wait();
  end.close(read_clock());
}

void wait(Duration time) { std::this_thread::sleep_for(time); }

// In ns.
struct Measured {
  std::vector<int64_t> latencies;  // from each closing to the last bulk that left after it
  std::vector<int64_t> run_times;  // of the source's thread, within them
  std::vector<int64_t> lateness;   // of the control
};

Measured close_often(Ends& ends, clockid_t source, size_t bursts, const std::atomic<bool>& stop) {
  Measured measured;
  Idler idler;
  Random random(1);
  wait(kWarmUp);
  for (size_t i = 0; i < bursts && !stop; ++i) {
    const Time at = read_clock() + kOpenFor + Duration(static_cast<int64_t>(random.below(static_cast<uint64_t>(kOpenSpread.count()))));
    idler.ask(at, ends.core.load(std::memory_order_relaxed));
    std::this_thread::sleep_until(steady(at));
    const int64_t had = ran(source);
    const Time closed = read_clock();
    ends.gates.word(0).write({{.closed_until = closed + kClosedFor, .reason = gate::GateReason::kTraining}, 0, 0, {}});
    wait(kClosedFor / 2);
    const int64_t late = ends.last.at.load(std::memory_order_acquire) - closed.time_since_epoch().count();
    measured.latencies.push_back(std::max<int64_t>(0, late));
    measured.run_times.push_back(late > 0 ? std::max<int64_t>(0, ends.last.ran.load(std::memory_order_relaxed) - had) : 0);
    measured.lateness.push_back(idler.take_late());
    ends.gates.word(0).write({});
  }
  return measured;
}

std::string to_us(std::vector<int64_t> times) {
  std::ranges::sort(times);
  const auto at = [&](double share) { return static_cast<double>(times[std::min(times.size() - 1, static_cast<size_t>(share * static_cast<double>(times.size())))]) / 1000; };
  char text[128];
  std::snprintf(text, sizeof text, "{\"median\":%.1f,\"p99\":%.1f,\"max\":%.1f}", at(0.5), at(0.99), at(1));
  return text;
}

int run(std::string_view io, size_t bursts) {
  Ends ends;
  if (Status made = make_ends(io, ends); !made.ok()) {
    std::fprintf(stderr, "%s; %s\n", made.error().what.c_str(), made.error().next.c_str());
    return 1;
  }
  std::barrier<> step(2);
  std::atomic<bool> stop{false};
  std::vector<BoundPort> source_ports, sink_ports;
  std::thread sink([&] { drive(*ends.sink, sink_ports, source_ports, {step, stop}, nullptr); });
  std::thread source([&] { drive(*ends.source, source_ports, sink_ports, {step, stop}, &ends.core); });
  clockid_t source_clock = 0;
  const bool has_clock = ::pthread_getcpuclockid(source.native_handle(), &source_clock) == 0;
  const Measured measured = has_clock ? close_often(ends, source_clock, bursts, stop) : Measured();
  stop = true;
  source.join();
  sink.join();
  if (measured.latencies.size() < bursts || ends.last.at == 0) {
    std::fprintf(stderr, "the path broke, or carried nothing\n");
    return 1;
  }
  std::printf("{\"io\":\"%.*s\",\"bursts\":%zu,\"us\":%s,\"run_us\":%s,\"control_us\":%s}\n", static_cast<int>(io.size()), io.data(), measured.latencies.size(), to_us(measured.latencies).c_str(),
              to_us(measured.run_times).c_str(), to_us(measured.lateness).c_str());
  return 0;
}

}  // namespace
}  // namespace tideway::engine

int main(int argc, char** argv) {
  using namespace tideway::engine;
  const std::string_view io = argc > 1 ? argv[1] : "";
  const size_t bursts = argc > 2 ? static_cast<size_t>(std::strtoul(argv[2], nullptr, 10)) : kBurstsDefault;
  if ((io != "udp" && io != "net_ring") || bursts == 0 || bursts > kBurstsMax) {
    std::fputs("tideway-gate-latency udp|net_ring [BURSTS]\n", stderr);
    return 2;
  }
  return run(io, bursts);
}
