// SPDX-License-Identifier: Apache-2.0
//
// The self-test with two net workers at each end, whose lanes cross the queues of two ports.
#include "session/self_test.h"

#include "dpdk/ring_ports.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

TEST(DpdkSelfTest, PassesWithSeveralWorkers) {
  start_test_eal();
  TempRoot parent;
  SelfTestOrder order;
  order.parent = parent.path().string();
  order.net_workers = 2;
  std::vector<std::string> steps;
  order.on_step = [&](const SelfTestStep& step) { steps.push_back(step.name); };
  const Status status = run_self_test(order);
  ASSERT_TRUE(status.ok()) << status.error().what << "; " << status.error().next;
  EXPECT_EQ(steps.back(), "compare");
}

}  // namespace
}  // namespace tideway::session
