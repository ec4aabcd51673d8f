// SPDX-License-Identifier: Apache-2.0
//
// How a copy is done, in the words of the command line and of a job.
// Thread: any. Pure.
#pragma once
#include "messages/transfer_messages.h"

#include <string>
#include <vector>

namespace tideway::session {

struct CopyWords {
  std::string compress, verify, publish;
  std::vector<std::string> last;
  std::string overwrite = "never", resume_verify = "auto";
};

// Errors: usage, verify_unavailable, unsupported, naming the word.
Result<messages::TransferOptions> options_from(const CopyWords& words);

}  // namespace tideway::session
