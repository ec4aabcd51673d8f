// SPDX-License-Identifier: Apache-2.0
#include "base/core_dumps.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace tideway {
namespace {

// 0, or the number of what is not as it should be. As an ordinary user, whom the kernel refuses more.
int look_at_own_process() {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0 && ::setresuid(kNobody, kNobody, kNobody) != 0) return 1;
  ::prctl(PR_SET_DUMPABLE, 1UL);  // as after the start of a program
  forbid_core_dumps();
  if (::prctl(PR_GET_DUMPABLE) != 0) return 2;
  size_t tasks = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string line;
    if (!std::getline(std::ifstream(task.path() / "stat"), line) || !std::getline(std::ifstream(task.path() / "status"), line)) return 3;
    ++tasks;
  }
  if (tasks == 0) return 4;
  const int fd = ::memfd_create("of a core", 0);
  return ::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR) < 0 ? 5 : 0;
}

TEST(CoreDumps, AreForbiddenAndWhatAProcessReadsOfItselfStaysReadable) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(look_at_own_process());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace tideway
