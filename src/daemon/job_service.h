// SPDX-License-Identifier: Apache-2.0
//
// The queue of a gateway with all that belongs to it: the store, the table, the sessions, the runner and the API. It is driven by
// the loop of the daemon, after the gateway's own turn.
// Thread: control.
#pragma once
#include "daemon/api.h"
#include "daemon/standing_sessions.h"

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tideway::daemon {

// What a reload may change.
struct JobRules {
  std::vector<session::PeerConfig> peers;
  std::vector<LocalGrant> grants;
  ShareRules shares;
};

struct JobServiceConfig {
  ApiConfig api;
  JobRules rules;
  std::string state_dir;
  PhasePort* phases = nullptr;  // null: no training is configured. It outlives the service
  std::vector<LinkAbout> links;
  std::shared_ptr<const engine::Gates> gates;  // of the links
  std::vector<WatchConfig> watches;
  session::AuditSink audit = {};
  std::function<ChainEnd()> audit_end = {};  // empty: no audit log is written
};

class JobService {
 public:
  // Without an API socket nothing is kept, because nobody can submit. Errors: state_newer, store_unavailable, config_invalid.
  static Result<std::unique_ptr<JobService>> start(JobServiceConfig config, session::Gateway& gateway, std::function<Status()> reload);
  ~JobService();

  void take_up(JobRules rules, LocalGrants grants) {
    peers_.set_peers(std::move(rules.peers));
    runner_.take_up(std::move(rules.shares));
    standing_of_.reset();
    grants_ = std::move(grants);
    refuse_what_is_not_granted();
  }
  void reload_ended(const Status& status) { api_->reload_ended(status); }

  std::vector<int> wait_fds() const;
  Time next_deadline(Time now) const;
  void turn(Time now);
  // For good. What runs is queued again, for the next start.
  void stop(Time now);

 private:
  JobService(session::Gateway& gateway, JobServiceConfig& config, store::Contents contents);
  Status begin(JobServiceConfig config, session::Gateway& gateway, std::function<Status()> reload);
  void refuse_what_is_not_granted();
  const std::set<StandingSessions::Line>& standing_lines();
  void write_changes() { store_->write(table_.take_changes()); }

  session::Gateway& gateway_;
  PeerSessions peers_;
  StandingSessions standing_;
  std::set<StandingSessions::Line> standing_lines_;
  std::optional<uint64_t> standing_of_;  // changes of recurring jobs that are in them
  JobTable table_;
  JobRunner runner_;
  LeftoverFile leftover_;
  JobOutlook outlook_;
  LocalGrants grants_;
  std::vector<WatchConfig> watches_;
  std::unique_ptr<StoreThread> store_;
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<Checkpoints> checkpoints_;
  std::unique_ptr<Api> api_;
};

}  // namespace tideway::daemon
