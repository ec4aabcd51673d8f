// SPDX-License-Identifier: Apache-2.0
//
// What tells one run of this host's kernel from the next.
// Thread: any; it reads a file.
#pragma once
#include "transfer/ledger.h"

#include <string>

namespace tideway::engine {

// Zeros where the kernel does not say: then nothing that an earlier process recorded counts without a look at it.
transfer::BootId read_boot_id(const std::string& path = "/proc/sys/kernel/random/boot_id");

}  // namespace tideway::engine
