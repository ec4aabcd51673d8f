// SPDX-License-Identifier: Apache-2.0
//
// What is still to be sent to one peer, in the order in which it goes, with what planning needs of each job beside it. It is kept as jobs
// change, so that whoever plans with a hundred thousand of them, or asks whether one more fits, touches none of the jobs themselves.
// Thread: control. Pure.
#pragma once
#include "job/job.h"

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>

namespace tideway::daemon {

class SendQueue {
 public:
  // As planner::goes_before() has it: of a class, those that run share, and go before those that wait. What is due goes by deadline alone.
  struct Key {
    job::Turn::Group group = job::Turn::Group::kOther;
    job::WallTime deadline{};
    job::Class service = job::Class::kRestore;  // of kOther
    enum class Pace : uint8_t { kRuns, kWaits } pace = Pace::kWaits;
    uint64_t number = 0;
    auto operator<=>(const Key&) const = default;
  };
  static Key key_of(const job::Job& job);

  struct Item {
    const job::Job* job = nullptr;  // to tell it apart; what follows is what is read in bulk
    Bytes bytes;                    // as far as is known; zero: nothing is
    std::optional<job::WallTime> deadline;  // also of a restore
    double hurt_max = 0;
    Rate rate_max = Rate::unlimited();
    job::Class service = job::Class::kBestEffort;
    bool is_at_risk = false;
  };
  static Item item_of(const job::Job& job);
  using Items = std::map<Key, Item>;

  // The job does not change between the two. One that is over, paused or recurring, or that the peer sends, is none of ours.
  void put(const job::Job& job);
  void take(const job::Job& job);

  const Items& items() const { return items_; }
  // Of all restores, of all with a deadline, and of each class of the rest.
  struct Sum {
    Bytes bytes;         // modulo 2^64: anybody may submit what does not exist
    size_t unknown = 0;  // jobs of which nobody knows how much there is
  };
  const Sum& sum_of(job::Turn::Group group, job::Class service = job::Class::kRestore) const { return sums_[sum_index(group, service)]; }

 private:
  static constexpr size_t sum_index(job::Turn::Group group, job::Class service) {
    return static_cast<size_t>(group) + (group == job::Turn::Group::kOther ? static_cast<size_t>(service) : 0);
  }

  Items items_;
  std::array<Sum, 6> sums_;
};

}  // namespace tideway::daemon
