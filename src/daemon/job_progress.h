// SPDX-License-Identifier: Apache-2.0
//
// How far the copy of a running job is, as the API tells it.
// Thread: control. Pure.
#pragma once
#include "api/job_view.h"
#include "session/copy.h"

namespace tideway::daemon {

api::Progress to_progress(const session::CopyNumbers& numbers);

}  // namespace tideway::daemon
