// SPDX-License-Identifier: Apache-2.0
//
// What programs share that read a whole tree from the device beside others that have work to do.
// Thread: main.
#pragma once
#include "output.h"

namespace tideway::cli {

// Disk and processor are everybody else's first, from now on and for all of this process's threads to come.
void yield_to_others();

// One line a second while something is read: how much, and how fast.
class ScrubProgress {
 public:
  ScrubProgress(const OutputConfig& output, Time start);
  ~ScrubProgress();  // leaves the terminal's line empty
  ScrubProgress(const ScrubProgress&) = delete;
  ScrubProgress& operator=(const ScrubProgress&) = delete;
  void show(Bytes done);

 private:
  const OutputConfig& output_;
  const Time start_;
  Time next_;
  const bool is_terminal_;
  bool is_shown_ = false;
};

}  // namespace tideway::cli
