// SPDX-License-Identifier: Apache-2.0
#include "api/tide_json.h"

#include <gtest/gtest.h>

namespace tideway::api {
namespace {

using namespace std::chrono_literals;

LinkView busy_link() {
  LinkView link{.peer = "wisconsin", .kind = "shared", .capacity = 1_Gbit, .gates = {{"send", "closed", "gate:llm7", 2_Mbit}}, .bulk_send = 3_Mbit,
                .bulk_receive = 0_Mbit, .foreground = 900_Mbit, .rtt = 20ms, .loss = 0.25, .trainings = {}};
  link.trainings.push_back({.name = "llm7", .predictor = "locked", .period = 1s, .jitter = 5ms, .is_bursting = true, .source = "beacon", .source_age = 250ms,
                            .inflation = 0.5, .budget = 0.01});
  return link;
}

TEST(TideJson, ALinkSaysAllThatIsKnownOfIt) {
  const LinkView link = busy_link();
  EXPECT_EQ(links_json({&link, 1}),
            R"({"links":[{"bulk_bits":{"receive":0,"send":3000000},"capacity_bits":1000000000,"foreground_bits":900000000,)"
            R"("gates":[{"direction":"send","rate_bits":2000000,"reason":"gate:llm7","state":"closed"}],"kind":"shared","loss":0.25,"peer":"wisconsin",)"
            R"("rtt_s":0.02,"trainings":[{"budget":0.01,"burst":true,"inflation":0.5,"jitter_s":0.005,"period_s":1.0,"predictor":"locked",)"
            R"("source":"beacon","source_age_s":0.25,"training":"llm7"}]}]})");
}

TEST(TideJson, WhatIsNotKnownIsNull) {
  LinkView link{.peer = "wisconsin", .kind = "shared", .capacity = {}, .gates = {{"send", "open", "", {}}}, .bulk_send = {}, .bulk_receive = {}, .foreground = {},
                .rtt = {}, .loss = {}, .trainings = {}};
  link.trainings.emplace_back().name = "llm7";
  EXPECT_EQ(links_json({&link, 1}),
            R"({"links":[{"bulk_bits":{"receive":null,"send":null},"capacity_bits":null,"foreground_bits":null,)"
            R"("gates":[{"direction":"send","rate_bits":null,"reason":null,"state":"open"}],"kind":"shared","loss":null,"peer":"wisconsin",)"
            R"("rtt_s":null,"trainings":[{"budget":0.0,"burst":false,"inflation":null,"jitter_s":null,"period_s":null,"predictor":"none",)"
            R"("source":null,"source_age_s":null,"training":"llm7"}]}]})");
}

TEST(TideJson, ASampleIsWhatAPlotOverTimeNeeds) {
  const LinkView link = busy_link();
  EXPECT_EQ(tide_json(1'764'000'000'250ms, {&link, 1}),
            R"({"links":[{"bulk_receive_bits":0,"bulk_send_bits":3000000,"burst":["llm7"],"foreground_bits":900000000,"gate_receive":null,)"
            R"("gate_send":"closed","peer":"wisconsin","reason":"gate:llm7"}],"time":"2025-11-24T16:00:00.250Z"})");
}

TEST(TideJson, SaysByHowMuchATrainingIsOverItsBudgetAndWhenItIsBack) {
  EXPECT_EQ(budget_json("llm7", {0.25, 0.125}), R"({"budget":0.125,"inflation":0.25,"over":true,"training":"llm7"})");
  EXPECT_EQ(budget_json("llm7", {-0.5, 0.125}), R"({"budget":0.125,"inflation":-0.5,"over":false,"training":"llm7"})");
}

}  // namespace
}  // namespace tideway::api
