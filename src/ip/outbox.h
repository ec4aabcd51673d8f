// SPDX-License-Identifier: Apache-2.0
//
// Where a port's answers wait until its backend fetches them, and how many it gives. Anybody can ask, so both are small:
// what does not fit is dropped, and the asker asks again.
// Thread: net worker. Pure.
#pragma once
#include <tideway/units.h>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace tideway::ip {

inline constexpr size_t kOutboxFrames = 16;          // about what arrives between two turns of a loop, at 100 per second
inline constexpr size_t kOutboxFrameMax = 9000 + 18;  // a jumbo frame with a tag: "ping -s 8972" finds the path's MTU

// A ring of frames; its memory is taken at the start.
class Outbox {
 public:
  Outbox() : bytes_(kOutboxFrames * kOutboxFrameMax) {}

  // Room of kOutboxFrameMax bytes for the next frame, which is in the ring after push(). Full: nothing.
  std::optional<std::span<std::byte>> room();
  void push(size_t size);
  std::span<const std::byte> front() const;  // empty: none waits
  void pop();
  bool is_empty() const { return count_ == 0; }

 private:
  std::span<std::byte> frame(size_t index) { return std::span(bytes_).subspan(index * kOutboxFrameMax, kOutboxFrameMax); }
  std::vector<std::byte> bytes_;
  std::array<size_t, kOutboxFrames> sizes_{};
  size_t first_ = 0, count_ = 0;
};

// At most 100 replies in any second: 20 at once, and 80 per second after that.
class ReplyLimit {
 public:
  enum class Use : uint8_t { kResolution, kEcho };  // an echo leaves five for resolution, without which nothing works

  bool allows(Time now, Use use) const;
  void on_reply(Time now);

 private:
  static constexpr int kBurst = 20, kReserve = 5;
  static constexpr Duration kInterval = std::chrono::microseconds(12'500);
  Time spent_until_{};  // moves on by one interval per reply, and lies ahead of now by those not yet made up for
};

}  // namespace tideway::ip
