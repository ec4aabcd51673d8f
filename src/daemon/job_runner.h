// SPDX-License-Identifier: Apache-2.0
//
// Runs the jobs of the queue: starts those whose turn it is, watches them, and says what became of each. A job whose peer went
// away, or whose destination is full, tries again by itself; the sink has what came before, so it goes on from there.
// Thread: control.
#pragma once
#include "api/job_view.h"
#include "base/random.h"
#include "daemon/away_peers.h"
#include "daemon/gather.h"
#include "daemon/job_request.h"
#include "daemon/job_table.h"
#include "daemon/link_shares.h"
#include "daemon/places.h"
#include "daemon/retries.h"
#include "daemon/use_meter.h"

#include <algorithm>
#include <list>
#include <map>
#include <optional>

namespace tideway::daemon {

job::Outcome to_outcome(const engine::TransferDone::Outcome& done, const session::CopyNumbers& numbers, Duration took);

class JobRunner {
 public:
  JobRunner(session::Gateway& gateway, PeerSessions& peers, JobTable& table, ShareRules rules, uint64_t seed)
      : gateway_(gateway), peers_(peers), table_(table), shares_(std::move(rules)), random_(seed), away_(seed) {}
  ~JobRunner();

  void turn(Time now, job::WallTime wall);
  Time next_deadline() const;

  // Each is fine to repeat. False: there is no such job.
  bool pause(const job::JobId& id, Time now, job::WallTime wall);
  bool resume(const job::JobId& id, Time now, job::WallTime wall);
  bool cancel(const job::JobId& id, Time now, job::WallTime wall);
  // It is not to go on, whatever it does: it fails with `why`.
  void refuse(const job::JobId& id, const Error& why, Time now, job::WallTime wall);
  bool set_rate(const job::JobId& id, Rate rate, Time now, job::WallTime wall);
  struct Rank {  // nothing: as it is
    std::optional<job::Class> service;
    std::optional<uint32_t> weight;
    std::optional<std::optional<job::WallTime>> deadline;
  };
  bool set_rank(const job::JobId& id, const Rank& rank, Time now, job::WallTime wall);
  // How a running job with a deadline is to go on. A change of mode takes it to another session, from where it is.
  struct Steer {
    Mode mode = Mode::kScavenge;
    std::optional<Time> due;
    Rate in_bursts{};  // of kHybrid: what it may send while a training communicates
  };
  void steer(const job::JobId& id, const Steer& steer, Time now, job::WallTime wall);
  void set_ceiling(std::string peer, const LinkShares::Ceiling& ceiling) {
    shares_.set_ceiling(std::move(peer), ceiling);
    next_deal_ = Time{};
  }
  // Of the link to that peer, since some moment.
  void see_gate(const std::string& peer, const GateTime& gate) { gates_[peer] = gate; }
  // Called with each job whose end is visible, there or here.
  void on_published(std::function<void(const job::Job&)> tell) { tell_published_ = std::move(tell); }
  // From the next deal on. What set_ceiling() said for good is forgotten.
  void take_up(ShareRules rules);
  // What runs is left as it is, and queued, for whoever starts the gateway again.
  void stop(Time now, job::WallTime wall);

  std::optional<api::Progress> progress(const job::JobId& id) const;
  // Why a job that could run is not running, one of kHoldReasons; empty: nothing holds it.
  // While it runs, the gate has the word, and then what slows it.
  std::string_view held_by(const job::Job& job, job::WallTime wall) const;
  std::string_view slowed_by(const job::Job& job) const;
  const LinkShares& shares() const { return shares_; }
  // What is still to be sent of a job that runs; nothing: it does not run, or is not known yet.
  std::optional<Bytes> left_of(const job::JobId& id) const;
  Mode mode_of(const job::Job& job) const;
  // What may go ahead of it: what those that run leave of its peer's and its class's limits, and a little, so that it never stands still.
  Rate ahead_of(const job::Job& job, job::WallTime wall) const;
  bool is_gated(const job::Job& job) const { return !modes_.contains(job.id) && shares_.is_gated(job.spec.service); }
  session::Manners manners_of(job::Class service) const { return shares_.is_gated(service) ? session::Manners::kYields : session::Manners::kInsists; }
  // Of a job that sends: what the last deal gave it, and what it sent before that.
  struct Share { Rate given, sent; };
  std::optional<Share> share_of(const job::JobId& id) const;
  size_t running() const { return running_.size() + gathering_.size(); }
  size_t running_with(std::string_view peer) const { return static_cast<size_t>(std::ranges::count(running_, peer, &Running::peer) + std::ranges::count(gathering_, peer, &Gathering::peer)); }
  std::vector<job::JobId> running_ids() const;

