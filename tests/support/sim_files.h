// SPDX-License-Identifier: Apache-2.0
//
// Lets the Nth call fail that a library makes to its files, by the names of large files on 64-bit systems (open64, pwrite64, ...), which SQLite
// uses. It stands in front of the C library in the test that links sim_files.cc; whatever comes before and after its life is served as ever.
// Thread: any; each has its own.
#pragma once
#include <cstdint>

namespace tideway::test {

struct FileFault {
  uint64_t at = 0;  // the call of that number, from 1
  int error = 0;    // of a call that may have it; others fail with EIO
};

class SimFiles {
 public:
  explicit SimFiles(const FileFault& fault);
  ~SimFiles();
  SimFiles(const SimFiles&) = delete;
  SimFiles& operator=(const SimFiles&) = delete;
  bool was_hit() const;
};

}  // namespace tideway::test
