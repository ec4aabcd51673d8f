// SPDX-License-Identifier: Apache-2.0
#include "config/document.h"

#include <gtest/gtest.h>

namespace tideway::config {
namespace {

Table parsed(std::string_view text, std::string_view file = "a.toml") {
  auto document = parse_document(text, file);
  EXPECT_TRUE(document.ok()) << document.error().what;
  return document.ok() ? std::move(document).value() : Table();
}

TEST(Document, KeysAndValuesKnowTheirPlace) {
  const Table document = parsed("[site]\n  name = \"atlanta\"\n");
  const Entry* site = find(document, "site");
  ASSERT_NE(site, nullptr);
  const Entry* name = find(std::get<Table>(site->value.held), "name");
  ASSERT_NE(name, nullptr);
  EXPECT_EQ(name->at, "a.toml:2:3");
  EXPECT_EQ(name->value.at, "a.toml:2:10");
  EXPECT_EQ(std::get<std::string>(name->value.held), "atlanta");
}

TEST(Document, AnErrorNamesFileLineAndColumn) {
  const auto document = parse_document("[site]\nname = atlanta\n", "a.toml");
  ASSERT_FALSE(document.ok());
  EXPECT_EQ(document.error().fault, Fault::kConfigInvalid);
  EXPECT_TRUE(document.error().what.starts_with("a.toml:2:")) << document.error().what;
}

TEST(Document, AKeyGivenTwiceInOneFileIsRefused) {
  const auto document = parse_document("[site]\nname = \"a\"\nname = \"b\"\n", "a.toml");
  ASSERT_FALSE(document.ok());
  EXPECT_TRUE(document.error().what.starts_with("a.toml:3:")) << document.error().what;
}

TEST(Document, AHeaderThatStartsWithNoKeyCharacterIsRefused) {
  EXPECT_FALSE(parse_document("[$site]\n", "a.toml").ok());
  EXPECT_FALSE(parse_document(std::string_view("[[\0root]]\n", 10), "a.toml").ok());
}

TEST(Document, CurlyQuotesAreRefusedWhereTheyStand) {
  const auto document = parse_document("[site]\nname = \u201catlanta\u201d\n", "a.toml");
  ASSERT_FALSE(document.ok());
  EXPECT_TRUE(document.error().what.starts_with("a.toml:2:8: ")) << document.error().what;
  EXPECT_NE(document.error().next.find("straight double quotes"), std::string::npos);
}

TEST(Document, OtherCharactersStandInCommentsAsTheyAreAndInStringsAsEscapes) {
  const Table document = parsed("# \u00e9 'un' \"deux\na = \"caf\\u00e9 \\\" # x\" # \u00e9 \"\n");
  ASSERT_NE(find(document, "a"), nullptr);
  EXPECT_EQ(std::get<std::string>(find(document, "a")->value.held), "caf\u00e9 \" # x");
  const auto refused = parse_document("a = \"caf\u00e9\"\n", "a.toml");
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(refused.error().what.starts_with("a.toml:1:9: ")) << refused.error().what;
  EXPECT_NE(refused.error().next.find("\\u00E9"), std::string::npos);
}

// Comments are changed to ASCII before parsing, so what looks like one in a string must not be taken for one.
TEST(Document, StringsOfEveryFormEndWhereTheyShould) {
  const std::pair<std::string_view, std::string_view> texts[] = {
      {R"(x = '# \' # one ' comment)", "# \\"},
      {"x = \"\"\"# two \"\" \\\" #\nthree\"\"\"\"  # \" comment", "# two \"\" \" #\nthree\""},
      {"x = '''# 'four' ''' # comment", "# 'four' "},
      {"x = \"\"     # \"five", ""},
      {R"(x = "\\"   # six)", "\\"},
  };
  for (const auto& [text, content] : texts) {
    const Table document = parsed(std::string(text) + "\u00e9\n# \u00e9\n");
    ASSERT_NE(find(document, "x"), nullptr) << text;
    EXPECT_EQ(std::get<std::string>(find(document, "x")->value.held), content);
  }
}

TEST(Document, BytesThatAreNotUtf8AreRefused) { EXPECT_FALSE(parse_document("a = \"\xFF\xFE\"", "a.toml").ok()); }

TEST(Document, HugeFilesAndLinesAreRefused) {
  EXPECT_FALSE(parse_document(std::string(kFileSizeMax + 1, '\n'), "a.toml").ok());
  EXPECT_TRUE(parse_document(std::string(kFileSizeMax, '\n'), "a.toml").ok());
  EXPECT_FALSE(parse_document("a = \"" + std::string(kLineMax, 'x') + '"', "a.toml").ok());
}

TEST(Document, DeepNestingEndsWithoutUsingUpTheStack) {
  std::string dots = "a", brackets = "a = ";
  while (dots.size() + 2 < kLineMax - 4) dots += ".a";
  for (int i = 0; i < 400; ++i) brackets += "[\n";
  const auto deep = parse_document(dots + " = 1", "a.toml");
  ASSERT_TRUE(deep.ok());
  size_t depth = 0;
  for (const Table* table = &deep.value(); table != nullptr && !table->empty(); ++depth)
    table = std::get_if<Table>(&table->front().value.held);
  EXPECT_LE(depth, kNestingMax + 2);
  EXPECT_FALSE(parse_document(brackets, "a.toml").ok());
}

TEST(Merge, JoinsTablesAndAppendsArraysOfTables) {
  Table document = parsed("[site]\nname = \"a\"\n[[root]]\nname = \"one\"\n");
  ASSERT_TRUE(merge(document, parsed("[site]\ngateway = \"g\"\n[[root]]\nname = \"two\"\n[jobs]\n", "b.toml")).ok());
  EXPECT_EQ(std::get<Table>(find(document, "site")->value.held).size(), 2U);
  EXPECT_EQ(std::get<Array>(find(document, "root")->value.held).size(), 2U);
  EXPECT_NE(find(document, "jobs"), nullptr);
}

TEST(Merge, AKeyGivenInTwoFilesNamesBoth) {
  Table document = parsed("[site]\nname = \"a\"\n");
  const auto status = merge(document, parsed("\n[site]\nname = \"b\"\n", "b.toml"));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().what, "b.toml:3:1: name is given twice, first at a.toml:2:1");
}

TEST(Merge, AListOfStringsIsNotJoined) {
  Table document = parsed("[tls]\nallow = [\"a\"]\n");
  EXPECT_FALSE(merge(document, parsed("[tls]\nallow = [\"b\"]\n", "b.toml")).ok());
}

}  // namespace
}  // namespace tideway::config
