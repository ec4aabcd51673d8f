// SPDX-License-Identifier: Apache-2.0
//
// A job as the store keeps it. Fields are added and never change their meaning: an older record is read with the defaults of
// what it lacks, and what a newer version added is passed over.
// Thread: any. Pure.
#pragma once
#include "job/job.h"
#include <tideway/result.h>

#include <span>
#include <string>
#include <string_view>

namespace tideway::api {

std::string to_record(const job::Job& job);
// Errors: usage: it is none.
Result<job::Job> parse_record(std::string_view text);

// False: it is no hex of that many bytes.
bool from_hex(std::string_view text, std::span<std::byte> into);

}  // namespace tideway::api
