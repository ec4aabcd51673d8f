// SPDX-License-Identifier: Apache-2.0
#include "session/policy_question.h"

#include "support/object_names.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

class PolicyQuestionTest : public testing::Test {
 protected:
  static Grant write_below(const char* prefix, const GrantLimits& limits) {
    return {crypto::IdentityPattern::parse("spiffe://example.org/site/wisconsin/gw/*").value(), "ckpt", test::name(prefix), {GrantOp::kWrite}, limits, "t.toml:10"};
  }
  Result<Decision> ask(const PolicyQuestion& question) const {
    return explain(question, grants_, [](const std::string& root) { return root == "ckpt" || root == "data"; });
  }
  Fault fault_of(const PolicyQuestion& question) const {
    const auto answer = ask(question);
    EXPECT_FALSE(answer.ok()) << question.path;
    return answer.ok() ? Fault::kCancelled : answer.error().fault;
  }
  static constexpr const char* kPeer = "spiffe://example.org/site/wisconsin/gw/gw1";
  GrantLimits limits_{.bytes_max = 5_GiB, .flows_max = 4, .rate_max = 2_Gbit, .modes = 0750};
  GrantTable grants_{{write_below("runs", limits_)}};
};

TEST_F(PolicyQuestionTest, TheGrantThatAllowsItIsNamedWithTheLimitsThatItHas) {
  const auto answer = ask({kPeer, "write", "ckpt/runs/llm7"});
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(answer.value().rule(), "t.toml:10");
  const std::vector<std::pair<std::string_view, uint64_t>> limits{{"max_bytes", 5'368'709'120}, {"max_flows", 4}, {"max_rate_bits", 2'000'000'000}, {"modes", 0750}};
  EXPECT_EQ(limits_of(answer.value()), limits);
}

TEST_F(PolicyQuestionTest, WhatNoGrantAllowsAndWhatIsNotThereIsDenied) {
  EXPECT_EQ(fault_of({kPeer, "read", "ckpt/runs/llm7"}), Fault::kDenied);
  EXPECT_EQ(fault_of({kPeer, "write", "ckpt"}), Fault::kDenied);
  EXPECT_EQ(fault_of({kPeer, "write", "data/runs"}), Fault::kDenied);
  EXPECT_EQ(fault_of({kPeer, "write", "nosuch/runs"}), Fault::kDenied);
  EXPECT_EQ(fault_of({"spiffe://example.org/site/denver/gw/gw1", "write", "ckpt/runs"}), Fault::kDenied);
}

TEST_F(PolicyQuestionTest, WhatIsNoQuestionIsAMistakeOfWhoAsks) {
  EXPECT_EQ(fault_of({"wisconsin", "write", "ckpt/runs"}), Fault::kUsage);
  EXPECT_EQ(fault_of({kPeer, "frobnicate", "ckpt/runs"}), Fault::kUsage);
  EXPECT_EQ(fault_of({kPeer, "write", "ckpt/../runs"}), Fault::kUsage);
}

}  // namespace
}  // namespace tideway::session
