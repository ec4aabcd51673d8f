// SPDX-License-Identifier: Apache-2.0
#include "client/outbox.h"

#include "client/boundary.h"
#include "client/ticket.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>

namespace tideway::client {
Outbox::~Outbox() {
  if (thread_.joinable()) thread_.detach();
}

// False: there is no room, and nothing of its series to make some. With the lock.
bool Outbox::takes_over(const std::shared_ptr<Item>& item, std::shared_ptr<Item>& dropped) {
  const auto may_give_way = [&](const Entry& entry) { return !entry.is_in_work && !entry.is_parting && !entry.item->is_open() && entry.item->key() == item->key(); };
  const auto old = std::find_if(entries_.begin(), entries_.end(), may_give_way);
  if (old != entries_.end() && old->item->absorb(*item)) return true;
  if (count() >= kItemsMax) {
    if (old == entries_.end()) return false;
    dropped = old->item;
    let_part(*old);
  }
  entries_.push_back({item, Clock::time_point()});
  return true;
}

uint64_t Outbox::count() const {
  return static_cast<uint64_t>(std::count_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return !entry.is_parting; }));
}

// What takes leave has as much room again; more than that stands still with the thread, and the oldest goes without. With the lock.
void Outbox::let_part(Entry& old) {
  old.is_parting = true;
  old.due = {};
  if (entries_.size() - count() <= kItemsMax) return;
  entries_.erase(std::find_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.is_parting && !entry.is_in_work; }));
}

std::optional<Trouble> Outbox::put(const std::shared_ptr<Item>& item) {
  std::shared_ptr<Item> dropped;
  bool is_taken = false;
  {
    const std::lock_guard lock(mutex_);
    is_taken = !is_ending_ && takes_over(item, dropped);
  }
  if (!is_taken) {
    ++dropped_;
    Trouble trouble = trouble_of(Fault::kOverloaded, std::to_string(kItemsMax) + " others wait already, or the client is closed", "is the gateway well?");
    item->end(TIDEWAY_FAILED, trouble);
    return trouble;
  }
  came_.notify_one();
  if (dropped) {
    ++dropped_;
    dropped->end(TIDEWAY_SUPERSEDED, trouble_of(Fault::kOverloaded, "a newer one of its series came while the queue was full"));
  }
  return start();
}

std::optional<Trouble> Outbox::start() {
  {
    const std::lock_guard lock(mutex_);
    if (has_thread_) return std::nullopt;
    has_thread_ = true;
  }
  // No signal of the trainer's is handled in our thread.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  tideway_error error{};
  const int failed = guarded(&error, [&] {
    thread_ = std::thread([self = shared_from_this()] { self->run(); });
    ::pthread_setname_np(thread_.native_handle(), "tideway");
    return 0;
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed == 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  has_thread_ = false;  // the next call tries again
  return trouble_of(Fault::kOverloaded, std::string("no thread: ") + error.text);
}

bool Outbox::has_only_open() const {
  return std::all_of(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.is_parting || entry.item->is_open(); });
}

bool Outbox::flush(double seconds) {
  const auto end = end_after(seconds);
  std::unique_lock lock(mutex_);
  for (Entry& entry : entries_) entry.due = {};
  came_.notify_one();
  const auto is_through = [&] { return has_only_open(); };
  if (end) return emptied_.wait_until(lock, *end, is_through);
  emptied_.wait(lock, is_through);
  return true;
}

void Outbox::finish() {
  bool is_over = false;
  {
    std::unique_lock lock(mutex_);
    is_ending_ = true;
    came_.notify_one();
    if (!has_thread_) return;
    is_over = emptied_.wait_for(lock, kSpillTime, [&] { return has_ended_; });
    dropped_ += count();
  }
  // One that stands still in a file system must not keep the trainer from ending.
  if (is_over) thread_.join();
  else thread_.detach();
}

bool Outbox::hurry(const Item& item) {
  bool waited = false;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& one) { return one.item.get() == &item && !one.is_parting; });
    if (entry == entries_.end()) return false;
    entry->due = {};
    entry->is_hurried = entry->is_in_work;
    waited = !entry->is_in_work;
  }
  came_.notify_one();
  return waited;
}

bool Outbox::remove(const Item& item) {
  const std::lock_guard lock(mutex_);
  return std::erase_if(entries_, [&](const Entry& entry) { return entry.item.get() == &item && !entry.is_in_work && !entry.is_parting; }) > 0;
}

uint64_t Outbox::waiting() const {
  const std::lock_guard lock(mutex_);
  return count();
}

std::optional<Outbox::Entry> Outbox::next(std::unique_lock<std::mutex>& lock) {
  while (true) {
    if (has_only_open()) emptied_.notify_all();
    // At the end what is not with the gateway yet comes before leave of it is taken.
    const auto first = std::min_element(entries_.begin(), entries_.end(), [&](const Entry& a, const Entry& b) {
      return is_ending_ && a.is_parting != b.is_parting ? b.is_parting : a.due < b.due;
    });
    if (first == entries_.end()) {
      if (is_ending_) return std::nullopt;
      came_.wait(lock);
    } else if (is_ending_ || first->due <= Clock::now()) {
      first->is_in_work = true;
      return *first;
    } else {
      came_.wait_until(lock, Clock::time_point(first->due));
    }
  }
}

void Outbox::done(const std::shared_ptr<Item>& item, std::optional<std::chrono::nanoseconds> pause) {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& one) { return one.item == item; });
  if (!pause || is_ending_) {
    if (!pause) entries_.erase(entry);
    else entry->is_in_work = false;  // its turn to be spilled comes
    return;
  }
  entry->is_in_work = false;
  entry->due = std::exchange(entry->is_hurried, false) ? Clock::time_point() : Clock::now() + *pause;
}

void Outbox::part_next(const std::shared_ptr<Item>& item) {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& one) { return one.item == item; });
  entry->is_in_work = false;
  entry->is_parting = true;
  entry->due = {};
}

void Outbox::run_one(const std::shared_ptr<Item>& item, bool is_parting, std::unique_lock<std::mutex>& lock) {
  const bool spills = is_ending_;
  lock.unlock();
  std::optional<std::chrono::nanoseconds> pause;
  tideway_error error{};
  const int failed = guarded(&error, [&] {
    if (is_parting) pause = item->part();
    else if (spills) item->spill();
    else pause = item->step();
    return 0;
  });
  if (failed != 0 && !is_parting) item->end(TIDEWAY_FAILED, {error.code, error.text, ""});
  lock.lock();
  if (failed != 0 && !is_parting) part_next(item);
  else done(item, spills ? std::nullopt : pause);
}

void Outbox::run() {
  std::unique_lock lock(mutex_);
  while (const auto next_one = next(lock)) run_one(next_one->item, next_one->is_parting, lock);
  has_ended_ = true;
  emptied_.notify_all();
}

}  // namespace tideway::client
