// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of trainers as jobs. One job per destination, which waits until the checkpoint is complete and held, then goes as any
// other; a newer one takes the place of an older one that has not got far; the pin goes when the last of them is over; and pointers
// follow when what they point to is there. Series, step and destination are the key: whoever speaks of a checkpoint, a hook, a watch or
// the inbox, it is sent once.
// Thread: control.
#pragma once
#include "api/checkpoint_json.h"
#include "daemon/ahead.h"
#include "daemon/checkpoint_thread.h"
#include "daemon/intake.h"
#include "daemon/job_runner.h"
#include "daemon/local_grants.h"
#include "daemon/replica_search.h"
#include "daemon/retention.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace tideway::daemon {

// `include` of a restore: patterns of files from the top of the checkpoint on. What lies deeper needs the directories above it, which are
// entered then. "**" is all.
std::vector<job::Filter> filters_of(const std::vector<std::string>& include);

class Checkpoints {
 public:
  struct Parts {
    const session::Roots& roots;
    PeerSessions& peers;
    JobTable& table;
    JobRunner& runner;
    Intake& intake;
    const LocalGrants& grants;
  };
  // The body of the answer. Errors are as the API says them.
  using Answer = std::function<void(const Result<std::string>&)>;
  struct Now {
    Time time{};
    job::WallTime wall{};
  };

  // Errors: overloaded.
  static Result<std::unique_ptr<Checkpoints>> start(const Parts& parts, CheckpointThreadConfig config, job::WallTime now);

  struct Submission {
    const api::CheckpointRequest& request;
    const http::Caller& caller;
    enum class Pin : uint8_t { kUnseen, kSeen } pin = Pin::kUnseen;  // kSeen: on disk, and the caller's
    std::optional<job::WallTime> written = {};                       // the newest of its files, once somebody has looked
  };
  void submit(const Submission& submission, Now now, Answer answer);

  // Of a checkpoint that was submitted as a growing one. Where it is none any more, after a restart or because somebody completed it, its
  // rule decides when it is complete, and each of these is fine to say. Errors: usage: it is the job of no checkpoint.
  Status declare(const job::JobId& id, const api::DeclaredRange& range);
  struct Completion {
    const std::string& pin;  // of the trainer, if it made one
    const http::Caller& caller;
  };
  Status complete(const job::JobId& id, const Completion& completion, Now now);
  Status abort(const job::JobId& id, Now now);
  void stop(Time now) { ahead_.stop(now); }

  struct Restore {
    const api::RestoreRequest& request;
    const http::Caller& caller;
  };
  void restore(const Restore& restore, Now now, Answer answer);

  struct Interest {
    std::string series, state;        // empty: all
    std::optional<uint32_t> owner;
  };
  std::vector<api::CheckpointRow> list(const Interest& interest) const;

  int wait_fd() const { return thread_->wait_fd(); }
  Time next_deadline() const { return std::min({search_.next_deadline(), retention_.next_deadline(), ahead_.next_deadline(), next_failed()}); }
  void turn(Now now);

  struct Counts {
    uint64_t pinned = 0, guarded = 0;  // since the start; guarded: read in place
    size_t inbox_pending = 0;
    std::map<std::string, job::WallTime> saved_at;  // by series, of the newest that is published, else of the first; of a watch that has found none, its start
    std::map<std::string, std::chrono::milliseconds> rpo;  // by series, where it has one
  };
  Counts counts() const;

