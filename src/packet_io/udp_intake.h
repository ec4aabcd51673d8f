// SPDX-License-Identifier: Apache-2.0
//
// Reads messages from sockets into 64 KiB buffers and cuts them into the packets that GRO had joined: each packet is
// a slice, and the buffer is free again when its last slice dies. What one call read and the caller had no space for
// waits here, so the order of arrival is kept.
// Thread: net worker.
#pragma once
#include "packet_io/slice_buffers.h"
#include "packet_io/udp_stats.h"
#include <tideway/packet_io.h>

#include <array>
#include <memory>
#include <span>

namespace tideway::packet_io {

class UdpIntake {
 public:
  UdpIntake(uint32_t buffers, UdpStats& stats);
  ~UdpIntake();

  // Asks the socket once for about `packets` packets. Only when nothing is waiting. False: that was all the socket had.
  bool read(int fd, const Endpoint& local, size_t packets);

  // The next packet that waits: its bytes, addresses, ECN mark and when it came, without a home. The caller of take_next owns one
  // holder of `buffer` and gives it back with release().
  struct Slice { uint32_t buffer; std::span<std::byte> bytes; const Endpoint* from; const Endpoint* to; Ecn ecn; Time arrived_at; };
  bool is_empty() const { return waiting_next_ == waiting_count_; }
  Slice take_next();
  void release(uint32_t buffer) { buffers_.drop(buffer); }

  const SliceBuffers& buffers() const { return buffers_; }

 private:
  struct Messages;
  struct Clocks { Time now; Duration calendar; };  // the calendar first: a thread that is held up in between takes packets for later ones, never for older
  // One message that arrived: `size` bytes in segments of `segment`, cut off up to `offset`.
  struct Waiting {
    uint32_t buffer = 0, size = 0, segment = 0, offset = 0;
    Endpoint from, to;
    Ecn ecn = Ecn::kNotEct;
    Time arrived_at = kNever;
  };
  static constexpr size_t kMessagesMax = kBurstMax;  // per system call; a burst of packets that GRO could not join

  static Clocks read_clocks();
  size_t prepare(size_t messages);
  void keep(size_t message, uint32_t buffer, const Endpoint& local, const Clocks& clocks);

  SliceBuffers buffers_;
  UdpStats& stats_;
  const std::unique_ptr<Messages> messages_;
  std::array<Waiting, kMessagesMax> waiting_;
  size_t waiting_next_ = 0, waiting_count_ = 0;
  size_t packets_per_message_ = 1;  // of the last read: GRO joins few packets of a slow flow and many of a fast one
};

}  // namespace tideway::packet_io
