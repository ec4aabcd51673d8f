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
  std::string deadline;
  std::vector<std::string> last;
  bool dry_run = false, null_separated = false, error_on_no_transfer = false;
  uint32_t flows = 0;
};

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
