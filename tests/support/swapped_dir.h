// SPDX-License-Identifier: Apache-2.0
//
// While it lives, another thread swaps the directory `dir` of a root for `link` there, again and again, as an attacker would who waits for the
// moment between a look and an opening. Some lookups win the race and some lose; none may ever land outside.
#pragma once
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace tideway {

class SwappedDir {
 public:
  explicit SwappedDir(const TempRoot& root) : base_(::open(root.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    EXPECT_GE(base_, 0);
    swapper_ = std::thread([this] {
      while (!stops_) ::syscall(SYS_renameat2, base_, "dir", base_, "link", RENAME_EXCHANGE);
    });
  }
  ~SwappedDir() {
    stops_ = true;
    swapper_.join();
    ::close(base_);
  }
  SwappedDir(const SwappedDir&) = delete;
  SwappedDir& operator=(const SwappedDir&) = delete;

 private:
  const int base_;
  std::atomic<bool> stops_ = false;
  std::thread swapper_;
};

}  // namespace tideway
