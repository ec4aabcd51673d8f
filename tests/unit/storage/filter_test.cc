// SPDX-License-Identifier: Apache-2.0
#include "storage/filter.h"

#include "support/object_names.h"

#include <gtest/gtest.h>

namespace tideway::storage {
namespace {

using test::name;

struct Row {
  const char *pattern, *text;
  bool is_match;
};

TEST(Glob, StarsAndSetsMatchWhatTheyClaim) {
  for (const Row& row : std::initializer_list<Row>{
           {"*.pt", "model.pt", true},      {"*.pt", "a/model.pt", false},   {"a*b*c", "axxbyyc", true},
           {"a*b*c", "axxbyy", false},      {"**", "a/b/c", true},           {"a/**", "a/b/c", true},
           {"a/**/c", "a/c", true},         {"a/**/c", "a/b/b/c", true},     {"a/**/c", "a/b/xc", false},
           {"**/c", "c", true},             {"**/c", "a/xc", false},         {"**c", "a/xc", true},
           {"a/**/b/**/c", "a/x/b/y/b/z/c", true},
           {"?", "/", false},               {"?x", "yx", true},              {"[a-c]1", "b1", true},
           {"[!a-c]1", "b1", false},        {"[^a-c]1", "d1", true},         {"[!a]", "/", false},
           {"[]]", "]", true},              {"\\*", "*", true},              {"\\*", "x", false},
           {"", "", true},                  {"*", "", true},                 {"x**y*z", "x/1/y2z", true},
           {"x**y*z", "x/1/y/z", false},    {"*a*/b", "xaa/b", true},        {"\xFF*", "\xFF\xFE", true}})
    EXPECT_EQ(glob_matches(row.pattern, row.text), row.is_match) << row.pattern << " on " << row.text;
}

TEST(Glob, ManyStarsAgainstALongNameEndSoon) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "**/a";
  EXPECT_FALSE(glob_matches(pattern + "b", std::string(2000, 'a')));
}

TEST(Filter, TheFirstPatternThatMatchesDecides) {
  Filter filter;
  ASSERT_TRUE(filter.add(Verdict::kInclude, "keep.tmp").ok());
  ASSERT_TRUE(filter.add(Verdict::kExclude, "*.tmp").ok());
  EXPECT_TRUE(filter.admits(name("a/keep.tmp"), EntryType::kFile));
  EXPECT_FALSE(filter.admits(name("a/b.tmp"), EntryType::kFile));
  EXPECT_TRUE(filter.admits(name("a/b.pt"), EntryType::kFile)) << "what nothing matches is wanted";
}

TEST(Filter, SlashesAnchorPatternsAndLimitThemToDirectories) {
  Filter filter;
  ASSERT_TRUE(filter.add(Verdict::kExclude, "/top").ok());
  ASSERT_TRUE(filter.add(Verdict::kExclude, "cache/").ok());
  ASSERT_TRUE(filter.add(Verdict::kExclude, "x/y").ok());
  EXPECT_FALSE(filter.admits(name("top"), EntryType::kFile));
  EXPECT_TRUE(filter.admits(name("a/top"), EntryType::kFile));
  EXPECT_FALSE(filter.admits(name("a/cache"), EntryType::kDirectory));
  EXPECT_TRUE(filter.admits(name("a/cache"), EntryType::kFile));
  EXPECT_FALSE(filter.admits(name("a/x/y"), EntryType::kFile));
  EXPECT_TRUE(filter.admits(name("ax/y"), EntryType::kFile)) << "whole components only";
}

TEST(Filter, PatternsThatCannotBeMeantAreUsageErrors) {
  Filter filter;
  for (const std::string& bad : std::vector<std::string>{"", "/", "[a", std::string(1025, 'x')}) {
    const auto status = filter.add(Verdict::kExclude, bad);
    ASSERT_FALSE(status.ok()) << bad;
    EXPECT_EQ(status.error().exit_code(), 2);
  }
}

TEST(NameList, AListedNameBringsItsParentsAndItsContent) {
  NameList list;
  list.add(name("a/b"));
  list.add(name("z"));
  EXPECT_EQ(list.relation(name("a")), NameList::Relation::kAbove);
  EXPECT_EQ(list.relation(name("a/b")), NameList::Relation::kListed);
  EXPECT_EQ(list.relation(name("a/b/c")), NameList::Relation::kListed);
  EXPECT_EQ(list.relation(name("a/c")), NameList::Relation::kOutside);
  EXPECT_EQ(list.relation(name("a/b.txt")), NameList::Relation::kOutside);
  EXPECT_EQ(list.never_met(), std::vector<ObjectName>{name("z")});
}

}  // namespace
}  // namespace tideway::storage
