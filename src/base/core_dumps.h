// SPDX-License-Identifier: Apache-2.0
//
// Keeps keys (of TLS, of packets, of signatures) out of core files. Some faults end a program by abort(), so a core is no rare thing.
// Thread: any; the programs call it first of all.
#pragma once
#include <sys/prctl.h>

namespace tideway {

// No core of this process from now on, whatever the limit and core_pattern of the machine are, and no debugger but root's. It holds until another
// program is executed: what `tideway phase` runs leaves cores as before, which a limit of 0 (RLIMIT_CORE) would keep it from.
// What a process reads in its own /proc/self stays readable to it, but for pagemap, where DPDK looks for numbers that only root is told anyway.
inline void forbid_core_dumps() { ::prctl(PR_SET_DUMPABLE, 0UL); }  // that number cannot be refused

}  // namespace tideway
