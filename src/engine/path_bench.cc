// SPDX-License-Identifier: Apache-2.0
#include "engine/path_bench.h"

#include "base/clock.h"
#include "engine/packet_ports.h"
#include "engine/path_processes.h"
#include "engine/path_run.h"

#include <barrier>

namespace tideway::engine {
namespace {

using Role = PathEndConfig::Role;
constexpr Role kRoles[] = {Role::kSource, Role::kSink};

// Both ends in this process.
class Bench {
 public:
  explicit Bench(const PathBenchOrder& order)
      : order_(order),
        threads_(order.threads == PathBenchOrder::Threads::kOne ? 1 : 2),
        step_(threads_) {}
  Status make_ends();
  Result<PathBenchNumbers> run();

 private:
  PathThreads threads() const {
    return {static_cast<size_t>(threads_), std::span(&order_.stop_fd, 1)};
  }
  void drive_ends(std::span<const Role> roles);
  std::optional<Error> failure() const;
  Status measure_aead();

  const PathBenchOrder& order_;
  const std::ptrdiff_t threads_;
  std::unique_ptr<PathRun> runs_[2];  // by role, as the next two
  Status bound_[2] = {success(), success()}, opened_[2] = {success(), success()};
  Rate alone_[2];
  std::barrier<> step_;
  Time start_{};
  std::atomic<bool> is_stopped_{false};
};

constexpr size_t index_of(Role role) { return role == Role::kSource ? 0 : 1; }

Status Bench::make_ends() {
  packet_io::JoinedConfigs packets{order_.source.packets, order_.sink.packets};
  if (order_.ports == PathBenchOrder::Ports::kJoined) {
    auto joined = join_packet_ios(order_.backend, std::move(packets), 1);
    if (!joined.ok()) return std::move(joined).error();
    packets = std::move(joined).value();
  }
  for (const Role role : kRoles) {
    auto& of_end = role == Role::kSource ? packets.first : packets.second;
    auto made = PathRun::create(order_, role, std::move(of_end));
    if (!made.ok()) return std::move(made).error();
    runs_[index_of(role)] = std::move(made).value();
  }
  return success();
}

Result<PathBenchNumbers> Bench::run() {
  start_ = read_clock();
  run_threads(threads(), is_stopped_, [&](size_t thread) {
    drive_ends(threads_ == 1 ? std::span(kRoles) : std::span(kRoles).subspan(thread, 1));
  });
  if (auto error = failure()) return std::move(*error);
  const auto thread = threads_ == 1 ? PathRun::Thread::kShared : PathRun::Thread::kOwn;
  auto source = runs_[0]->numbers(thread), sink = runs_[1]->numbers(thread);
  if (!source.ok()) return source.error();
  if (!sink.ok()) return sink.error();
  if (is_stopped_) return interrupted();
  if (Status status = measure_aead(); !status.ok()) return std::move(status).error();
  source.value().alone = alone_[0];
  sink.value().alone = alone_[1];
  return sum_up(order_, source.value(), sink.value());
}

std::optional<Error> Bench::failure() const {
  for (const auto& statuses : {std::span(bound_), std::span(opened_)})
    for (const Status& status : statuses)
      if (!status.ok()) return status.error();
  return std::nullopt;
}

void Bench::drive_ends(std::span<const Role> roles) {
  std::vector<PathRun*> runs;
  for (const Role role : roles) {
    runs.push_back(runs_[index_of(role)].get());
    bound_[index_of(role)] = runs.back()->bind(start_);
  }
  step_.arrive_and_wait();
  if (bound_[0].ok() && bound_[1].ok()) {
    for (const Role role : roles) {
      const size_t end = index_of(role);
      opened_[end] = runs_[end]->open(read_clock(), runs_[1 - end]->ports());
      if (!opened_[end].ok()) is_stopped_ = true;
    }
    drive(runs, start_, order_.measured, is_stopped_);
  }
  step_.arrive_and_wait();
  for (PathRun* run : runs) run->close(read_clock());
}

// At the same time on as many cores as the path had: caches and memory are shared then, too.
Status Bench::measure_aead() {
  Status statuses[2] = {success(), success()};
  run_threads(threads(), is_stopped_, [&](size_t thread) {
    for (size_t end = thread; end < 2; end += static_cast<size_t>(threads_)) {
      auto rate = measure_alone(order_, kRoles[end]);
      if (rate.ok()) alone_[end] = rate.value();
      else statuses[end] = std::move(rate).error();
    }
  });
  return statuses[0].ok() ? statuses[1] : statuses[0];
}

}  // namespace

Result<PathBenchNumbers> run_path_bench(const PathBenchOrder& order) {
  if (order.threads == PathBenchOrder::Threads::kProcessPerEnd) return run_path_processes(order);
  Bench bench(order);
  if (Status status = bench.make_ends(); !status.ok()) return std::move(status).error();
  return bench.run();
}

}  // namespace tideway::engine
