// SPDX-License-Identifier: Apache-2.0
#include <tideway/object_name.h>

#include <gtest/gtest.h>

namespace tideway {
namespace {

TEST(ObjectName, ComponentsThatCouldLeaveTheRootAreRefused) {
  for (const std::string bad : {"", ".", "..", "a/b", "/"}) {
    EXPECT_FALSE(ObjectName::from_components({"ok", bad}).ok()) << bad;
  }
  EXPECT_FALSE(ObjectName::from_components({std::string("a\0b", 3)}).ok());
  EXPECT_FALSE(ObjectName::from_components({std::string(256, 'a')}).ok());
  EXPECT_TRUE(ObjectName::from_components({std::string(255, 'a'), "...", " ", "\xFF"}).ok());
}

TEST(ObjectNameDeathTest, TheRootHasNoLastComponent) {
  EXPECT_DEATH(ObjectName().last(), "check failed");
  EXPECT_EQ(ObjectName::from_text("a/b").value().last(), "b");
}

TEST(ObjectName, DepthAndLengthAreBounded) {
  EXPECT_TRUE(ObjectName::from_components(std::vector<std::string>(256, "a")).ok());
  EXPECT_FALSE(ObjectName::from_components(std::vector<std::string>(257, "a")).ok());
  EXPECT_FALSE(ObjectName::from_components(std::vector<std::string>(200, std::string(200, 'a'))).ok());
}

TEST(ObjectName, TextIsSplitAtSlashesAndMayNotClimb) {
  EXPECT_EQ(ObjectName::from_text("a//b/./c/").value(), ObjectName::from_components({"a", "b", "c"}).value());
  EXPECT_TRUE(ObjectName::from_text("").value().is_root());
  const auto climbing = ObjectName::from_text("a/../b");
  ASSERT_FALSE(climbing.ok());
  EXPECT_EQ(climbing.error().exit_code(), 2);
}

TEST(ObjectName, PrefixIsComparedByComponent) {
  const auto name = ObjectName::from_text("runs/llm7").value();
  EXPECT_TRUE(name.starts_with(ObjectName::from_text("runs").value()));
  EXPECT_FALSE(name.starts_with(ObjectName::from_text("runs/llm").value()));
}

TEST(ToDisplay, EscapesWhatATerminalWouldAct) {
  EXPECT_EQ(to_display("a\n\x1B[31m"), "a\\x0a\\x1b[31m");
  EXPECT_EQ(to_display("\xC3\xA9 ok"), "\xC3\xA9 ok");
  EXPECT_EQ(to_display("\xFF"), "\\xff");
  EXPECT_EQ(to_display("\xC0\x80"), "\\xc0\\x80") << "overlong";
  EXPECT_EQ(to_display("\xE2\x80\xAE"), "\\xe2\\x80\\xae") << "right-to-left override";
  EXPECT_EQ(to_display("back\\slash"), "back\\x5cslash") << "else an escape could be faked";
}

}  // namespace
}  // namespace tideway
