// SPDX-License-Identifier: Apache-2.0
#include "config/known_keys.h"

#include <gtest/gtest.h>

namespace tideway::config {
namespace {

TEST(KnownKeys, EditDistanceCountsSingleChanges) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("control", "contol"), 1U);
  EXPECT_EQ(edit_distance("rate", "race"), 1U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(KnownKeys, NotesCountASectionOnceAndAKeyInAUsedSectionByItself) {
  const auto document = parse_document(
      "[site]\nname = \"a\"\ngateway = \"g\"\ntrust_domain = \"t\"\n[tls]\nca = \"a\"\ncert = \"b\"\nkey = \"c\"\n"
      "[jobs]\nstore = \"sqlite\"\n[class.checkpoint]\npublish = \"\"\noverwrite = \"never\"\n", "t.toml");
  ASSERT_TRUE(document.ok());
  std::vector<std::string> notes;
  const auto status = check_keys(document.value(), "t.toml", notes);
  ASSERT_TRUE(status.ok()) << status.error().what;
  ASSERT_EQ(notes.size(), 2U);
  EXPECT_TRUE(notes[0].starts_with("t.toml:9:2: [jobs] ")) << notes[0];
  // publish is switched off by its empty string, so nothing is missing.
  EXPECT_EQ(notes[1], "t.toml:13:1: overwrite in [class.checkpoint] is accepted and takes effect in a later version");
}

TEST(KnownKeys, AKeyWithControlCharactersIsShownEscaped) {
  const auto document = parse_document("\"a\\u001b[31m\" = 1\n", "t.toml");
  ASSERT_TRUE(document.ok());
  std::vector<std::string> notes;
  const auto status = check_keys(document.value(), "t.toml", notes);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().what.find("a\\x1b"), std::string::npos) << status.error().what;
}

}  // namespace
}  // namespace tideway::config
