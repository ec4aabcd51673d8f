// SPDX-License-Identifier: Apache-2.0
//
// Requests as files, for a gateway that is away: <root>/.tideway/inbox/<submission_id>.json, the body of the API's request. It
// appears whole or not at all, and outlives a crash of either side; the answer appears beside it.
// Thread: any; it blocks.
#pragma once
#include <optional>
#include <string>

namespace tideway::client {

inline constexpr size_t kInboxRequestMax = 64 << 10;  // bytes, as the gateway accepts

// On stable storage when it returns. What went wrong, or nothing.
std::optional<std::string> write_request(const std::string& inbox, const std::string& submission_id, const std::string& text);
// Empty as long as there is none.
std::string read_status(const std::string& inbox, const std::string& submission_id);
// False: the gateway has taken it.
bool remove_request(const std::string& inbox, const std::string& submission_id);

}  // namespace tideway::client
