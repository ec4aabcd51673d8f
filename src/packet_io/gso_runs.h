// SPDX-License-Identifier: Apache-2.0
//
// Which packets of a burst may go to the kernel as one message: a run is what UDP_SEGMENT can cut up again. All its
// packets have one path, one ECN mark and one length, except that the last may be shorter.
// Pure.
#pragma once
#include <tideway/packet_io.h>

#include <cstdint>
#include <span>

namespace tideway::packet_io {

// UDP_MAX_SEGMENTS of Linux before 6.9; later kernels allow 128, and by 64 a system call is cheap enough.
inline constexpr size_t kRunPacketsMax = 64;
// What an IPv4 packet of 65,535 bytes holds behind its headers; IPv6 allows 20 more, which no run needs.
inline constexpr size_t kRunBytesMax = 65'507;

enum class Gso : uint8_t { kOff, kOn };

struct GsoRun {
  uint32_t packets = 0;  // neighbours in the burst; the first run starts at its front, the next behind it
  uint32_t segment = 0;  // bytes of each packet but the last
  uint32_t bytes = 0;    // of all
};

// Cuts `burst` into runs, in order, leaving none out; with Gso::kOff each packet is a run of its own. `out` is at
// least as long as `burst`. Returns how many runs.
size_t form_runs(std::span<const Packet> burst, Gso gso, std::span<GsoRun> out);

}  // namespace tideway::packet_io
