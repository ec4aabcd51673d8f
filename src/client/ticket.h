// SPDX-License-Identifier: Apache-2.0
//
// Where a request has got to, and how to wait for the rest. The queue's thread tells it what happens; whoever waits asks the gateway, or
// looks into the inbox.
// Thread: any; a mutex that is never held across a system call that waits for others.
#pragma once
#include "client/gateway.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace tideway::client {

// Negative seconds: never.
std::optional<std::chrono::steady_clock::time_point> end_after(double seconds);

class Ticket {
 public:
  Ticket(std::string id, tideway_state state) : id_(std::move(id)), state_(state) {}
  const std::string& id() const { return id_; }
  tideway_state state() const;
  std::vector<std::string> jobs() const;
  std::string inbox() const;

  void on_state(tideway_state state);
  void on_stored(const std::string& inbox);
  void on_answer(const Json& answer);  // of the API or in the inbox: a problem, or at least the id of the job
  void on_trouble(Trouble trouble);

  // What became of it; nothing: it has got to `state`, or further and well.
  std::optional<Trouble> wait(const Gateway& gateway, tideway_state state, double timeout);
  // Asks; a gateway that is away changes nothing.
  std::optional<Trouble> refresh(const Gateway& gateway);

 private:
  bool has_reached(tideway_state state) const { return state_ >= state; }  // with the mutex
  void on_jobs_over(const std::vector<Json>& jobs);

  const std::string id_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  tideway_state state_;              // guarded by mutex_, as all below
  std::vector<std::string> jobs_;    // one per destination
  std::string inbox_;
  std::optional<Trouble> trouble_;
};

}  // namespace tideway::client
