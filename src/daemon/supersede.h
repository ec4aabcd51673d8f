// SPDX-License-Identifier: Apache-2.0
//
// Which checkpoints give way to a newer one of their series that is ready: older ones for the same place that are not more than half
// there. What is nearly there is worth its end, since a newer one may be lost.
// Thread: control. Pure.
#pragma once
#include "api/job_view.h"
#include "job/job.h"

#include <optional>
#include <string_view>

namespace tideway::daemon {

// A job that brings a pointer, and no checkpoint.
bool is_pointer(const job::Job& job);
// The directory that a checkpoint lies in, at its destination: "oslo:ckpt/runs" of "oslo:ckpt/runs/step-1".
std::string_view place_above(std::string_view destination);

// `progress` of the older one, if it runs.
bool gives_way(const job::Job& older, const std::optional<api::Progress>& progress, const job::Job& newer);

}  // namespace tideway::daemon
