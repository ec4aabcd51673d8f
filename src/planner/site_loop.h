// SPDX-License-Identifier: Apache-2.0
//
// Turns what trainers say and what counters show into what each link's gate is to do: who communicates until when, where a
// begin is expected, and when bulk is held to measure what it costs. One object per gateway, driven with every word and some
// twenty times a second.
// Thread: beacon. Pure.
#pragma once
#include "gate/burst_table.h"
#include "planner/counter_watch.h"
#include "planner/training_watch.h"

#include <optional>
#include <utility>
#include <vector>

namespace tideway::planner {

struct SiteLoopConfig {
  gate::BurstTableConfig bursts;
  std::vector<TrainingRules> trainings;         // as in bursts.trainings
};

// What the operator should hear of.
struct SiteNews {
  // kStale: a burst that nobody ended in time; kWrong: an expected begin that did not come; kLate: a begin that was announced after
  // counters showed it. kBegun and kEnded: the burst of a training, as announced or seen here, for those at the other end.
  enum class Kind : uint8_t { kLocked, kLost, kOverBudget, kWithinBudget, kGateHeld, kStale, kWrong, kLate, kBegun, kEnded } kind;
  size_t index;                                 // of the training; of kGateHeld, of the link
  Duration period{};                            // of kLocked
  double inflation = 0;                         // of kOverBudget and kWithinBudget
  Time at{};                                    // of kBegun and kEnded
};

class SiteLoop {
 public:
  // A gate that trainings keep closed for so long: then it is not a training tide, or somebody forgets the ends.
  static constexpr Duration kHeldLong = std::chrono::seconds(60);

  static constexpr Duration kShareTime = std::chrono::seconds(20);  // older counts less and less

  explicit SiteLoop(SiteLoopConfig config);

  gate::EventFate on_event(Time now, const gate::PhaseEvent& event, PhaseOrigin origin);
  // The net workers act on the phase board by themselves; here it is for prediction and for the budget. One call per slot that
  // begins and ends.
  void on_board_begin(Time at, size_t training);
  void on_board_end(Time at, size_t training);
  void on_board_run_out(Time at, size_t training);  // nobody ended it, and net workers let bulk pass again
  void on_board_prediction(Time now, Time begin, size_t training);
  void on_counters(size_t training, CounterWatch::Edge edge, Time at, Time now);
  void on_counted(size_t training, CounterWatch& watch, const CounterWatch::Sample& sample);  // what the watch makes of it
  void on_bulk(size_t link, Bytes sent);
  // A begin or an end at the site at the other end of a link that the training crosses.
  void on_peer(size_t training, gate::PhaseKind kind, Time at);
  void on_time(Time now);
  Time next_deadline(Time now) const;

  gate::GateSignal signal(Time now, size_t link) const;
  // The tightest that one of its trainings asks for; nothing: none crosses it.
  std::optional<Tightness> tightness(size_t link) const;
  bool is_bursting(size_t training) const { return bursts_.is_bursting(training) || board_bursts_[training] > 0; }
  std::optional<size_t> bursting_training(size_t link) const;  // one of those that burst there
  Duration bursting(size_t link) const { return links_[link].bursting; }  // in all
  Duration open(size_t link) const { return links_[link].open; }          // neither closed nor on guard, in all
  // Of the last time (kShareTime), the share in which trainings leave its gate open.
  double open_share(size_t link) const { return links_[link].open_share; }
  const TrainingWatch& training(size_t index) const { return watches_[index]; }
  // What was configured; no thread changes it.
  const gate::BurstTable& bursts() const { return bursts_; }
  std::vector<SiteNews> take_news() { return std::exchange(news_, {}); }

 private:
  struct LinkState {
    Duration bursting{}, open{};
    double open_share = 1;
    Time closed_since = kNever;
    bool is_held_told = false;
  };
  void tell_counters(size_t training, gate::PhaseKind kind, Time at, Time now);
  void end_on_board(Time at, size_t training, TrainingWatch::End end);
  void settle(Time at, PhaseOrigin origin, TrainingWatch::End end);
  void tell_changes(Time now, size_t training);
  const std::vector<size_t>& links_of(size_t training) const { return config_.bursts.trainings[training].links; }

  const SiteLoopConfig config_;
  gate::BurstTable bursts_;
  std::vector<TrainingWatch> watches_;
  std::vector<uint32_t> board_bursts_;          // slots of the board that burst, by training
  std::vector<bool> was_bursting_;
  std::vector<std::optional<Time>> maybe_ended_;  // bursts that counters show, which may only pause
  struct Told {
    bool was_locked = false, is_over = false;
    uint64_t misses = 0, late = 0;
  };
  std::vector<Told> told_;
  std::vector<LinkState> links_;
  Time last_ = Time::min();
  std::vector<SiteNews> news_;
};

}  // namespace tideway::planner
