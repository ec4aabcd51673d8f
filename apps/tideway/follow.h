// SPDX-License-Identifier: Apache-2.0
//
// Watches a job of the gateway to its end, and shows it as a copy in this process would be shown.
// Thread: main.
#pragma once
#include "gateway_client.h"
#include "summary.h"

#include <string>

namespace tideway::cli {

struct FollowOptions {
  enum class OnInterrupt : uint8_t { kCancel, kLeave } on_interrupt = OnInterrupt::kLeave;
  OnNothing on_nothing = OnNothing::kFine;
  std::string title;  // of the progress line
};
// Returns the exit code.
int follow(const GatewayClient& gateway, api::JobView job, const Globals& globals, const FollowOptions& options);

}  // namespace tideway::cli
