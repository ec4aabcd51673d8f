// SPDX-License-Identifier: Apache-2.0
//
// Any packet backend with an ear on it: what is received and what the backend takes to be sent is copied into a ring.
// Packets stay those of the backend inside, and their rooms go home to it.
// Thread: net worker.
#pragma once
#include "packet_io/capture_ring.h"
#include <tideway/packet_io.h>

#include <memory>
#include <unordered_map>

namespace tideway::packet_io {

class CapturePacketIo final : public PacketIo {
 public:
  // `clock` is read once per burst.
  CapturePacketIo(std::unique_ptr<PacketIo> inner, std::shared_ptr<CaptureRing> ring, Time (*clock)())
      : inner_(std::move(inner)), ring_(std::move(ring)), clock_(clock) {}

  PacketIoLimits limits() const override { return inner_->limits(); }
  PacketIoLosses losses() const override { return inner_->losses(); }
  Result<Path> open_path(const PathSpec& spec) override;
  void close_path(PathId path) override;
  size_t allocate(PathId path, Bytes payload, std::span<Packet> out) override { return inner_->allocate(path, payload, out); }
  size_t send(std::span<Packet> burst) override;
  size_t receive(std::span<Packet> out) override;

 private:
  struct Staged { size_t seen = 0, kept = 0; };  // packets that go by, and records filled for them
  CapturedPacket* stage(Staged& staged);
  void release(Packet&) override { TIDEWAY_CHECK(false); }  // this is no packet's home

  const std::unique_ptr<PacketIo> inner_;
  const std::shared_ptr<CaptureRing> ring_;
  Time (*const clock_)();
  std::unordered_map<uint32_t, PathSpec> paths_;  // open ones, by id
};

}  // namespace tideway::packet_io
