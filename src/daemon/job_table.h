// SPDX-License-Identifier: Apache-2.0
//
// The queue in memory: all jobs that are not over, the last ones that are, and what happened in the last day. Every change goes
// through change(), which keeps the indices and notes what the store and the readers of events must be told.
// Thread: control.
#pragma once
#include "daemon/checkpoint_series.h"
#include "daemon/send_queue.h"
#include "job/job.h"
#include "store/job_store.h"

#include <array>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace tideway::daemon {

class JobTable {
 public:
  static constexpr size_t kLiveMax = 200'000;     // some 2 KiB each
  static constexpr size_t kOverKept = 10'000;     // a later question about an older one finds nothing
  static constexpr size_t kEventsMax = 100'000;   // in memory

  JobTable(store::Contents contents, job::WallTime now);

  struct Submission {
    job::Spec spec;
    std::string request;  // see job::Job
    uint32_t owner = 0;
    std::vector<uint32_t> groups;  // see job::Job
    std::string peer;
    TransferId transfer{};
    job::Hold hold = job::Hold::kNone;  // kWanted: it waits until take_hold()
    std::string pin;
  };
  struct Taken {
    job::JobId id;
    bool is_new = true;   // false: the same submission came before
  };
  // Errors: submission_conflict, overloaded.
  Result<Taken> submit(Submission submission, job::WallTime now);
  bool is_known(uint32_t owner, const std::string& submission_id) const { return !submission_id.empty() && by_submission_.contains({owner, submission_id}); }
  // The run of a recurring job that is due, if the one before has ended. None is due later than after its interval, as one would be whose calendar
  // was set back.
  void make_due_runs(job::WallTime now);
  job::WallTime next_due() const;  // WallTime::max(): none
  const std::set<job::JobId>& recurring() const { return recurring_; }  // that are not over
  uint64_t recurring_changes() const { return recurring_changes_; }      // of any of them, so far

  // By its id, or the beginning of one that no other has.
  const job::Job* find(std::string_view id) const;
  const std::map<job::JobId, job::Job>& all() const { return jobs_; }
  // Calls `act` with the job; whatever it changed is kept. False: there is no such job, or `act` said false.
  template <typename Act>
  bool change(const job::JobId& id, job::WallTime now, Act act) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return false;
    unindex(found->second);
    const job::State before = found->second.state;
    const bool changed = act(found->second);
    index(found->second);
    if (changed) note(found->second, before, now);
    return changed;
  }
  // A submission that the store refused.
  void forget(const job::JobId& id);

  // What may start with a peer, the next one first: by turn, then by age. That is what is queued, but for what is held until the store has it,
  // and what waits and is ready to try again.
  using Rank = std::tuple<job::Turn, uint64_t, const job::Job*>;
  using Ranks = std::map<std::string, std::set<Rank>, std::less<>>;
  const Ranks& queued() const { return queued_; }
  const std::map<std::string, SendQueue, std::less<>>& to_send() const { return to_send_; }  // by peer
  using ByNumber = std::map<uint64_t, const job::Job*>;
  const ByNumber& by_number() const { return by_number_; }
  const ByNumber& in_state(job::State state) const { return by_state_[static_cast<size_t>(state)]; }
  const CheckpointSeries& checkpoints() const { return checkpoints_; }
  // Whether something of ours was published there, and is not removed for newer ones.
  bool is_published_at(const std::string& destination) const { return published_.contains(destination); }
  void hold(const job::JobId& id);
  void release(const job::JobId& id);
  void make_ready(const job::JobId& id);  // until its state changes

  store::Batch take_changes();
  // Jobs that came to their end since the last time, in that order.
  std::vector<job::JobId> take_ended() { return std::exchange(ended_, {}); }
  const std::deque<store::Event>& events() const { return events_; }
  size_t count(job::State state) const { return in_state(state).size(); }
  struct Waits { std::string peer, reason; auto operator<=>(const Waits&) const = default; };
  const std::map<Waits, size_t>& waiting() const { return waiting_; }  // how many wait, and what for
  const std::map<std::string, uint64_t>& finished() const { return finished_; }  // since the start, by result
  struct Published { std::string root; job::Class service; auto operator<=>(const Published&) const = default; };
  const std::map<Published, job::WallTime>& last_published() const { return last_published_; }

 private:
  void index(const job::Job& job);
  void unindex(const job::Job& job);
  void note(const job::Job& job, job::State before, job::WallTime now);
  void add(job::Job job, job::WallTime now);
  void drop_oldest();
  bool has_live_run(const job::Job& series) const;

  std::map<job::JobId, job::Job> jobs_;
  std::map<std::pair<uint32_t, std::string>, job::JobId> by_submission_;
  Ranks queued_;
  std::map<std::string, SendQueue, std::less<>> to_send_;
  ByNumber by_number_;
  std::array<ByNumber, std::size(job::kStates)> by_state_;
  CheckpointSeries checkpoints_;
  std::map<std::string, size_t> published_;    // jobs, by destination
  std::set<job::JobId> held_, ready_, recurring_, changed_, forgotten_;
  std::map<job::JobId, job::JobId> last_run_;  // of a recurring job
  std::deque<job::JobId> over_;                // in the order in which they ended
  std::vector<job::JobId> ended_;              // of those, which nobody has taken yet; as many as there may be in all
  std::map<Waits, size_t> waiting_;
  std::map<std::string, uint64_t> finished_;
  std::map<Published, job::WallTime> last_published_;
  std::deque<store::Event> events_;
  std::vector<store::Event> new_events_;
  uint64_t last_number_ = 0, last_event_ = 0, recurring_changes_ = 0;
};

}  // namespace tideway::daemon
