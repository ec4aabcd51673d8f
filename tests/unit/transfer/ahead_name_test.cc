// SPDX-License-Identifier: Apache-2.0
#include "transfer/ahead_name.h"

#include <gtest/gtest.h>

namespace tideway::transfer {
namespace {

TEST(AheadName, SaysWhichPartOfWhichFileItIs) {
  for (const char* path : {"__0_0.distcp", "model/a%2Fb", "deep/er/%", ""}) {
    const AheadPart part{42, 256, ObjectName::from_text(path).value()};
    const auto name = ahead_name(part);
    ASSERT_TRUE(name) << path;
    EXPECT_EQ(name->find('/'), name->npos);
    const auto again = parse_ahead_name(*name);
    ASSERT_TRUE(again) << *name;
    EXPECT_EQ(again->number, 42U);
    EXPECT_EQ(again->leaf, 256U);
    EXPECT_EQ(again->path, part.path) << *name;
  }
}

TEST(AheadName, NamesFollowTheOrderOfTheList) {
  const ObjectName path = ObjectName::from_text("z").value(), other = ObjectName::from_text("a").value();
  EXPECT_LT(*ahead_name({9, 70'000, path}), *ahead_name({10, 0, other}));
  EXPECT_LT(*ahead_name({0xffff, 0, path}), *ahead_name({0x10000, 0, other}));
}

TEST(AheadName, APathThatIsTooLongHasNone) {
  EXPECT_TRUE(ahead_name({1, 1, ObjectName::from_text(std::string(237, 'x')).value()}));
  EXPECT_FALSE(ahead_name({1, 1, ObjectName::from_text(std::string(238, 'x')).value()}));
  EXPECT_FALSE(ahead_name({1, 1, ObjectName::from_text(std::string(100, '%')).value()}));
}

TEST(AheadName, WhatIsNoneIsRefused) {
  for (const char* name : {"", "model.bin", "0000002a-00000100", "0000002a-0000010g-x", "0000002a_00000100-x", "0000002a-00000100-a%2", "0000002a-00000100-..", "0000002a-00000100-a%2F..%2Fb"})
    EXPECT_FALSE(parse_ahead_name(name)) << name;
}

}  // namespace
}  // namespace tideway::transfer
