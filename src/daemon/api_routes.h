// SPDX-License-Identifier: Apache-2.0
//
// The requests that the API knows. docs/openapi.json has the same list.
// Thread: any. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tideway::daemon {

enum class Route : uint8_t {
  kSubmit, kSubmitCheckpoint, kListCheckpoints, kDeclareRange, kComplete, kAbort, kRestore, kListJobs, kShowJob, kChangeJob, kListEntries, kPause, kResume, kCancel, kJobEvents, kEvents,
  kPeers, kRoots, kRate, kSetRate, kHealth, kVersion, kConfig, kReload, kMetrics,
  kPhase, kLinks, kLinkRate, kSetLinkRate, kTide, kCheckSchedule, kSchedule, kTestPolicy,
};

struct RouteRow {
  Route route;
  std::string_view method, path;  // {id}, or what else stands in braces, is one part
};
std::span<const RouteRow> routes();

struct Match {
  Route route;
  std::string id;  // that part
};
struct Lookup {
  std::optional<Match> match;
  bool is_path_known = false;  // maybe with another method
};
Lookup find_route(std::string_view method, std::string_view path);

}  // namespace tideway::daemon
