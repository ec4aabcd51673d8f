// SPDX-License-Identifier: Apache-2.0
//
// config/alerts.yml, config/grafana.json and docs/observability.md speak of metrics that the gateway has, and the last of them of
// all of those. What it has is what its sources name. And docs/jobs.md and the web page know each reason for which a job may wait.
#include <tideway/schedule_policy.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace tideway::daemon {
namespace {

const std::filesystem::path kTree = std::filesystem::path(TIDEWAY_CONFIG_FOLDER).parent_path();

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return std::move(text).str();
}

constexpr std::string_view kNameLetters = "abcdefghijklmnopqrstuvwxyz0123456789_";

// What stands behind each `mark`, as far as it is made of `letters`.
std::set<std::string> all_behind(std::string_view mark, std::string_view text, std::string_view letters = kNameLetters) {
  std::set<std::string> found;
  for (size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + 1)) {
    const std::string_view rest = text.substr(at + mark.size());
    if (const size_t length = std::min(rest.find_first_not_of(letters), rest.size()); length > 0) found.emplace(rest.substr(0, length));
  }
  return found;
}

// Without "tideway_".
std::set<std::string> served() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kTree / "src/daemon"))
    if (entry.path().extension() == ".cc") names.merge(all_behind("family(\"", text_of(entry.path())));
  return names;
}

// Prometheus adds the endings of histograms and summaries.
std::string family_of(std::string name) {
  for (const std::string_view ending : {"_bucket", "_sum", "_count"})
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return name;
}

void expect_served(const std::filesystem::path& file, size_t least) {
  const auto mentioned = all_behind("tideway_", text_of(kTree / file));
  EXPECT_GE(mentioned.size(), least) << file;
  const auto names = served();
  for (const std::string& name : mentioned) EXPECT_TRUE(names.contains(family_of(name))) << file << " speaks of tideway_" << name;
}

TEST(WatchingFiles, AlertsSpeakOfMetricsThatAreServed) { expect_served("config/alerts.yml", 8); }

TEST(WatchingFiles, TheDashboardSpeaksOfMetricsThatAreServed) {
  expect_served("config/grafana.json", 20);
  const std::string text = text_of(kTree / "config/grafana.json");
  EXPECT_NE(text.find("\"name\": \"DS_PROMETHEUS\""), text.npos);
  const std::set<std::string> uids{"tideway-gateways", "${DS_PROMETHEUS}"};
  EXPECT_EQ(all_behind("\"uid\": \"", text, "abcdefghijklmnopqrstuvwxyz-${}DS_PROMETHEUS"), uids);
}

TEST(WatchingFiles, EveryMetricIsDocumentedAndNoOther) {
  const std::string text = text_of(kTree / "docs/observability.md");
  const size_t from = text.find("## Metrics"), to = text.find("\n## ", from + 1);
  ASSERT_NE(from, text.npos);
  std::set<std::string> documented;
  std::istringstream lines(text.substr(from, to - from));
  for (std::string line; std::getline(lines, line);)  // the first column of its table
    if (line.starts_with("| `")) documented.merge(all_behind("`", line.substr(0, line.find('|', 1))));
  EXPECT_EQ(documented, served());
}

TEST(WatchingFiles, EveryReasonIsDocumentedAndHasWordsOnThePage) {
  const std::string text = text_of(kTree / "docs/jobs.md");
  const size_t from = text.find("**Why a job waits**"), to = text.find("\nA job that waits for something else", from);
  ASSERT_TRUE(from != text.npos && to != text.npos);
  std::set<std::string> documented;
  std::istringstream lines(text.substr(from, to - from));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("| `")) documented.merge(all_behind("`", line.substr(0, line.find('|', 1))));
  std::set<std::string> reasons(std::begin(kHoldReasons), std::end(kHoldReasons));
  for (const char* by_code : {"", "peer_lost", "policy_denied"}) reasons.erase(by_code);  // which waits with the code of an error
  for (const char* of_later : {"lease_lost", "residency"}) reasons.erase(of_later);
  EXPECT_EQ(documented, reasons);
  const auto on_page = all_behind("\n  ", text_of(kTree / "apps/tidewayd/web/reasons.js"));
  for (const std::string& reason : documented) EXPECT_TRUE(reason == "gate" || on_page.contains(reason)) << reason;
}

}  // namespace
}  // namespace tideway::daemon
