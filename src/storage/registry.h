// SPDX-License-Identifier: Apache-2.0
//
// The ways bytes go to disk, by name.
// Thread: any.
#pragma once
#include "storage/io_queue.h"
#include <tideway/result.h>

#include <memory>
#include <string_view>

namespace tideway::storage {

enum class IoQueueMode : uint8_t { kAuto, kUring, kThreads };

// Errors: config_invalid for a name that is none of auto, uring, threads.
Result<IoQueueMode> io_queue_mode_named(std::string_view name);

// kAuto takes io_uring where it works, else blocking calls, and logs once per process which it became. Errors of
// kUring: unsupported, when it does not work here.
Result<std::unique_ptr<IoQueue>> make_io_queue(IoQueueMode mode);

}  // namespace tideway::storage
