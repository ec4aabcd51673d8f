// SPDX-License-Identifier: Apache-2.0
#include "base/trace.h"

#include <gtest/gtest.h>

namespace tideway {
namespace {

TEST(Trace, KeepsTheNewestRecordsOldestFirst) {
  Trace trace;
  for (uint64_t i = 0; i < Trace::kRecords + 2; ++i) trace.add({Time(Duration(i)), TraceEvent::kPacketLost, 7, i, 1408});
  const std::string dump = trace.dump();
  EXPECT_EQ(dump.substr(0, dump.find('\n')), "2 packet_lost flow=7 2 1408");
}

}  // namespace
}  // namespace tideway
