// SPDX-License-Identifier: Apache-2.0
//
// Packets on their way from a net worker into a capture file: a bounded ring of records that the worker copies into and
// the writing thread reads in place. A full ring costs the file a packet and the wire nothing.
// Thread: one net worker and the writing thread; each function says whose it is.
#pragma once
#include "packet_io/pcapng.h"
#include <tideway/packet_io.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <memory>

namespace tideway::packet_io {

// What is kept of a UDP payload: all that a 9,000-byte MTU carries. Only strangers send more, and are cut short.
inline constexpr size_t kCaptureSnap = 9'216;

struct CapturedPacket {
  Time time{};
  PacketDirection direction = PacketDirection::kReceived;
  Dscp dscp = Dscp::kDefault;  // of a packet that was sent; a backend does not tell that of one received
  Ecn ecn = Ecn::kNotEct;
  Endpoint from, to;
  uint32_t size = 0;  // of the whole UDP payload
  std::array<std::byte, kCaptureSnap> bytes;

  std::span<const std::byte> kept() const { return std::span(bytes).first(std::min<size_t>(size, kCaptureSnap)); }
};

class CaptureRing {
 public:
  // 18 MiB; a nap of the writing thread at 10 Gbit/s of full packets. Memory that no packet has reached is not used.
  static constexpr size_t kRecordsDefault = 2'048;

  static constexpr Bytes kMemoryDefault = Bytes(kRecordsDefault * sizeof(CapturedPacket));

  explicit CaptureRing(size_t records = kRecordsDefault)
      : mask_(std::bit_ceil(records) - 1), records_(std::make_unique_for_overwrite<CapturedPacket[]>(mask_ + 1)) {}
  CaptureRing(const CaptureRing&) = delete;
  CaptureRing& operator=(const CaptureRing&) = delete;

  // Net worker: the record that the packet after `ahead` others will be written out from; null: the ring is full.
  CapturedPacket* room(size_t ahead) {
    const size_t at = tail_.load(std::memory_order_relaxed) + ahead;
    if (at - head_.load(std::memory_order_acquire) > mask_) return nullptr;
    return &records_[at & mask_];
  }
  // Net worker: `seen` packets went by, and the records of the first `kept` of them are filled.
  void commit(size_t seen, size_t kept) {
    lost_.store(lost_.load(std::memory_order_relaxed) + seen - kept, std::memory_order_relaxed);
    tail_.store(tail_.load(std::memory_order_relaxed) + kept, std::memory_order_release);
  }

  // Writing thread: the oldest record; null: there is none.
  const CapturedPacket* front() const {
    const size_t head = head_.load(std::memory_order_relaxed);
    return head == tail_.load(std::memory_order_acquire) ? nullptr : &records_[head & mask_];
  }
  void pop() { head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }  // any thread

 private:
  const size_t mask_;
  const std::unique_ptr<CapturedPacket[]> records_;
  alignas(64) std::atomic<size_t> head_{0};
  alignas(64) std::atomic<size_t> tail_{0};
  std::atomic<uint64_t> lost_{0};
};

}  // namespace tideway::packet_io
