// SPDX-License-Identifier: Apache-2.0
//
// Under which number a transfer is known. A copy that is run again finds what the run before it left, because its number says
// what it is: from where to where, and with which options that change the outcome.
// Thread: any.
#pragma once
#include "crypto/identity.h"
#include "messages/transfer_messages.h"
#include <tideway/ids.h>

#include <optional>
#include <string>
#include <vector>

namespace tideway::session {

struct CopyIdentity {
  std::vector<std::string> sources;  // each with all that tells it from others: an absolute path, or peer, root and name
  std::string destination;
  messages::DestinationForm form = messages::DestinationForm::kAsGiven;
  messages::TransferOptions options;
  std::vector<messages::Filter> filters;
  std::optional<std::vector<ObjectName>> only;
};

// Of a direct copy: the first half of a SHA-256 over all of it. Options that only say how bytes travel do not count.
TransferId direct_transfer_id(const CopyIdentity& copy);

// Of the repair of a tree at this absolute path: one at a time.
TransferId repair_transfer_id(const std::string& path);

// Where a sink keeps what came for a transfer: apart for each peer, whose numbers are its own, and for each limit of modes.
TransferId staging_id(const TransferId& transfer, const crypto::Identity& peer, uint32_t modes);

// Of what goes ahead of that transfer, while its source is still being written.
TransferId ahead_id(const TransferId& transfer);

// A path on this machine, without links and relative parts as far as it exists.
std::string absolute_path(const std::string& path);

}  // namespace tideway::session
