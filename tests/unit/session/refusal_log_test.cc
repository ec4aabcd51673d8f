// SPDX-License-Identifier: Apache-2.0
#include "session/refusal_log.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

using namespace std::chrono_literals;

const Error kUntrusted{Fault::kAuthFailed, "cert_untrusted", ""};
const Error kNoTls{Fault::kProtocolError, "no TLS", ""};

class RefusalLogTest : public testing::Test {
 protected:
  std::vector<std::string> lines_;
  RefusalLog log_{[this](const AuditEvent& event) { lines_.push_back(event.members()); }};
};

TEST_F(RefusalLogTest, FloodIsOneLineASecondAndACount) {
  for (int i = 0; i < 10'000; ++i) log_.refused(Time(10s) + i * 100us, "10.0.0.1:" + std::to_string(i), kUntrusted);
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_EQ(lines_[0], R"("event":"session_refused","peer":"10.0.0.1:0","code":"auth_failed","why":"cert_untrusted")");
  EXPECT_EQ(log_.next_telling(), Time(11s));
  log_.tell(Time(11s) - 1ns);
  EXPECT_EQ(lines_.size(), 1U);
  log_.tell(Time(11s));
  ASSERT_EQ(lines_.size(), 2U);
  EXPECT_EQ(lines_[1], R"("event":"session_refused","peer":"10.0.0.1:9999","code":"auth_failed","why":"cert_untrusted","and_others":9998)");
  EXPECT_EQ(log_.next_telling(), kNever);
}

TEST_F(RefusalLogTest, OneCauseDoesNotHideAnother) {
  for (int i = 0; i < 100; ++i) log_.refused(Time(10s), "10.0.0.1:1", kUntrusted);
  log_.refused(Time(10s), "10.0.0.2:1", kNoTls);
  ASSERT_EQ(lines_.size(), 2U);
  EXPECT_NE(lines_[1].find("protocol_error"), std::string::npos);
}

TEST_F(RefusalLogTest, NextRefusalAfterTheSecondTellsTheOthersToo) {
  log_.refused(Time(10s), "a", kUntrusted);
  log_.refused(Time(10s), "b", kUntrusted);
  log_.refused(Time(12s), "c", kUntrusted);
  ASSERT_EQ(lines_.size(), 2U);
  EXPECT_NE(lines_[1].find(R"("peer":"c")"), std::string::npos);
  EXPECT_NE(lines_[1].find(R"("and_others":1)"), std::string::npos);
}

}  // namespace
}  // namespace tideway::session
