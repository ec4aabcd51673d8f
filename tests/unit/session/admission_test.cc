// SPDX-License-Identifier: Apache-2.0
#include "session/admission.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tideway::session {
namespace {

Endpoint from(const std::string& text) { return Endpoint::parse(text).value(); }

TEST(AdmissionTable, OneSourceCannotUseUpTheTotal) {
  AdmissionTable table;
  std::vector<Admission> held;
  for (int i = 0; i < 16; ++i) held.push_back(*table.admit(from("10.0.0.1:" + std::to_string(1000 + i))));
  EXPECT_FALSE(table.admit(from("10.0.0.1:2000")).has_value());
  EXPECT_TRUE(table.admit(from("10.0.0.2:2000")).has_value());
}

TEST(AdmissionTable, AllAddressesOfAnIpv6SubnetAreOneSource) {
  AdmissionTable table({.total_max = 100, .per_source_max = 2});
  const auto a = table.admit(from("[fd00:0:0:1::1]:1")), b = table.admit(from("[fd00:0:0:1:ffff::2]:1"));
  EXPECT_FALSE(table.admit(from("[fd00:0:0:1::3]:1")).has_value());
  EXPECT_TRUE(table.admit(from("[fd00:0:0:2::1]:1")).has_value());
}

TEST(AdmissionTable, TotalIsALimitOverAllSources) {
  AdmissionTable table;
  std::vector<Admission> held;
  for (int i = 0; i < 512; ++i)
    held.push_back(*table.admit(from("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ":1")));
  EXPECT_FALSE(table.admit(from("10.1.0.0:1")).has_value());
  held.pop_back();
  EXPECT_TRUE(table.admit(from("10.1.0.0:1")).has_value());
}

TEST(AdmissionTable, PlaceComesBackOnceWhenItsHolderEndsOrIsReplaced) {
  AdmissionTable table({.total_max = 2, .per_source_max = 2});
  auto a = table.admit(from("10.0.0.1:1"));
  EXPECT_EQ(table.count(), 1U);
  auto moved = std::move(a);
  a.reset();
  EXPECT_EQ(table.count(), 1U);
  *moved = *table.admit(from("10.0.0.2:1"));
  EXPECT_EQ(table.count(), 1U);
  moved.reset();
  EXPECT_EQ(table.count(), 0U);
}

TEST(AdmissionTable, PlaceMayOutliveItsTable) {
  std::optional<Admission> held;
  {
    AdmissionTable table;
    held = table.admit(from("10.0.0.1:1"));
  }
  held.reset();  // touches the shared counts, not the table
  EXPECT_FALSE(held.has_value());
}

}  // namespace
}  // namespace tideway::session
