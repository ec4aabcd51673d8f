// SPDX-License-Identifier: Apache-2.0
#include "storage/registry.h"

#include "base/log.h"
#include "storage/blocking_queue.h"
#include "storage/uring_queue.h"

#include <tideway/object_name.h>

#include <atomic>

namespace tideway::storage {
namespace {

void tell_once(const std::string& fields) {
  static std::atomic_flag is_told = ATOMIC_FLAG_INIT;
  if (!is_told.test_and_set()) log::debug("io_queue", fields);
}

}  // namespace

Result<IoQueueMode> io_queue_mode_named(std::string_view name) {
  if (name == "auto") return IoQueueMode::kAuto;
  if (name == "uring") return IoQueueMode::kUring;
  if (name == "threads") return IoQueueMode::kThreads;
  return Error{Fault::kConfigInvalid, "there is no way to do disk I/O called \"" + to_display(name) + "\"",
               "write auto, uring or threads"};
}

Result<std::unique_ptr<IoQueue>> make_io_queue(IoQueueMode mode) {
  if (mode == IoQueueMode::kThreads) return std::unique_ptr<IoQueue>(std::make_unique<BlockingQueue>());
  auto ring = UringQueue::create();
  if (ring.ok()) {
    tell_once("kind=io_uring");
    return ring;
  }
  if (mode == IoQueueMode::kUring) return ring;
  tell_once("kind=threads why=\"" + ring.error().what + "\"");
  return std::unique_ptr<IoQueue>(std::make_unique<BlockingQueue>());
}

}  // namespace tideway::storage
