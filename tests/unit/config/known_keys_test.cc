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
      "[[link]]\npeer = \"p\"\ndscp = \"\"\ncongestion = \"d\"\n[jobs]\nstore = \"sqlite\"\n[class.checkpoint]\noverwrite = \"never\"\n", "t.toml");
  ASSERT_TRUE(document.ok());
  std::vector<std::string> notes;
  const auto status = check_keys(document.value(), "t.toml", notes);
  ASSERT_TRUE(status.ok()) << status.error().what;
  ASSERT_EQ(notes.size(), 3U);
  EXPECT_EQ(notes[0], "t.toml:12:1: congestion in [[link]] is accepted and takes effect in a later version");
  // dscp is switched off by its empty string, so nothing is missing.
  EXPECT_TRUE(notes[1].starts_with("t.toml:13:2: [jobs] ")) << notes[1];
  EXPECT_TRUE(notes[2].find("overwrite in [class.checkpoint] ") != std::string::npos) << notes[2];
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
