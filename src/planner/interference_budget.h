// SPDX-License-Identifier: Apache-2.0
//
// Closes the loop that the gate leaves open: what does a training notice of us? In some iterations, hold-outs, the gate stays
// closed throughout; the bursts of these are compared with those of the others. The length of a burst is the statistic,
// because the jitter of computing is not in it. Every eight iterations the answer tightens or relaxes what the gate does.
// Thread: beacon. Pure.
#pragma once
#include <tideway/time.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace tideway::planner {

struct Tightness {
  Duration guard{};          // lead before an expected begin
  double trickle = 0.002;    // of the remembered rate
  Duration queue_target = std::chrono::milliseconds(1);
  bool operator==(const Tightness&) const = default;
};

struct BudgetConfig {
  double budget = 0.01;      // the inflation that the owner accepts
  Tightness configured;
  // Announced begins at the same site start settled; inferred ones have to show that they are right.
  enum class Start : uint8_t { kSettled, kInDoubt } start = Start::kSettled;
};

class InterferenceBudget {
 public:
  static constexpr uint64_t kEvery = 8;              // iterations between two judgements
  // In doubt it takes many, until so many are known that a median of them is good. What they show does not change with what we do, so a few
  // keep it new then; as many as before would cost a fifth of the gaps for as long as the doubt lasts. The doubt may come from older ones,
  // when a training has changed by itself, so no more than the newest of them count then.
  static constexpr uint64_t kSettledOneIn = 50, kDoubtOneIn = 5, kKnownOneIn = 20;
  static constexpr size_t kHoldoutsKept = 16, kOthersKept = 32, kHoldoutsMin = 4, kHoldoutsKnown = 6;
  static constexpr uint64_t kDoubtFor = 40;          // iterations, at the start
  static constexpr uint64_t kCalmFor = 64;           // iterations below half the budget, before anything is relaxed
  static constexpr int kPausePeriods = 10;           // far over the budget

  explicit InterferenceBudget(const BudgetConfig& config) : config_(config), tightness_(config.configured) {}

  // Whether the next iteration is a hold-out; asked once for each.
  bool is_next_holdout();
  enum class Kind : uint8_t { kWithBulk, kHoldout };
  void on_iteration(Kind kind, Duration burst, Duration period);

  std::optional<double> inflation() const { return inflation_; }  // nothing: unmeasured
  const Tightness& tightness() const { return tightness_; }
  int periods_paused() const { return periods_paused_; }         // how many more periods without any bulk
  bool is_in_doubt() const;

 private:
  uint64_t one_in() const;
  void judge(Duration period);
  void tighten(Duration period);
  void relax();

  const BudgetConfig config_;
  Tightness tightness_;
  std::deque<double> holdouts_, others_;             // bursts in ns, bounded by the constants above
  std::deque<double> periods_;
  std::optional<double> inflation_;
  uint64_t iterations_ = 0, since_holdout_ = 0, calm_ = 0;
  int periods_paused_ = 0;
};

}  // namespace tideway::planner
