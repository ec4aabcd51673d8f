// SPDX-License-Identifier: Apache-2.0
//
// Checks for our own bugs. They stay on in release builds: a gateway that has lost track of its state stops, because
// going on could publish wrong bytes. Trouble that comes from outside (disk, network, peer) is a Result instead.
#pragma once
#include <cstdio>
#include <cstdlib>

namespace tideway {

// Prints where and what, then aborts. Out of line of the hot path.
[[noreturn, gnu::cold, gnu::noinline]] inline void fail_check(const char* file, int line,
                                                              const char* condition) {
  std::fprintf(stderr, "tideway: internal check failed at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace tideway

#define TIDEWAY_CHECK(condition)                                               \
  do {                                                                         \
    if (!(condition)) [[unlikely]]                                             \
      ::tideway::fail_check(__FILE__, __LINE__, #condition);                   \
  } while (false)

// For loops that run once per packet: on in debug builds only.
#ifdef NDEBUG
#define TIDEWAY_DCHECK(condition) static_cast<void>(sizeof(!(condition)))
#else
#define TIDEWAY_DCHECK(condition) TIDEWAY_CHECK(condition)
#endif
