// SPDX-License-Identifier: Apache-2.0
//
// What a training hands over without waiting: a queue of at most kItemsMax items and the one thread that works them off. put() takes a
// lock that is never held across a system call. Everything that may block is a step of an item, in the thread; a step says how long
// until the next one, so an item that waits holds up no other.
// What makes room for a newer one, or fails of itself, has its leave to take there, too.
// Thread: any, but step(), spill() and part() of an item, which are the queue's.
#pragma once
#include "client/trouble.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace tideway::client {

inline constexpr size_t kItemsMax = 256;
inline constexpr auto kSpillTime = std::chrono::seconds(2);  // of the end: then what is left is lost

class Item {
 public:
  explicit Item(std::string key) : key_(std::move(key)) {}
  Item(const Item&) = delete;
  Item& operator=(const Item&) = delete;
  virtual ~Item() = default;
  // Of several with one key the older ones may be dropped when the queue is full.
  const std::string& key() const { return key_; }

  // Does what can be done now. How long until it wants to go on; nothing: it is done.
  virtual std::optional<std::chrono::nanoseconds> step() = 0;
  // The end comes: to stable storage with it, without a gateway.
  virtual void spill() = 0;
  // It goes undone. By any thread and under no lock, so it asks neither disk nor gateway.
  virtual void end(tideway_state state, const Trouble& trouble) = 0;
  // A step behind end(): takes leave of whoever knows of it, and removes what was kept for it.
  virtual std::optional<std::chrono::nanoseconds> part() { return std::nullopt; }
  // Takes over the work of a newer one with its key while it waits itself: what comes often never fills the queue. Under the lock.
  virtual bool absorb(const Item& newer) { return static_cast<void>(newer), false; }
  // It waits for its owner alone: nobody else can bring it to an end, and it makes no room for others. Under the lock.
  virtual bool is_open() const { return false; }

 private:
  std::string key_;
};

class Outbox : public std::enable_shared_from_this<Outbox> {
 public:
  using Clock = std::chrono::steady_clock;
  ~Outbox();
  // Never blocks. What stood in the way of its thread, or nothing.
  std::optional<Trouble> put(const std::shared_ptr<Item>& item);
  // Tries now what waits for another try. True: nothing is left in memory, but for what is open or has made room.
  bool flush(double seconds);
  // Nothing is tried any more; each item goes to its inbox, and what only takes leave does so in the time that is left then. The thread ends
  // with it, or is left behind when it stands still.
  void finish();
  bool hurry(const Item& item);   // something came for it: its next step is now; false: it is in work, or gone
  bool remove(const Item& item);  // false: it is in work, or gone
  uint64_t waiting() const;
  uint64_t dropped() const { return dropped_; }

 private:
  struct Entry {
    std::shared_ptr<Item> item;
    Clock::time_point due;
    bool is_in_work = false;
    bool is_hurried = false;  // while in work: what came may not have been seen
    bool is_parting = false;  // it goes undone, and has only its leave to take
  };
  bool has_only_open() const;
  uint64_t count() const;  // without those that are parting; with the lock
  void let_part(Entry& old);
  void run_one(const std::shared_ptr<Item>& item, bool is_parting, std::unique_lock<std::mutex>& lock);
  bool takes_over(const std::shared_ptr<Item>& item, std::shared_ptr<Item>& dropped);
  std::optional<Trouble> start();
  void run();
  std::optional<Entry> next(std::unique_lock<std::mutex>& lock);  // nothing: the end
  void done(const std::shared_ptr<Item>& item, std::optional<std::chrono::nanoseconds> pause);
  void part_next(const std::shared_ptr<Item>& item);

  mutable std::mutex mutex_;
  std::condition_variable came_, emptied_;
  std::vector<Entry> entries_;  // guarded by mutex_, as the flags
  bool is_ending_ = false, has_thread_ = false, has_ended_ = false;
  std::thread thread_;
  std::atomic<uint64_t> dropped_ = 0;
};

}  // namespace tideway::client
