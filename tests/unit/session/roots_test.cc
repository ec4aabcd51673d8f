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
  const auto data = roots.find("data", storage::Side::kDestination);
  EXPECT_TRUE(data->check_in_place().ok());
  fs::rename(dir / "data", dir / "away");  // what is seen where a file system was mounted, and is no more
  const Status gone = data->check_in_place();
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().fault, Fault::kDestUnmounted);
  fs::create_directory(dir / "data");
  const Status another = data->check_in_place();
  ASSERT_FALSE(another.ok());
  EXPECT_EQ(another.error().fault, Fault::kDestUnmounted);
  EXPECT_EQ(another.error().what.find(dir.path().string()), std::string::npos) << "a peer is told no path of this host";
  fs::remove(dir / "data");
  fs::rename(dir / "away", dir / "data");
  EXPECT_TRUE(data->check_in_place().ok());
}

}  // namespace
}  // namespace tideway::session
