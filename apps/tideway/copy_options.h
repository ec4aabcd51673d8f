// SPDX-License-Identifier: Apache-2.0
//
// What a copy may be told on the command line, whoever runs it: this process, or the gateway of this machine as a job.
// Thread: main.
#pragma once
#include "gateway_client.h"
#include "session/copy.h"
#include "verbs.h"

#include <memory>
#include <string>
#include <vector>

namespace tideway::cli {

struct CopyOptions {
  std::vector<std::string> places;
  std::vector<messages::Filter> filters;
  std::string files_from, bwlimit, compress = "auto", verify = "memory", capture, publish = "auto", overwrite = "never", resume_verify = "auto", transfer_class;
  uint32_t weight = 0;  // zero: not given
  std::string deadline, may_hurt;
  std::vector<std::string> last;
  bool dry_run = false, null_separated = false, error_on_no_transfer = false;
  uint32_t flows = 0;
};

// Below the help of a verb that takes these options.
inline constexpr const char* kCopyFooter =
    "One directory: DST becomes the tree, with or without a / behind it. One file: DST is its new name, unless DST ends\n"
    "in / or is a directory. Several sources: DST is a directory. Nothing that is there is replaced unasked. An\n"
    "interrupted copy resumes when the same command is run again.\n\n"
    "PATTERN: * and ? match within a name, ** also /, [a-z] one of a set; /x only at the top of the source, x/ only\n"
    "directories. A directory that is left out is not entered.\n\n";

void add_copy_options(CLI::App& verb, const std::shared_ptr<CopyOptions>& options);
// For a copy in this process. Errors: usage.
Result<session::CopyRequest> request_from(const CopyOptions& options);
// The same as a job. Errors: usage; daemon_unreachable.
Result<job::Spec> spec_from(const CopyOptions& options, const GatewayClient& gateway);
// "6h" from now, or a time of RFC 3339 in UTC. Errors: usage.
Result<job::WallTime> parse_deadline(const std::string& text);
// Of --bwlimit. Errors: usage.
Result<Rate> rate_from(const CopyOptions& options);

}  // namespace tideway::cli
