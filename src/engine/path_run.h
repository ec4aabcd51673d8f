// SPDX-License-Identifier: Apache-2.0
//
// One end of a path bench while it is measured: made, bound, opened, driven through a warm-up and
// then for as long as was ordered, and summed up. Where the other end is, in this process or in
// another, is its user's business. Thread: see each.
#pragma once
#include "engine/path_bench.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace tideway::engine {

// Path MTU, the controller's start, a link that comes up, pages touched at first.
inline constexpr Duration kPathWarmUp = std::chrono::milliseconds(500);

class PathRun {
 public:
  // Thread: control. Errors: those of the backend.
  static Result<std::unique_ptr<PathRun>> create(const PathBenchOrder& order,
                                                 PathEndConfig::Role role,
                                                 packet_io::PacketIoConfig&& packets);

  // Thread of each, up to close(): the one that drives it, because a backend belongs to its user.
  Status bind(Time now);
  const std::vector<BoundPort>& ports() const { return ports_; }
  Status open(Time now, const std::vector<BoundPort>& theirs);
  // True: it had work. With others on its thread, what passed since its last turn is not its own.
  enum class Thread : uint8_t { kOwn, kShared };
  bool turn(Time now, Thread thread);
  void end_turn(bool worked);
  void rest(Time now);
  bool has_failed() const { return end_->failure().has_value(); }
  void begin() { before_ = snapshot(); }   // of what counts
  void finish() { after_ = snapshot(); }
  void close(Time now);

  // Thread: any, after close(). Errors: what ended it.
  Result<PathEndNumbers> numbers(Thread thread) const;

 private:
  struct Snapshot {
    Time at{};
    Duration cpu{};
    uint64_t cycles = 0;
    PathCounts counts;
    StageCounts stages{};
  };
  PathRun() = default;
  Snapshot snapshot() const;
  Duration work(const PathEndNumbers& numbers, Thread thread) const;

  std::unique_ptr<PathEnd> end_;
  std::vector<BoundPort> ports_;
  StageMeter meter_;
  Snapshot before_, after_;
};

// Drives them by turns until `start` plus warm-up and measurement have passed, or `stop` is set; it
// is, when one of them fails.
void drive(std::span<PathRun* const> runs, Time start, Duration measured, std::atomic<bool>& stop);

// Calls `work` once in each of so many threads, and sets `stop` when one of `fds` is readable, or
// its other side has closed it. -1 is none.
struct PathThreads {
  size_t count = 1;
  std::span<const int> ends{};     // descriptors that are readable when somebody wants it to end
  std::span<const int> lives{};    // descriptors whose other side closes them when it dies
};
void run_threads(const PathThreads& threads, std::atomic<bool>& stop,
                 const std::function<void(size_t)>& work);

// The AEAD of this end's kind for half a second on the calling thread, with packets as large as the
// path has them.
Result<Rate> measure_alone(const PathBenchOrder& order, PathEndConfig::Role role);

// Errors: hash_mismatch, udp_blocked.
Result<PathBenchNumbers> sum_up(const PathBenchOrder& order, const PathEndNumbers& source,
                                const PathEndNumbers& sink);

inline Error interrupted() { return {Fault::kCancelled, "interrupted", "run it again"}; }

}  // namespace tideway::engine
