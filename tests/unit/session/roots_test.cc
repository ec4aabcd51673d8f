// SPDX-License-Identifier: Apache-2.0
#include "session/roots.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

namespace fs = std::filesystem;

TEST(Roots, S15AFolderThatTookTheRootsPlaceIsNotWrittenTo) {
  const TempRoot dir;
  fs::create_directory(dir / "data");
  Roots roots;
  ASSERT_TRUE(roots.open("data", (dir / "data").string()).ok());
  EXPECT_TRUE(roots.check_in_place("data").ok());
  fs::rename(dir / "data", dir / "away");  // what is seen where a file system was mounted, and is no more
  const Status gone = roots.check_in_place("data");
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().fault, Fault::kDestUnmounted);
  fs::create_directory(dir / "data");
  const Status another = roots.check_in_place("data");
  ASSERT_FALSE(another.ok());
  EXPECT_EQ(another.error().fault, Fault::kDestUnmounted);
  EXPECT_EQ(another.error().what.find(dir.path().string()), std::string::npos) << "a peer is told no path of this host";
  fs::remove(dir / "data");
  fs::rename(dir / "away", dir / "data");
  EXPECT_TRUE(roots.check_in_place("data").ok());
}

}  // namespace
}  // namespace tideway::session
