// SPDX-License-Identifier: Apache-2.0
//
// Takes from root the right to pass all permission checks, for as long as it lives and for this thread's file accesses;
// for everybody else it does nothing, because the checks hold already.
#pragma once
#include <sys/fsuid.h>
#include <unistd.h>

namespace tideway {

class AsNobody {
 public:
  AsNobody() { ::setfsuid(geteuid() == 0 ? kNobody : geteuid()); }
  ~AsNobody() { ::setfsuid(geteuid()); }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;

 private:
  static constexpr uid_t kNobody = 65534;
};

}  // namespace tideway
