// SPDX-License-Identifier: Apache-2.0
#include "api/policy_json.h"

#include <gtest/gtest.h>

namespace tideway::api {
namespace {

TEST(PolicyJson, TheQuestionHasThreeFieldsAndNoOther) {
  const auto test = parse_policy_test(R"({"peer":"spiffe://example.org/site/wisconsin/gw/gw1","op":"write","path":"ckpt/runs"})");
  ASSERT_TRUE(test.ok()) << test.error().what;
  EXPECT_EQ(test.value().peer, "spiffe://example.org/site/wisconsin/gw/gw1");
  EXPECT_EQ(test.value().op, "write");
  EXPECT_EQ(test.value().path, "ckpt/runs");
  for (const char* text : {"", "[]", "{}", R"({"peer":"a","op":"write"})", R"({"peer":"a","op":"write","path":7})", R"({"peer":"a","op":"write","path":"b","mood":1})"}) {
    const auto refused = parse_policy_test(text);
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_EQ(refused.error().fault, Fault::kUsage) << text;
  }
}

TEST(PolicyJson, TheAnswerSaysByWhichRuleOrWhyNot) {
  const std::pair<std::string_view, uint64_t> limits[] = {{"max_bytes", 5}, {"modes", 511}};
  EXPECT_EQ(to_policy_allowed("t.toml:10", limits), R"({"allowed":true,"max_bytes":5,"modes":511,"rule":"t.toml:10"})");
  EXPECT_EQ(to_policy_denied({Fault::kDenied, "no [[grant]] lets it", "add one"}), R"({"allowed":false,"code":"denied","detail":"no [[grant]] lets it","next":"add one"})");
}

}  // namespace
}  // namespace tideway::api
