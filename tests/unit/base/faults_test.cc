// SPDX-License-Identifier: Apache-2.0
//
// Names and exit codes of faults are a promise: docs/texts/faults.txt lists those that were ever published.
#include <tideway/result.h>

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace tideway {
namespace {

TEST(Faults, NamesAndExitCodesNeverChange) {
  std::ifstream file(TIDEWAY_TEST_VECTORS "/../texts/faults.txt");
  std::string name;
  int exit_code = 0;
  size_t count = 0;
  for (; file >> name >> exit_code; ++count) {
    const auto fault = fault_named(name);
    ASSERT_TRUE(fault) << name;
    EXPECT_EQ(row_of(*fault).exit_code, exit_code) << name;
  }
  EXPECT_EQ(count, std::size(kFaults)) << "a fault that is not in the list may change unseen";
}

TEST(Faults, EachHasARowAndANameOfItsOwn) {
  for (const FaultRow& row : kFaults) {
    EXPECT_EQ(&row_of(row.fault), &row) << row.name << " does not stand at its place";
    EXPECT_EQ(fault_named(row.name), row.fault) << row.name << " is there twice";
  }
}

}  // namespace
}  // namespace tideway
