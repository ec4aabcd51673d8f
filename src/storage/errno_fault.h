// SPDX-License-Identifier: Apache-2.0
//
// Turns what the kernel said into a fault of the catalogue, by the side it happened on: the same "permission denied"
// is source_io for a file we read and dest_denied for one we write.
// Thread: any.
#pragma once
#include <tideway/result.h>

#include <string>
#include <string_view>

namespace tideway::storage {

enum class Side : uint8_t { kSource, kDestination };

Fault fault_of(Side side, int error);

// `action` is a verb with its preposition ("open", "write to"), `shown` the entry as the peer named it, made printable;
// never an absolute path.
Error errno_error(Side side, int error, std::string_view action, std::string_view shown);

}  // namespace tideway::storage
