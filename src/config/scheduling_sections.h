// SPDX-License-Identifier: Apache-2.0
//
// The sections that say who sends how much and when: links, classes, trainings and directories that are watched.
// Thread: any. Pure.
#pragma once
#include "config/sections.h"

namespace tideway::config {

// Reads [class.*], [schedule], [phase], [[link]], [[training]] and [[watch]]. Errors: as read_sections.
Status read_scheduling(const Table& document, GatewayConfig& config);

}  // namespace tideway::config
