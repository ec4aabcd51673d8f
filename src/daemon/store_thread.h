// SPDX-License-Identifier: Apache-2.0
//
// Keeps the job store off the control thread: takes batches, writes what waits in one transaction (so that a disk that syncs a
// hundred times a second is no limit), and tells what became of it. While the disk takes nothing, what must not be lost waits
// and is tried again each second; what somebody waits for is told that it failed. Other files of the state folder that nobody waits for
// are written here, too (later()).
// Thread: control, but for the store, which belongs to the thread that is started here.
#pragma once
#include "daemon/bell.h"
#include "daemon/worker_pulse.h"
#include "store/job_store.h"
#include <tideway/time.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace tideway::daemon {

class StoreThread {
 public:
  using Done = std::function<void(const Status&)>;
  using Look = std::function<store::Again(job::WallTime)>;

  struct Config {
    Duration idle_max = WorkerPulse::kIdleMax;  // how long it sleeps when nothing comes
    Look look = {};                             // at what is due by the calendar: called when nothing waits to be written, at least each idle_max, and
                                                // again at once behind kSoon, unless there is something to write then
  };
  // Errors: overloaded: no descriptor for the wake-up.
  static Result<std::unique_ptr<StoreThread>> start(std::unique_ptr<store::JobStore> store, Config config);
  static Result<std::unique_ptr<StoreThread>> start(std::unique_ptr<store::JobStore> store) { return start(std::move(store), Config()); }
  // Writes what waits; once only, when the disk takes nothing.
  ~StoreThread();

  // With `done` the batch is dropped when it cannot be written, and `done` is told by take_results(); without it is kept.
  void write(store::Batch batch, Done done = {});
  // A file that is written whole and that nobody waits for, after what was told before. While the disk hangs the last one of each kind is kept.
  enum class Chore : uint8_t { kPaths, kLeftover };
  static constexpr size_t kChores = 2;
  void later(Chore kind, std::function<void()> chore);
  int wait_fd() const { return bell_.fd(); }  // readable when there are results
  void take_results();
  // What writing took so far.
  struct Stats { uint64_t writes = 0; Duration spent{}; bool is_failing = false; };
  Stats stats() const;

 private:
  struct Order {
    store::Batch batch;
    Done done;
  };
  using Chores = std::array<std::function<void()>, kChores>;  // by kind
  struct Written {
    Done done;
    Status status;
  };
  StoreThread(std::unique_ptr<store::JobStore> store, Bell bell, Config config) : store_(std::move(store)), bell_(std::move(bell)), config_(std::move(config)) {}
  void run();
  void write_orders(std::deque<Order>& orders);
  Status write_batch(const store::Batch& batch);
  void finish(Order& order, const Status& status);

  std::unique_ptr<store::JobStore> store_;
  const Bell bell_;
  const Config config_;

  mutable std::mutex mutex_;
  std::condition_variable order_came_;
  std::deque<Order> orders_;      // guarded by mutex_, like all that follows
  Chores chores_;
  bool has_chores_ = false;
  std::deque<Written> results_;
  Stats stats_;
  bool must_end_ = false;
  std::thread thread_;
};

}  // namespace tideway::daemon
