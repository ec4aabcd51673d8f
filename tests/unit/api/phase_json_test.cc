// SPDX-License-Identifier: Apache-2.0
#include "api/phase_json.h"

#include <gtest/gtest.h>

namespace tideway::api {
namespace {

using namespace std::chrono_literals;

TEST(PhaseJson, ATrainingAndAKindAreEnough) {
  const auto word = parse_phase_word(R"({"training":"llm7","kind":"end"})");
  ASSERT_TRUE(word.ok()) << word.error().what;
  EXPECT_EQ(word.value().event.training, gate::training_id("llm7"));
  EXPECT_EQ(word.value().event.kind, gate::PhaseKind::kEnd);
  EXPECT_EQ(word.value().event.destination, 0u);
  EXPECT_EQ(word.value().event.members, 1u);
}

TEST(PhaseJson, AWordComesBackAsItWas) {
  PhaseWord word;
  word.training = "llm7";
  word.site = "wisconsin";
  word.source = "rank 0";
  word.number = 7;
  word.event = {.kind = gate::PhaseKind::kPredict, .training = gate::training_id("llm7"), .destination = gate::site_id("wisconsin"),
                .member = 1, .members = 2, .ahead = 3ms, .details = {Bytes(40), 400ms, 1s, 5ms, 900ms}};
  const auto again = parse_phase_word(to_json(word));
  ASSERT_TRUE(again.ok()) << again.error().what;
  EXPECT_EQ(to_json(again.value()), to_json(word));
  EXPECT_EQ(again.value().event.ahead, 3ms);
  EXPECT_EQ(again.value().event.details.ttl, 900ms);
  EXPECT_EQ(again.value().event.destination, word.event.destination);
}

TEST(PhaseJson, NamesTheFieldThatIsWrong) {
  struct Row {
    std::string_view body, names;
  };
  constexpr Row kTable[] = {
      {"[]", "object"},
      {R"({"kind":"begin"})", "training"},
      {R"({"training":"llm7"})", "kind"},
      {R"({"training":"llm7","kind":"start"})", "kind"},
      {R"({"training":"llm7","kind":"begin","ttl_us":-1})", "ttl_us"},
      {R"({"training":"llm7","kind":"begin","ttl_us":4294967296})", "ttl_us"},
      {R"({"training":"llm7","kind":"begin","ttl":1})", "ttl"},
      {R"({"training":"llm7","kind":"begin","member":2,"members":2})", "member"},
      {R"({"training":"llm7","kind":"begin","members":65536})", "members"},
      {R"({"training":"llm7","kind":"begin","source":"a"})", "seq"},
      {R"({"training":"llm7","kind":"predict"})", "ahead_us"},
      {R"({"training":"llm7","kind":"predict","ahead_us":3600000001})", "ahead_us"},
      {R"({"training":"llm7","kind":"predict","ahead_us":5,"period_us":1000000,"jitter_us":5000000})", "jitter_us"},
      {R"({"training":"llm7","kind":"iteration"})", "duration_us"},
  };
  for (const Row& row : kTable) {
    const auto word = parse_phase_word(row.body);
    ASSERT_FALSE(word.ok()) << row.body;
    EXPECT_EQ(word.error().fault, Fault::kUsage) << row.body;
    EXPECT_NE(word.error().what.find(row.names), std::string::npos) << row.body << ": " << word.error().what;
  }
}

}  // namespace
}  // namespace tideway::api
