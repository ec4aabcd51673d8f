// SPDX-License-Identifier: Apache-2.0
#include "base/operator_file.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace tideway {
namespace {

// What is read there; "-ELOOP" and the like where nothing can be.
std::string content_of(const std::string& path, int flags = O_RDONLY) {
  const int fd = open_operator_file(path, flags);
  if (fd < 0) return fd == -ELOOP ? "-ELOOP" : std::string("-") + strerrorname_np(-fd);
  std::string text(64, '\0');
  const ssize_t got = ::read(fd, text.data(), text.size());
  ::close(fd);
  return got < 0 ? "unreadable" : text.substr(0, static_cast<size_t>(got));
}

TEST(OperatorFile, OurOwnLinksAreFollowedWhereverTheyStand) {
  const TempRoot root;
  root.write("etc/v2/key", "content");
  root.link("etc/now", "v2");
  root.link("etc/later", "./now/../now");
  root.link("absolute", (root / "etc/later").string());
  root.link("key", "absolute/key");
  root.link("up", "etc/../etc/v2/");
  for (const char* name : {"etc/v2/key", "etc//v2/./key", "etc/now/key", "etc/later/key", "absolute/key", "key", "up/key", "etc/v2/../v2/key"})
    EXPECT_EQ(content_of((root / name).string()), "content") << name;
  EXPECT_EQ(content_of((root / "etc/now/none").string()), "-ENOENT");
  EXPECT_EQ(content_of((root / "etc/v2/key/below").string()), "-ENOTDIR");
  EXPECT_EQ(content_of(""), "-ENOENT");
}

TEST(OperatorFile, ALastLinkIsNotFollowedWhereThatIsAskedFor) {
  const TempRoot root;
  root.write("dir/key", "content");
  root.link("link", "dir");
  root.link("dir/other", "key");
  EXPECT_EQ(content_of((root / "link/key").string(), O_RDONLY | O_NOFOLLOW), "content");
  EXPECT_EQ(content_of((root / "link/other").string(), O_RDONLY | O_NOFOLLOW), "-ELOOP");
}

TEST(OperatorFile, ALinkOfSomebodyElseLeadsNowhere) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a link away";
  const TempRoot root;
  root.write("dir/key", "content");
  root.link("link", "dir");
  root.link("file", "dir/key");
  root.link("to-theirs", "link");
  for (const char* name : {"link", "file"}) ASSERT_EQ(::lchown((root / name).c_str(), 65534, 65534), 0);
  for (const char* name : {"link/key", "file", "to-theirs/key"}) EXPECT_EQ(content_of((root / name).string()), "-ELOOP") << name;
  EXPECT_NE(text_of_open_error(ELOOP).find("neither to root nor"), std::string::npos);
}

TEST(OperatorFile, LinksInACircleEnd) {
  const TempRoot root;
  root.link("a", "b");
  root.link("b", "a");
  EXPECT_EQ(content_of((root / "a").string()), "-ELOOP");
  EXPECT_EQ(content_of((root / "a/key").string()), "-ELOOP");
}

// As `--config <(...)` names one.
TEST(OperatorFile, APipeIsReadByItsNumber) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "content", 7), 7);
  ::close(ends[1]);
  EXPECT_EQ(content_of("/proc/self/fd/" + std::to_string(ends[0])), "content");
  ::close(ends[0]);
}

}  // namespace
}  // namespace tideway
