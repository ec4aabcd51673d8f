// SPDX-License-Identifier: Apache-2.0
//
// The registry is the list: a controller that is in it is tested.
#include "conformance/congestion_suite.h"

namespace tideway::test {
INSTANTIATE_TEST_SUITE_P(Registry, CongestionSuite, ::testing::ValuesIn(congestion::controllers().begin(), congestion::controllers().end()),
                         [](const auto& test) { return std::string(test.param.name); });
}  // namespace tideway::test
