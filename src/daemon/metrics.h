// SPDX-License-Identifier: Apache-2.0
//
// What a gateway tells a Prometheus server. Labels are configured names and fixed words only.
// Thread: control.
#pragma once
#include "daemon/audit_chain.h"
#include "daemon/checkpoints.h"
#include "daemon/job_outlook.h"
#include "daemon/job_table.h"
#include "daemon/metrics_text.h"
#include "daemon/path_watch.h"
#include "daemon/peer_sessions.h"
#include "daemon/root_room.h"
#include "daemon/store_thread.h"
#include "daemon/tide_api.h"
#include "daemon/worker_load.h"
#include "session/gateway.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tideway::daemon {

struct MetricSources {
  session::Gateway& gateway;
  const JobTable& table;
  const JobOutlook& outlook;
  const StoreThread& store;
  WorkerLoad& load;
  PathWatch& paths;
  const PeerSessions& peers;
  RootRoom& room;
  const Checkpoints& checkpoints;
  job::WallTime wall;  // for ages
  enum class Reload : uint8_t { kFailed, kOk } reload = Reload::kOk;
  const TideApi& tide;
  std::map<std::pair<std::string, std::string>, uint64_t> held;  // jobs that run, by peer and what holds them up
  std::optional<ChainEnd> audit = {};  // of the audit log, where one is written
};
std::string metrics_of(const MetricSources& sources, Time now);

// Of these: what was sent, and where the audit log ends.
void add_sent(MetricsText& out, const std::map<std::string, session::Traffic>& traffic);
void add_audit_end(MetricsText& out, const std::optional<ChainEnd>& end);

}  // namespace tideway::daemon
