// SPDX-License-Identifier: Apache-2.0
//
// Packets over byte streams, for networks that carry no UDP: each path is a connection, and each packet, unchanged, goes
// behind its length of two bytes. The carrier resends and paces; a stream that takes no more keeps the packet with its flow.
//
// A path may be opened before its connection is there: packets for it stay with the caller until attach().
// Thread: net worker.
#pragma once
#include "base/descriptor.h"
#include "base/thread_owner.h"
#include "packet_io/byte_stream.h"
#include <tideway/packet_io.h>

#include <array>
#include <memory>
#include <vector>

namespace tideway::packet_io {

class StreamPacketIo final : public PacketIo {
 public:
  static constexpr Bytes kPayloadMax = Bytes(8'952);  // of an IPv6 packet of 9,000 bytes: a size that flows know
  static constexpr size_t kRooms = 256;               // to send from, over all paths; a burst more to receive into
  static constexpr size_t kStagedMax = 64 << 10;      // of packets that wait for a stream to take them

  StreamPacketIo();
  ~StreamPacketIo() override;  // all packets are home
  StreamPacketIo(const StreamPacketIo&) = delete;
  StreamPacketIo& operator=(const StreamPacketIo&) = delete;

  PacketIoLimits limits() const override;  // there is a wait_fd from the first connection on
  // The local endpoint is taken as it is: a connection has its own.
  Result<Path> open_path(const PathSpec& spec) override;
  void close_path(PathId path) override;
  size_t allocate(PathId path, Bytes payload, std::span<Packet> out) override;
  size_t send(std::span<Packet> burst) override;
  size_t receive(std::span<Packet> out) override;

  // The path's connection, from now on. False: it has one, or is not open.
  bool attach(PathId path, std::unique_ptr<ByteStream> stream);
  // Its connection has ended, or carried what is no packet.
  bool is_broken(PathId path) const;

 private:
  struct Row {
    PathId id;
    Endpoint local, remote;
    std::unique_ptr<ByteStream> stream;
    std::vector<std::byte> staged;            // behind `written`, what the stream did not take yet
    size_t written = 0;
    std::vector<std::byte> arrived;           // the packets that came, and a part of the next; a length too
    size_t arrived_from = 0, arrived_to = 0;
    bool waits_for_room = false;              // the socket is watched for it
    bool has_refused = false;                 // a packet, since its last send()
    bool is_broken = false;
  };
  void release(Packet& packet) override;
  Row* find(PathId path);
  const Row* find(PathId path) const;
  Packet room(uint32_t number, size_t size);
  bool watch_socket(const Row& row, int operation, uint32_t events);
  bool stage(Row& row, std::span<const std::byte> packet);
  void flush(Row& row);
  void watch(Row& row);
  bool fill(Row& row);
  bool take(Row& row, Packet& out);
  void break_off(Row& row);

  Descriptor epoll_;
  std::vector<Row> rows_;
  uint32_t path_last_ = 0;            // ids are never used twice
  size_t next_row_ = 0;               // to receive from: each in turn
  std::unique_ptr<std::byte[]> memory_;  // from the first path on
  std::vector<uint32_t> free_send_, free_receive_;
  ThreadOwner owner_;
};

}  // namespace tideway::packet_io
