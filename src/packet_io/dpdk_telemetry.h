// SPDX-License-Identifier: Apache-2.0
//
// Tables of a gateway as commands of DPDK's telemetry socket, in the way of its own: `/tideway/flows` lists the rows,
// `/tideway/flows,3` has one. Replies hold at most 16 KiB and no dictionaries within others.
// Thread: control.
#pragma once
#include "packet_io/telemetry.h"

namespace tideway::packet_io {

// After start_eal. `name` and `help` live on; a table of the same name is replaced. A command that DPDK does not take is
// logged and missing.
void publish_dpdk_telemetry(TelemetryCommand command);

}  // namespace tideway::packet_io
