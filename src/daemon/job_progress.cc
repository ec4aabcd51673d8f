// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_progress.h"

namespace tideway::daemon {

api::Progress to_progress(const session::CopyNumbers& numbers) {
  using enum session::CopyNumbers::Stage;
  const char* stage = numbers.stage == kConnect ? "connect" : numbers.stage == kScan ? "scan" : numbers.stage == kSend ? "send" : "publish";
  api::Progress progress;
  progress.stage = stage;
  progress.backend = numbers.backend;
  progress.entries = numbers.entries;
  progress.failed = numbers.failed;
  progress.skipped = numbers.skipped;
  progress.kept = numbers.kept;
  progress.bytes_needed = numbers.bytes_needed;
  progress.bytes_verified = numbers.bytes_verified;
  progress.bytes_held = numbers.bytes_held;
  progress.bytes_durable = numbers.bytes_durable;
  progress.bytes_raw = numbers.bytes_raw;
  progress.bytes_packed = numbers.bytes_packed;
  progress.packets_sent = numbers.packets_sent;
  progress.packets_lost = numbers.packets_lost;
  progress.flows = numbers.flows;
  progress.path_mtu = numbers.path_mtu;
  progress.rtt_ns = static_cast<uint64_t>(numbers.rtt.count());
  progress.host_lost_received = numbers.losses.received;
  progress.host_lost_sent = numbers.losses.sent;
  return progress;
}

}  // namespace tideway::daemon
