// SPDX-License-Identifier: Apache-2.0
//
// The whole stack in one process: a gateway that serves and a copy that dials it, each with its own engine, on two ports
// that are joined in memory. A tree is pushed, pulled back, verified against its manifest, and compared. What it proves
// of a host is that the programs and DPDK work there; its rates are those of both ends on one machine.
// Thread: control.
#pragma once
#include <tideway/result.h>
#include <tideway/time.h>
#include <tideway/units.h>

#include <functional>
#include <string>

namespace tideway::session {

struct SelfTestStep {
  std::string name;  // one word
  uint64_t entries = 0;
  Bytes bytes;       // 0: the step moves none
  uint64_t packets_sent = 0, packets_lost = 0;  // by the side that dials
  Duration took{};
};

struct SelfTestOrder {
  std::string backend = "dpdk";
  std::string parent;  // where its folder is made, and removed in the end; needs 500 MB
  uint32_t net_workers = 1;  // of each side
  int stop_fd = -1;    // readable: end it
  std::function<void(const SelfTestStep&)> on_step;
};

// Errors: unsupported (the backend is not in this build), cancelled, deadline, and those of whatever failed; each names
// the step.
Status run_self_test(const SelfTestOrder& order);

}  // namespace tideway::session
