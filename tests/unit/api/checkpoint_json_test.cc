// SPDX-License-Identifier: Apache-2.0
#include "api/checkpoint_json.h"

#include <gtest/gtest.h>

namespace tideway::api {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kFull =
    R"({"submission_id":"4f","series":"llm7","step":9000,"path":"ckpt:runs/llm7/iter_0009000","pin":"4f","format":"megatron",)"
    R"("to":["wisconsin:ckpt/runs/llm7"],"rpo":"30m","publish":"rename","pointers":["latest_checkpointed_iteration.txt"],)"
    R"("supersede":"latest","member":[0,1],"labels":{}})";

std::string trouble(std::string_view body) {
  const auto request = parse_checkpoint(body);
  return request.ok() ? "" : std::string(request.error().name()) + ": " + request.error().what;
}

TEST(CheckpointJson, WhatAHookSaysIsRead) {
  const auto request = parse_checkpoint(kFull);
  ASSERT_TRUE(request.ok()) << request.error().what;
  EXPECT_EQ(request.value().path, "ckpt:runs/llm7/iter_0009000");
  EXPECT_EQ(request.value().step, 9000U);
  EXPECT_EQ(request.value().rpo, 30min);
  EXPECT_EQ(request.value().to, std::vector<std::string>{"wisconsin:ckpt/runs/llm7"});
  EXPECT_EQ(request.value().supersede, job::Checkpoint::Supersede::kLatest);
}

TEST(CheckpointJson, WhatAHookSaysIsReadAsItIsWritten) {
  for (const std::string_view body : {kFull, std::string_view(R"({"path":"a:b/c","to":["w:d/e","o:d/e"],"rpo":"90s","supersede":"all","world":8,"keep":3,"labels":{"team":"a"},"deadline":"2027-01-01T00:00:00.250Z"})"),
                                      std::string_view(R"({"path":"a:b/c","to":["w:d/e"],"growing":true})")}) {
    const auto request = parse_checkpoint(body);
    ASSERT_TRUE(request.ok()) << request.error().what;
    const auto again = parse_checkpoint(to_json(request.value()));
    ASSERT_TRUE(again.ok()) << again.error().what;
    EXPECT_EQ(to_json(again.value()), to_json(request.value()));
    EXPECT_EQ(std::tie(again.value().to, again.value().rpo, again.value().world, again.value().keep, again.value().deadline, again.value().supersede, again.value().source, again.value().pin, again.value().labels),
              std::tie(request.value().to, request.value().rpo, request.value().world, request.value().keep, request.value().deadline, request.value().supersede, request.value().source, request.value().pin, request.value().labels));
  }
}

TEST(CheckpointJson, WhatNothingObeysYetIsRefusedAndNotPassedOver) {
  const auto with = [](const std::string& field) { return R"({"path":"a:b/c","to":["w:d/e"],)" + field + "}"; };
  EXPECT_EQ(trouble(with(R"("member":[0,1])")), "");
  EXPECT_EQ(trouble(with(R"("keep":null)")), "");
  EXPECT_EQ(trouble(with(R"("growing":false)")), "");
  for (const char* field : {R"("member":[1,2])", R"("member":7)"})
    EXPECT_EQ(trouble(with(field)).substr(0, 12), "unsupported:") << field;
  for (const char* field : {R"("mood":1)", R"("rpo":"30")", R"("supersede":"none")", R"("step":-1)", R"("keep":0)", R"("deadline":"soon")", R"("to":"w:d/e")"}) EXPECT_EQ(trouble(with(field)).substr(0, 6), "usage:") << field;
  for (const char* body : {"", "[]", "{}", R"({"path":"a:b"})", R"({"path":"a:b","to":[]})"}) EXPECT_EQ(trouble(body).substr(0, 6), "usage:") << body;
}

TEST(CheckpointJson, OneThatGrowsIsTakenWithoutAPin) {
  const auto request = parse_checkpoint(R"({"path":"a:b/c","to":["w:d/e"],"growing":true})");
  ASSERT_TRUE(request.ok()) << request.error().what;
  EXPECT_EQ(request.value().source, CheckpointRequest::Source::kGrowing);
  EXPECT_EQ(trouble(R"({"path":"a:b/c","to":["w:d/e"],"growing":true,"pin":"4f"})").substr(0, 6), "usage:");
}

TEST(CheckpointJson, WhatIsSaidOfOneThatGrowsIsRead) {
  const auto range = parse_range(R"({"path":"a/b","offset":4096,"length":77})");
  ASSERT_TRUE(range.ok()) << range.error().what;
  EXPECT_EQ(range.value().path, "a/b");
  EXPECT_EQ(range.value().offset + range.value().length, 4173U);
  for (const char* body : {R"({"path":"a","offset":0,"length":0})", R"({"path":"a","offset":18446744073709551615,"length":2})", R"({"path":"a","offset":-1,"length":2})", R"({"size":1})"})
    EXPECT_FALSE(parse_range(body).ok()) << body;
  EXPECT_EQ(parse_complete("").value(), "");
  EXPECT_EQ(parse_complete(R"({"pin":"4f"})").value(), "4f");
  EXPECT_FALSE(parse_complete(R"({"pin":7})").ok());
}

TEST(CheckpointJson, HowManyAreKeptAndTheDeadlineAreRead) {
  const auto request = parse_checkpoint(R"({"path":"a:b/c","to":["w:d/e"],"keep":3,"deadline":"2027-01-01T00:00:00Z"})");
  ASSERT_TRUE(request.ok()) << request.error().what;
  EXPECT_EQ(request.value().keep, 3U);
  EXPECT_TRUE(request.value().deadline.has_value());
  EXPECT_EQ(parse_checkpoint(R"({"path":"a:b/c","to":["w:d/e"]})").value().keep, 0U) << "all of them";
}

TEST(CheckpointJson, ARestoreComesBackAsItIsWritten) {
  RestoreRequest request;
  request.from = "any:ckpt/runs/llm7";
  request.destination = "ckpt:restore";
  request.step = 9000;
  request.include = {"*.safetensors"};
  request.fallback = RestoreRequest::Fallback::kToOlder;
  request.patience = job::Patience::kCommand;
  const auto back = parse_restore(to_json(request));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(to_json(back.value()), to_json(request));
  EXPECT_EQ(back.value().step, 9000U);
}

TEST(CheckpointJson, ARestoreIsOfASeriesOrFromSomewhere) {
  EXPECT_TRUE(parse_restore(R"({"series":"llm7","step":"latest","dst":"ckpt:restore/llm7","include":["**"],"fallback":false})").ok());
  for (const char* body : {R"({"dst":"a:b"})", R"({"series":"x","from":"y:z","dst":"a:b"})", R"({"series":"x"})", R"({"series":"x","dst":"a:b","step":"newest"})"})
    EXPECT_FALSE(parse_restore(body).ok()) << body;
}

TEST(CheckpointJson, TheFirstJobIsWhatIsWaitedFor) {
  const auto id = parse_accepted(accepted_to_json({"aa", "bb"}, job::State::kWaiting));
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(id.value(), "aa");
  EXPECT_FALSE(parse_accepted("{}").ok());
}

TEST(CheckpointJson, RowsAreAList) {
  CheckpointRow row;
  row.series = "llm7";
  row.step = 9000;
  row.sites = {"wisconsin"};
  row.root_hash = "sha256:00";
  row.bytes = Bytes(7);
  row.published_at = job::WallTime(1764137400250ms);
  row.state = "published";
  row.jobs = {"aa"};
  EXPECT_EQ(to_json(std::vector{row}), R"([{"bytes":7,"jobs":["aa"],"published_at":"2025-11-26T06:10:00.250Z","root_hash":"sha256:00","series":"llm7","sites":["wisconsin"],"state":"published","step":9000}])");
  EXPECT_EQ(to_json(std::vector<CheckpointRow>()), "[]");
}

TEST(RequestKind, IsToldByTheFieldsOfTheObjectAlone) {
  const struct { const char* body; RequestKind kind; } rows[] = {{R"({"path":"a","to":["w:d/e"],"pointers":["sources","dst"]})", RequestKind::kCheckpoint},
                                                                {R"({"sources":["to"],"destination":"w:d/to","labels":{"to":"dst"}})", RequestKind::kJob},
                                                                {R"({"dst" : "to","series":"sources"})", RequestKind::kRestore},
                                                                {R"({"path":"a"})", RequestKind::kCheckpoint}};
  for (const auto& row : rows) {
    const auto kind = kind_of(row.body);
    ASSERT_TRUE(kind.ok()) << row.body;
    EXPECT_EQ(kind.value(), row.kind) << row.body;
  }
  for (const char* none : {"", "[]", "\"sources\"", "{\"to\":"}) EXPECT_FALSE(kind_of(none).ok()) << none;
}

}  // namespace
}  // namespace tideway::api
