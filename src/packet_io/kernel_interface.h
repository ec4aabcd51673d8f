// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says of one of its interfaces that lies below a DPDK port. The drivers for such ports do not: those of
// DPDK 22.11 call a link up for ever once it was.
// Thread: any.
#pragma once
#include <tideway/units.h>

#include <cstdint>
#include <optional>
#include <string>

namespace tideway::packet_io {

enum class LinkState : uint8_t {
  kUp,
  kDown,
  kGone,  // for good: an interface that is made again under its name is another one
};

// Nothing: the kernel cannot be asked now.
std::optional<LinkState> link_of_interface(unsigned index);
Bytes mtu_of_interface(const std::string& name);  // zero: not known

}  // namespace tideway::packet_io
