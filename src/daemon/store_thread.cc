// SPDX-License-Identifier: Apache-2.0
#include "daemon/store_thread.h"

#include "base/clock.h"
#include "base/log.h"

#include <iterator>

namespace tideway::daemon {
namespace {

constexpr auto kWriteAgainAfter = std::chrono::seconds(1);

void append(store::Batch& sum, const store::Batch& more) {
  sum.jobs.insert(sum.jobs.end(), more.jobs.begin(), more.jobs.end());
  sum.forgotten.insert(sum.forgotten.end(), more.forgotten.begin(), more.forgotten.end());
  sum.events.insert(sum.events.end(), more.events.begin(), more.events.end());
}

}  // namespace

Result<std::unique_ptr<StoreThread>> StoreThread::start(std::unique_ptr<store::JobStore> store, Config config) {
  Bell bell;
  if (Status status = bell.open("the job store"); !status.ok()) return std::move(status).error();
  std::unique_ptr<StoreThread> thread(new StoreThread(std::move(store), std::move(bell), std::move(config)));
  thread->thread_ = std::thread([self = thread.get()] { self->run(); });
  return thread;
}

StoreThread::~StoreThread() {
  {
    const std::scoped_lock lock(mutex_);
    must_end_ = true;
  }
  order_came_.notify_one();
  thread_.join();
}

void StoreThread::write(store::Batch batch, Done done) {
  if (batch.is_empty() && !done) return;
  {
    const std::scoped_lock lock(mutex_);
    orders_.push_back({std::move(batch), std::move(done)});
  }
  order_came_.notify_one();
}

void StoreThread::later(Chore kind, std::function<void()> chore) {
  {
    const std::scoped_lock lock(mutex_);
    chores_[static_cast<size_t>(kind)] = std::move(chore);
    has_chores_ = true;
  }
  order_came_.notify_one();
}

void StoreThread::take_results() {
  bell_.clear();
  std::deque<Written> results;
  {
    const std::scoped_lock lock(mutex_);
    results.swap(results_);
  }
  for (const Written& result : results) result.done(result.status);
}

StoreThread::Stats StoreThread::stats() const {
  const std::scoped_lock lock(mutex_);
  return stats_;
}

void StoreThread::run() {
  pthread_setname_np(pthread_self(), "tw-jobs");
  std::deque<Order> waiting;  // refused by the disk so far
  auto again = store::Again::kLater;
  for (bool ends = false; !ends;) {
    Chores chores;
    {
      std::unique_lock lock(mutex_);
      const auto has_work = [&] { return must_end_ || !orders_.empty() || has_chores_; };
      if (waiting.empty()) order_came_.wait_for(lock, again == store::Again::kSoon ? Duration() : config_.idle_max, has_work);
      else order_came_.wait_for(lock, kWriteAgainAfter, [&] { return must_end_; });
      std::move(orders_.begin(), orders_.end(), std::back_inserter(waiting));
      orders_.clear();
      chores.swap(chores_);
      has_chores_ = false;
      ends = must_end_;
    }
    write_orders(waiting);
    for (const auto& chore : chores)
      if (chore) chore();
    if (config_.look && waiting.empty() && !ends) again = config_.look(read_wall_clock());
  }
}

Status StoreThread::write_batch(const store::Batch& batch) {
  const Time start = read_clock();
  Status status = store_->write(batch, read_wall_clock());
  const std::scoped_lock lock(mutex_);
  ++stats_.writes;
  stats_.spent += read_clock() - start;
  if (!status.ok() && !stats_.is_failing) log::error("store_unavailable", "why=\"" + status.error().what + "\" next=\"" + status.error().next + '"');
  if (status.ok() && stats_.is_failing) log::info("store_works_again");
  stats_.is_failing = !status.ok();
  return status;
}

void StoreThread::finish(Order& order, const Status& status) {
  if (!order.done) return;
  {
    const std::scoped_lock lock(mutex_);
    results_.push_back({std::move(order.done), status});
  }
  bell_.ring();
}

// All at once; where that fails, what is waited for is told, and the rest stays in its order.
void StoreThread::write_orders(std::deque<Order>& orders) {
  if (orders.empty()) return;
  store::Batch all;
  for (const Order& order : orders) append(all, order.batch);
  const Status status = write_batch(all);
  std::deque<Order> kept;
  for (Order& order : orders) {
    const bool is_kept = !status.ok() && !order.done;
    finish(order, status);
    if (is_kept) kept.push_back(std::move(order));
  }
  orders = std::move(kept);
}

}  // namespace tideway::daemon