 private:
  // A pin as the jobs of one user name it. Names can be read by others, so what two users call the same is held for each by itself.
  struct PinKey {
    std::string pin;
    uint32_t owner = 0;  // uid that must have made it; 0: anybody may
    auto operator<=>(const PinKey&) const = default;
  };
  Checkpoints(const Parts& parts, std::vector<WatchConfig> watches, job::WallTime now)
      : parts_(parts), search_(parts.peers), retention_(parts.peers, parts.table), ahead_({parts.roots, parts.peers, parts.table, parts.runner}), watches_(std::move(watches)), begun_(now) {}
  void take_up();
  Result<std::vector<JobTable::Submission>> read(const Submission& submission) const;
  Status check_pin(const Submission& submission) const;
  bool is_of_another_save(const job::Job& job, const Submission& asked) const;
  const job::Job* known_job(const JobTable::Submission& submission, const Submission& asked) const;
  void need(const job::Job& job);
  void follow(const std::vector<JobTable::Taken>& taken);
  void follow_growing(const std::vector<JobTable::Taken>& taken);
  void order_hold(const job::Job& job);
  void ask_what_is_held(const job::Job& job);
  void on_event(CheckpointEvent& event, Now now);
  void on_held(const HoldAnswered& answered, Now now);
  void on_grew(Grew& grew, Now now);
  bool end_growth(const PinKey& pin, Time now);  // false: it was none
  void hold_by(const PinKey& pin, const std::string& by_trainer, Now now);
  void on_found(const Found& found, Now now);
  void on_inbox(const InboxRequest& request, Now now);
  void on_pointer(const PointerHeld& held, job::WallTime wall);
  bool is_doomed(const job::Job& job) const;
  void supersede_older(const job::Job& newer, Now now);
  void give_way(const job::JobId& older, const job::JobId& newer, Now now);
  void bound_pins(const job::Job& newest, Now now);
  void on_over(const job::Job& job, Now now);
  static uint32_t trainer_of(const job::Job& job);
  static DropPin drop_of(const job::Job& job, const std::string& pin);
  static PinKey key_of(const job::Job& job) { return {job.pin, drop_of(job, job.pin).owner}; }
  std::vector<const job::Job*> jobs_that_name(const std::string& pin) const;
  bool is_needed(const DropPin& drop) const;
  void drop_unused_pin(const DropPin& drop);
  std::string accepted(const std::vector<job::JobId>& ids, job::State before) const;
  const job::Job* waiting_job(const job::SparePin& spare) const;
  void submit_known(const Submission& submission, std::vector<job::JobId> ids, Now now, Answer answer);
  std::optional<uint64_t> ask(const Submission& submission, const Answer& answer);  // the number of the question; none: it is answered
  void ask_for_pin(const Submission& submission, const Answer& answer);
  void ask_when_written(const Submission& submission, const Answer& answer);
  void on_pin_seen(const PinSeen& seen, Now now);
  void on_save_seen(const SaveSeen& seen, Now now);
  bool add_spare(const job::JobId& id, const job::SparePin& spare, job::WallTime wall);
  void forget_spare(const job::JobId& id, const job::SparePin& spare, job::WallTime wall);
  void drop_spare(const job::SparePin& spare);
  bool pass_on(const job::SparePin& spare, job::WallTime wall);
  void look_at_spares(const job::JobId& id, Now now);
  void submit_spare(const job::JobId& id, const job::SparePin& spare, Now now);
  void look_at_failed(Now now);
  Time next_failed() const;
  void drop_idle(const PinsIdle& idle);
  void ask_for_pointers(const job::Job& job);
  void answer_inbox(const InboxRequest& request, const Result<std::string>& answer);
  void restore_into(const InboxRequest& request, Now now);
  void submit_job(const InboxRequest& request, job::WallTime wall);
  void take_restore(const api::RestoreRequest& request, const http::Caller& caller, Now now, const Answer& answer, std::vector<session::Replica> replicas);
  std::vector<session::Replica> replicas_of(const std::string& series) const;
  std::set<std::string> known_names(const WatchConfig& watch) const;

  Parts parts_;
  ReplicaSearch search_;
  Retention retention_;
  Ahead ahead_;
  std::vector<WatchConfig> watches_;
  job::WallTime begun_;
  std::unique_ptr<CheckpointThread> thread_;
  std::set<job::JobId> live_;                          // checkpoints and pointers that are not over
  std::map<PinKey, std::set<job::JobId>> pins_;        // by whom they are needed
  std::set<PinKey> growing_;                           // of those, what nobody has called complete
  std::map<std::string, Bytes> pin_bytes_;             // of those made since the start
  std::map<job::JobId, job::WallTime> written_;        // of what these hold or held, as far as kept; of what is published, since the start
  std::vector<job::JobId> arrived_;                    // held since the last turn
  std::vector<job::JobId> left_spares_;                // an earlier process did not get to those of these
  std::map<job::JobId, Time> failed_;                  // that have spares yet, and when those are submitted again
  std::set<PinKey> unstored_;                          // spares that the store has not answered for
  struct Asked {
    api::CheckpointRequest request;
    http::Caller caller;
    Answer answer;
    std::optional<job::WallTime> written;
  };
  std::map<uint64_t, Asked> asked_;                    // what waits for a look at the disk, by the number of the question
  std::map<uint64_t, job::JobId> held_before_;         // in the same way, of what was held before the start
  uint64_t last_asked_ = 0;
  uint64_t pins_made_ = 0, pins_guarded_ = 0;
};

}  // namespace tideway::daemon
