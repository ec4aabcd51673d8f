// SPDX-License-Identifier: Apache-2.0
#include "daemon/state_lock.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace tideway::daemon {
namespace {

TEST(StateLock, P16ASecondGatewayIsRefusedAndHearsWhoHasIt) {
  const TempRoot folder;
  auto first = StateLock::take(folder.path().string());
  ASSERT_TRUE(first.ok()) << first.error().what;
  const std::string words = folder.read("lock");
  for (int again = 0; again < 2; ++again) {
    const auto second = StateLock::take(folder.path().string());
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().fault, Fault::kStateLocked);
    EXPECT_NE(second.error().what.find("process " + std::to_string(::getpid()) + " of host "), std::string::npos) << second.error().what;
    EXPECT_EQ(folder.read("lock"), words) << "whoever is refused changes nothing";
  }
  {
    const StateLock moved = std::move(first).value();
    EXPECT_FALSE(StateLock::take(folder.path().string()).ok()) << "it goes with its last owner";
  }
  EXPECT_EQ(folder.read("lock"), "");
  EXPECT_TRUE(StateLock::take(folder.path().string()).ok());
}

TEST(StateLock, P17WhatACrashLeftIsTakenOverAndSaidOnce) {
  const TempRoot folder;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = StateLock::take(folder.path().string());
    ::_exit(lock.ok() ? 0 : 1);  // as one that is killed
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_NE(folder.read("lock"), "");
  testing::internal::CaptureStderr();
  { const auto lock = StateLock::take(folder.path().string()); EXPECT_TRUE(lock.ok()) << lock.error().what; }
  { const auto lock = StateLock::take(folder.path().string()); EXPECT_TRUE(lock.ok()) << lock.error().what; }
  const std::string said = testing::internal::GetCapturedStderr();
  const size_t first = said.find("state_taken_over from=\"process " + std::to_string(child));
  EXPECT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("state_taken_over", first + 1), std::string::npos) << said;
}

TEST(StateLock, AFolderThatIsNotThereOrALinkInItsPlaceIsNamed) {
  const TempRoot folder;
  const auto nowhere = StateLock::take((folder / "no/such/place").string());
  ASSERT_FALSE(nowhere.ok());
  EXPECT_EQ(nowhere.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(nowhere.error().what.find("no/such/place"), std::string::npos) << nowhere.error().what;
  folder.write("theirs", "kept");
  std::filesystem::create_symlink("theirs", folder / "lock");
  EXPECT_FALSE(StateLock::take(folder.path().string()).ok());
  EXPECT_EQ(folder.read("theirs"), "kept");
}

}  // namespace
}  // namespace tideway::daemon
