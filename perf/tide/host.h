// SPDX-License-Identifier: Apache-2.0
//
// One host of the synthetic training: it computes, says that it communicates, and sends its part of a burst over flows of its own.
// Thread: one of its own, from open() on.
#pragma once
#include "announcer.h"
#include "flows.h"
#include "trainer.h"

#include <memory>
#include <random>

namespace tideway::trainer {

class Host {
 public:
  // `settings` outlives it. Errors: as Flows and Announcer.
  static Result<std::unique_ptr<Host>> open(const Settings& settings, size_t index);

  // From `start`, when all hosts had ended the iteration before. Errors: peer_lost.
  Status iterate(Time start, size_t number);
  const Iteration& last() const { return last_; }
  size_t late_timers() const { return late_; }

 private:
  Host(const Settings& settings, size_t index) : settings_(settings), random_(settings.seed + index * kSeedsApart) {}
  static constexpr uint64_t kSeedsApart = 1'000'003;  // runs of one seed and the next have no host in common
  Duration compute_time(size_t number);

  const Settings& settings_;
  std::mt19937_64 random_;
  std::unique_ptr<Flows> flows_;
  std::unique_ptr<Announcer> announcer_;
  Iteration last_;
  size_t late_ = 0;
};

}  // namespace tideway::trainer
