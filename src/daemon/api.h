// SPDX-License-Identifier: Apache-2.0
//
// The HTTP interface of a gateway: on the unix socket everything, by who asks; on the TCP port for metrics those alone; on the one for the
// page what web_page.h says. It runs in the loop of the control thread, so what it asks for is done when the call returns, and only a submission waits for the disk.
// Thread: control.
#pragma once
#include "api/service_json.h"
#include "daemon/api_routes.h"
#include "daemon/checkpoints.h"
#include "daemon/event_feed.h"
#include "daemon/job_outlook.h"
#include "daemon/local_grants.h"
#include "daemon/metrics.h"
#include "daemon/tide_api.h"
#include "daemon/web_page.h"
#include "http/server.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace tideway::daemon {

struct ApiConfig {
  std::string socket;                    // empty: no API
  std::optional<Endpoint> metrics, web;
  std::span<const WebFile> web_files;
  std::string file;                      // the configuration
  std::vector<std::string> sections;     // of it
  std::vector<session::RootConfig> roots;
};

// What the API acts upon.
struct ApiParts {
  session::Gateway& gateway;
  PeerSessions& peers;
  JobTable& table;
  JobRunner& runner;
  const JobOutlook& outlook;
  StoreThread& store;
  Intake& intake;
  Checkpoints& checkpoints;
  std::function<Status()> reload;
  PhasePort* phases;  // null: no training is configured
  LinkSources links;
  session::AuditSink audit = {};
  std::function<ChainEnd()> audit_end = {};  // empty: no audit log is written
};

class Api {
 public:
  static constexpr size_t kPageDefault = 100, kPageMax = 1000;

  // Errors: config_invalid: a socket that cannot be listened on.
  // `grants` outlives it, and changes with a reload.
  static Result<std::unique_ptr<Api>> start(ApiConfig config, ApiParts parts, const LocalGrants& grants);

  void reload_ended(const Status& status);

  std::vector<int> wait_fds() const;
  Time next_deadline(Time now) const;
  void turn(Time now, job::WallTime wall);
  const LinkSampler& links() const { return tide_.sampler(); }

 private:
  Api(ApiConfig config, ApiParts parts, const LocalGrants& grants)
      : config_(std::move(config)), parts_(std::move(parts)), grants_(grants), feed_(parts_.table, parts_.runner), tide_(parts_.links, parts_.phases), room_(work_at_roots()) {}
  struct Call {
    const std::shared_ptr<http::Exchange>& exchange;
    const http::Caller& caller;
    std::string id;  // of the job in the path, or the name of the peer there
  };
  using Answer = std::optional<http::Response>;  // nothing: it comes later

  void on_request(const std::shared_ptr<http::Exchange>& exchange);
  MetricSources metric_sources();
  void on_metrics_request(const std::shared_ptr<http::Exchange>& exchange);
  void on_web_request(const std::shared_ptr<http::Exchange>& exchange);
  using Listener = void (Api::*)(const std::shared_ptr<http::Exchange>&);
  Status serve(Result<http::ListenSocket> socket, Listener listener, http::Headers headers = {});
  Answer dispatch(Route route, const Call& call);
  Answer on_job(Route route, const Call& call, const job::Job& job);
  template <typename Act>
  void note_cancel(const Call& call, Act act) const;
  Answer submit(const Call& call);
  http::Response check_schedule(const Call& call) const;
  http::Response schedule(const Call& call) const;
  http::Response test_policy(const Call& call) const;
  Answer submit_checkpoint(const Call& call);
  Answer grow(Route route, const Call& call);
  Answer restore(const Call& call);
  http::Response list_checkpoints(const Call& call) const;
  Result<JobTable::Submission> read_submission(const Call& call) const;
  http::Response list(const Call& call) const;
  http::Response change(const Call& call, const job::Job& job);
  http::Response rate() const;
  http::Response set_rate(const Call& call);
  http::Response link_rate(Route route, const Call& call);
  http::Response peers() const;
  http::Response roots();
  http::Response health() const;
  http::Response reload(const Call& call);
  api::JobView view_of(const job::Job& job) const;
  std::string held_by(const job::Job& job) const;
  std::map<std::pair<std::string, std::string>, uint64_t> held_jobs() const;  // of those that run, by peer and reason
  std::string view(const job::JobId& id) const;
  std::map<std::string, RootRoom::Work> work_at_roots() const;

  ApiConfig config_;
  ApiParts parts_;
  const LocalGrants& grants_;
  EventFeed feed_;
  TideApi tide_;
  WorkerLoad load_;
  PathWatch paths_;
  RootRoom room_;
  std::optional<Error> reload_failed_;
  Time now_{};
  job::WallTime wall_{};
  Rate rate_after_ = Rate::unlimited();  // comes back then
  Time rate_ends_at_ = kNever;
  std::vector<std::unique_ptr<http::Server>> servers_;  // last: they answer what waits when they end
};

}  // namespace tideway::daemon
