// SPDX-License-Identifier: Apache-2.0
#include "conformance/congestion_suite.h"

namespace tideway::test {
INSTANTIATE_TEST_SUITE_P(Contracted, CongestionSuite, ::testing::Values("contracted"));
}  // namespace tideway::test
