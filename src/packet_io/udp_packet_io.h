// SPDX-License-Identifier: Apache-2.0
//
// The data plane over the kernel's UDP. One socket per local endpoint in use, shared by the paths that have it and
// closed with the last of them. Needs no privilege; what a privilege would improve is in notes().
// Thread: net worker; create() and the destructor may run elsewhere.
#pragma once
#include "base/descriptor.h"
#include "base/thread_owner.h"
#include "packet_io/run_sender.h"
#include "packet_io/slice_buffers.h"
#include "packet_io/udp_intake.h"
#include "packet_io/udp_socket.h"
#include "packet_io/udp_stats.h"
#include <tideway/packet_io.h>

#include <array>
#include <memory>
#include <optional>
#include <vector>

namespace tideway::packet_io {

// Of one net worker: 64 flows each for 64 peers. An id's lower half is its place in the table.
inline constexpr size_t kPathsMax = 4096;

class UdpPacketIo final : public PacketIo {
 public:
  // Errors: overloaded (out of descriptors), config_invalid (no buffers, payload beyond a UDP packet).
  static Result<std::unique_ptr<UdpPacketIo>> create(const UdpConfig& config);
  ~UdpPacketIo() override;  // all packets are home

  PacketIoLimits limits() const override;
  PacketIoLosses losses() const override;
  Result<Path> open_path(const PathSpec& spec) override;
  void close_path(PathId path) override;
  size_t allocate(PathId path, Bytes payload, std::span<Packet> out) override;
  size_t send(std::span<Packet> burst) override;
  size_t receive(std::span<Packet> out) override;

  const UdpStats& stats() const { return stats_; }
  // Packets that the kernel dropped at the open sockets: buffers were full, or checksums wrong. Asks the kernel: not for
  // every turn.
  uint64_t receive_overflows() const;
  UdpNotes notes() const;  // the least that any open socket was granted
  // Buffers that are neither with the caller nor waiting to be handed out.
  size_t send_buffers_free() const;
  size_t receive_buffers_free() const { return intake_.buffers().free(); }

 private:
  struct SocketRow { UdpSocket socket; uint32_t paths; Gso gso; };
  struct PathRow { Route route; uint32_t socket = 0; uint16_t generation = 0; bool is_open = false; };
  struct Group { SocketRow* row; size_t packets; };

  UdpPacketIo(const UdpConfig& config, Descriptor epoll, Descriptor leftover);
  void release(Packet& packet) override;

  Result<uint32_t> socket_for(const Endpoint& local);
  const PathRow* find(PathId path) const;
  Group next_group(std::span<const Packet> burst);
  bool poll_ready();
  size_t hand_out(std::span<Packet> out);
  void signal_leftover();

  const UdpConfig config_;   // set once, with the two descriptors
  const Descriptor epoll_;
  const Descriptor leftover_;  // an eventfd in the epoll set, readable while read packets wait in intake_
  bool is_leftover_signalled_ = false;

  std::vector<std::unique_ptr<SocketRow>> sockets_;  // by the index that epoll tells; null: not in use
  std::vector<PathRow> paths_;

  UdpStats stats_;
  uint64_t overflows_closed_ = 0;  // of sockets that are gone
  SliceBuffers rooms_;
  std::optional<uint32_t> room_buffer_;  // where the next room is cut from
  size_t room_cursor_ = 0;
  RunSender sender_;
  std::array<const Route*, kBurstMax> routes_{};
  UdpIntake intake_;
  std::array<uint32_t, kBurstMax> ready_{};  // sockets that have something, from one epoll_wait
  size_t ready_next_ = 0, ready_count_ = 0;
  ThreadOwner owner_;
};

}  // namespace tideway::packet_io
