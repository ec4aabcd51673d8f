// SPDX-License-Identifier: Apache-2.0
#include "daemon/web_page.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

constexpr WebFile kFiles[] = {{"/", "text/html", "<p>"}, {"/page.js", "text/javascript", "1"}};

http::Request request(std::string method, std::string path, std::string host = "localhost:7480") {
  http::Request made;
  made.method = std::move(method);
  made.path = std::move(path);
  made.host = std::move(host);
  return made;
}
WebAnswer judge(const http::Request& asked) { return judge_web_request(asked, kFiles); }
unsigned refusal(const WebAnswer& answer) {
  const auto* refused = std::get_if<WebRefusal>(&answer);
  return refused == nullptr ? 0 : refused->status;
}

TEST(WebPage, HasItsFilesAndNoOthers) {
  const auto page = judge(request("GET", "/"));
  ASSERT_TRUE(std::holds_alternative<const WebFile*>(page));
  EXPECT_EQ(std::get<const WebFile*>(page), &kFiles[0]);
  EXPECT_EQ(refusal(judge(request("GET", "/page.css"))), 404U);
  EXPECT_EQ(refusal(judge(request("GET", "/../etc/passwd"))), 404U);
}

TEST(WebPage, ReadsOfTheApiWhatIsListed) {
  const auto job = judge(request("GET", "/v1/jobs/7b1e"));
  ASSERT_TRUE(std::holds_alternative<Match>(job));
  EXPECT_EQ(std::get<Match>(job).route, Route::kShowJob);
  EXPECT_EQ(std::get<Match>(job).id, "7b1e");
  for (const char* told : {"/v1/events", "/v1/links", "/v1/tide"}) EXPECT_TRUE(std::holds_alternative<Match>(judge(request("GET", told)))) << told;
  for (const char* kept : {"/v1/config", "/metrics", "/v1/jobs/7b1e/pause"}) EXPECT_EQ(refusal(judge(request("GET", kept))), 403U) << kept;
}

TEST(WebPage, TakesNothingButGet) {
  for (const RouteRow& row : routes())
    if (row.method != "GET") {
      EXPECT_EQ(refusal(judge(request(std::string(row.method), std::string(row.path)))), 405U) << row.method << ' ' << row.path;
    }
  EXPECT_EQ(refusal(judge(request("POST", "/"))), 405U);
  EXPECT_EQ(refusal(judge(request("HEAD", "/"))), 405U);
}

// A page of evil.example whose name suddenly means 127.0.0.1 sends its own name.
TEST(WebPage, RefusesWhoCallsItByAnotherName) {
  for (const char* ours : {"localhost", "localhost:9000", "127.0.0.1:7480", "127.0.0.1", "127.1.2.3:1", "[::1]:7480", "[::1]"})
    EXPECT_EQ(refusal(judge(request("GET", "/", ours))), 0U) << ours;
  for (const char* theirs : {"", "evil.example", "evil.example:7480", "10.0.0.1:7480", "localhost.evil.example", "127.0.0.1.evil.example:7480", "[::2]:7480", "[fe80::1", "[::1]evil", ":7480"})
    EXPECT_EQ(refusal(judge(request("GET", "/", theirs))), 421U) << theirs;
}

TEST(WebPage, TellsTheBrowserToLoadNothingFromElsewhere) {
  for (const auto& [name, value] : web_headers())
    if (name == "Content-Security-Policy") {
      EXPECT_TRUE(value.starts_with("default-src 'none'; ")) << value;
      EXPECT_EQ(value.find("unsafe"), value.npos);
      return;
    }
  FAIL() << "there is no policy";
}

}  // namespace
}  // namespace tideway::daemon
