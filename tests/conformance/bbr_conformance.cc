// SPDX-License-Identifier: Apache-2.0
#include "conformance/congestion_suite.h"

namespace tideway::test {
INSTANTIATE_TEST_SUITE_P(Bbr, CongestionSuite, ::testing::Values("bbr"));
}  // namespace tideway::test
