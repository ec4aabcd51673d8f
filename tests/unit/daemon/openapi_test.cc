// SPDX-License-Identifier: Apache-2.0
//
// docs/openapi.json and the server name the same requests.
#include "daemon/api_routes.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>

namespace tideway::daemon {
namespace {

// "GET /v1/jobs" of the file. It is written with one space for each level, so a line says what it is.
std::set<std::string> documented() {
  std::ifstream file(TIDEWAY_TEST_VECTORS "/../openapi.json");
  const std::regex path(R"re(^  "(/[^"]*)": \{$)re"), method(R"re(^   "(get|post|patch|put|delete)": \{$)re");
  std::set<std::string> all;
  std::string at;
  std::smatch found;
  for (std::string line; std::getline(file, line);) {
    if (std::regex_match(line, found, path)) at = found[1];
    if (!std::regex_match(line, found, method)) continue;
    std::string name = found[1];
    for (char& c : name) c = static_cast<char>(std::toupper(c));
    all.insert(name + ' ' + at);
  }
  return all;
}

TEST(OpenApi, NamesTheRoutesOfTheServerAndNoOthers) {
  std::set<std::string> served;
  for (const RouteRow& row : routes()) served.insert(std::string(row.method) + ' ' + std::string(row.path));
  EXPECT_EQ(documented(), served);
}

TEST(Routes, AreFoundWithTheIdInTheirPath) {
  struct Row {
    std::string_view method, path, id;
    std::optional<Route> route;
  };
  const Row kTable[] = {
      {"POST", "/v1/jobs", "", Route::kSubmit},
      {"GET", "/v1/jobs", "", Route::kListJobs},
      {"GET", "/v1/jobs/7b1e", "7b1e", Route::kShowJob},
      {"PATCH", "/v1/jobs/7b1e", "7b1e", Route::kChangeJob},
      {"POST", "/v1/jobs/7b1e/pause", "7b1e", Route::kPause},
      {"GET", "/v1/jobs/7b1e/events", "7b1e", Route::kJobEvents},
      {"GET", "/v1/links", "", Route::kLinks},
      {"PATCH", "/v1/links/wisconsin", "wisconsin", Route::kSetLinkRate},
      {"GET", "/v1/schedule", "", Route::kSchedule},
      {"POST", "/v1/policy/test", "", Route::kTestPolicy},
      {"GET", "/metrics", "", Route::kMetrics},
      {"GET", "/v1/jobs/", "", std::nullopt},
      {"GET", "/v1/jobs/a/b/events", "", std::nullopt},
      {"POST", "/v1/jobs//pause", "", std::nullopt},
      {"DELETE", "/v1/jobs/7b1e", "", std::nullopt},
      {"GET", "/", "", std::nullopt},
      {"GET", "", "", std::nullopt},
  };
  for (const Row& row : kTable) {
    const Lookup lookup = find_route(row.method, row.path);
    ASSERT_EQ(lookup.match.has_value(), row.route.has_value()) << row.method << ' ' << row.path;
    if (!row.route) continue;
    EXPECT_EQ(lookup.match->route, *row.route) << row.path;
    EXPECT_EQ(lookup.match->id, row.id) << row.path;
  }
  EXPECT_TRUE(find_route("DELETE", "/v1/jobs/7b1e").is_path_known);
  EXPECT_FALSE(find_route("GET", "/v2").is_path_known);
}

}  // namespace
}  // namespace tideway::daemon