 private:
  struct Running {
    job::JobId id;
    std::string peer;
    job::Turn turn;
    session::Session* session = nullptr;
    PeerSessions::Use use{};
    std::shared_ptr<session::Transfer> transfer{};
    Time started{};
    bool was_up = false;
    uint64_t packets_sent = 0, packets_lost = 0;  // by the session, before this job
    std::vector<job::EntryProblem> problems{};
    uint64_t number = 0;                   // of its submission
    uint32_t weight = 1;
    Rate most = Rate::unlimited();         // its own limit
    Rate given = Rate::unlimited(), sent{};  // what the last deal gave it, and what it sent lately
    double open_share = 1;                   // of the time in which it sent that
    Rate given_then = Rate::unlimited();     // what it had when that was measured; unlimited: it has not been yet
    Steer steer{};
    HoldReason held_to = HoldReason::kNone;  // a rate, at the last deal
    std::vector<job::SourceShare> gathered{};  // before it began, from several sources
    Bytes reached_before{};                    // by that
    bool pushes() const { return transfer->role == session::Role::kSource; }
  };
  using Place = std::list<Running>::iterator;
  // A job that runs, and whose own transfer is still to begin.
  struct Gathering {
    job::JobId id;
    std::string peer;
    job::Turn turn;
    Time started{};
    std::unique_ptr<Gather> gather;
  };

  void settle(Time now, job::WallTime wall);
  void judge_carrier(const Running& running);
  void change_carrier(Place place, Time now, job::WallTime wall);
  void wake(Time now);  // what waited long enough
  void start_queued(Time now, job::WallTime wall);
  Places places_at(const std::string& peer) const;
  bool has_room(const job::Job& job, job::WallTime wall) const;
  void stop_paused(Time now, job::WallTime wall);
  void deal(Time now, job::WallTime wall);
  void measure(Time now);
  void start(const job::JobId& id, Time now, job::WallTime wall);
  Result<Running> ask(const job::Job& job, Time now, job::WallTime wall);
  void launch(const job::JobId& id, Time now, job::WallTime wall, const Gathering* gathered);
  bool begin_gather(const job::Job& job, Time now, job::WallTime wall);
  void leave_closed_links(Time now, job::WallTime wall);   // of those that jobs are gathered over
  void turn_gathers(Time now, job::WallTime wall);
  bool leave_gather(const job::JobId& id, Time now);       // false: it gathers nothing
  const Gather* gather_of(const job::JobId& id) const;
  void finish(Place place, Time now, job::WallTime wall);
  void leave(Place place, Time now);                      // tells the peer, and forgets the attempt
  void requeue(const job::JobId& id, job::WallTime wall); // what ran waits for its turn, and goes on from where it was
  void requeue(Place place, Time now, job::WallTime wall);
  void stumble(const job::JobId& id, const Error& why, Time now, job::WallTime wall, job::Progressed progressed);
  void seek(Time now);  // peers that are away
  void forget_retry(const job::JobId& id);
  bool try_next_source(const job::JobId& id, const Error& why, job::WallTime wall);
  void keep_problems(Running& running, job::WallTime wall);
  void take_off(const job::JobId& id, Time now, job::WallTime wall);  // it runs no more, and is not tried again by itself
  Place find(const job::JobId& id);
  const Running* running_job(const job::JobId& id) const;  // null: it does not run, or is still gathered
  session::CopyNumbers numbers_of(const Running& running) const;

  session::Gateway& gateway_;
  PeerSessions& peers_;
  JobTable& table_;
  LinkShares shares_;
  std::map<std::string, GateTime, std::less<>> gates_;  // by peer
  UseMeter meter_;                                      // of sessions
  Time next_deal_{};
  Random random_;
  std::map<job::JobId, Mode> modes_;         // of jobs that are not in the mode of their class
  std::list<Running> running_;               // callbacks of transfers point into it
  std::list<Gathering> gathering_;           // the same
  Retries retries_;
  AwayPeers away_;
  std::function<void(const job::Job&)> tell_published_;
  std::map<std::string, session::Session*> probes_;  // by peer that is away: a session that asks whether it is back
};

}  // namespace tideway::daemon
