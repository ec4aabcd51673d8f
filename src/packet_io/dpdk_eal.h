// SPDX-License-Identifier: Apache-2.0
//
// DPDK's environment layer (EAL) of this process: started once, never stopped, because 22.11 can do neither twice. What
// it and the drivers log goes to our log at debug level, and is kept long enough to explain a failure.
// Thread: see each.
#pragma once
#include "packet_io/dpdk_config.h"
#include <tideway/result.h>

#include <string>

namespace tideway::packet_io {

// Starts EAL, or finds it started with the same arguments. It pins its caller and whoever that one starts later, so call
// it from a throw-away thread; never from two at once. Errors: config_invalid, no_hugepages.
Status start_eal(const DpdkConfig& config);

// What EAL and the drivers have complained about lately, one message a line. Thread: any.
std::string eal_log();

// Makes the calling thread known to DPDK until it ends, so that its mbufs have a cache; again is nothing. A thread
// beyond the 128 that EAL can know works without a cache.
void register_thread();

}  // namespace tideway::packet_io
