// SPDX-License-Identifier: Apache-2.0
//
// Puts together what GET /v1/schedule shows: the rules, the links, and who has how much of them at the moment.
// Thread: control.
#pragma once
#include "api/plan_json.h"
#include "api/tide_json.h"
#include "daemon/job_outlook.h"

#include <functional>

namespace tideway::daemon {

struct ScheduleSources {
  const JobTable& table;
  const JobRunner& runner;
  const JobOutlook& outlook;
  std::span<const api::LinkView> links;                      // as of the last look
  std::optional<uint32_t> owner;                             // whose jobs are shown; nothing: all
  job::WallTime wall;
  std::function<std::string(const job::Job&)> reason_of;     // why a job is not sending
};

inline constexpr size_t kQueuedShown = 20;  // of each peer

api::Schedule schedule_of(const ScheduleSources& from);

}  // namespace tideway::daemon
