// SPDX-License-Identifier: Apache-2.0
#include "daemon/api_routes.h"

namespace tideway::daemon {
namespace {

using enum Route;

constexpr RouteRow kRoutes[] = {
    {kSubmit, "POST", "/v1/jobs"},
    {kListJobs, "GET", "/v1/jobs"},
    {kSubmitCheckpoint, "POST", "/v1/checkpoints"},
    {kListCheckpoints, "GET", "/v1/checkpoints"},
    {kDeclareRange, "POST", "/v1/checkpoints/{id}/ranges"},
    {kComplete, "POST", "/v1/checkpoints/{id}/complete"},
    {kAbort, "POST", "/v1/checkpoints/{id}/abort"},
    {kRestore, "POST", "/v1/restore"},
    {kShowJob, "GET", "/v1/jobs/{id}"},
    {kChangeJob, "PATCH", "/v1/jobs/{id}"},
    {kListEntries, "GET", "/v1/jobs/{id}/entries"},
    {kPause, "POST", "/v1/jobs/{id}/pause"},
    {kResume, "POST", "/v1/jobs/{id}/resume"},
    {kCancel, "POST", "/v1/jobs/{id}/cancel"},
    {kJobEvents, "GET", "/v1/jobs/{id}/events"},
    {kEvents, "GET", "/v1/events"},
    {kPeers, "GET", "/v1/peers"},
    {kRoots, "GET", "/v1/roots"},
    {kRate, "GET", "/v1/rate"},
    {kSetRate, "PATCH", "/v1/rate"},
    {kHealth, "GET", "/v1/health"},
    {kVersion, "GET", "/v1/version"},
    {kConfig, "GET", "/v1/config"},
    {kReload, "POST", "/v1/config/reload"},
    {kMetrics, "GET", "/metrics"},
    {kPhase, "POST", "/v1/phase"},
    {kLinks, "GET", "/v1/links"},
    {kLinkRate, "GET", "/v1/links/{peer}"},
    {kSetLinkRate, "PATCH", "/v1/links/{peer}"},
    {kTide, "GET", "/v1/tide"},
    {kCheckSchedule, "POST", "/v1/schedule/check"},
    {kSchedule, "GET", "/v1/schedule"},
    {kTestPolicy, "POST", "/v1/policy/test"},
};

// The part that braces stand for; empty where there are none. Nothing: it is another path.
std::optional<std::string> match(std::string_view pattern, std::string_view path) {
  const size_t at = pattern.find('{');
  if (at == pattern.npos) return pattern == path ? std::optional<std::string>("") : std::nullopt;
  const std::string_view before = pattern.substr(0, at), after = pattern.substr(pattern.find('}') + 1);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after)) return std::nullopt;
  const std::string_view id = path.substr(before.size(), path.size() - before.size() - after.size());
  return id.find('/') == id.npos ? std::optional(std::string(id)) : std::nullopt;
}

}  // namespace

std::span<const RouteRow> routes() { return kRoutes; }

Lookup find_route(std::string_view method, std::string_view path) {
  Lookup lookup;
  for (const RouteRow& row : kRoutes) {
    auto id = match(row.path, path);
    if (!id) continue;
    lookup.is_path_known = true;
    if (row.method == method) lookup.match = Match{row.route, std::move(*id)};
  }
  return lookup;
}

}  // namespace tideway::daemon
