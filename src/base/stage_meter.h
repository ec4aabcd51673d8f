// SPDX-License-Identifier: Apache-2.0
//
// Where a net worker's cycles go, by stage of the data path. The path says where a stage ends, once
// per burst; whoever measures puts a meter into the thread, and what has passed since the end
// before belongs to that stage. Nothing that decides reads it.
//
// Cost: without a meter a load and a branch per stage and burst; with one about 25 cycles for
// reading the counter. Thread: the one that installed it.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <chrono>
#endif

namespace tideway {

enum class Stage : uint8_t {
  kReceive,   // packets out of the backend
  kPlace,     // header, replay, where in the block, and noting what arrived
  kOpen,      // the AEAD, into the block
  kAck,       // acknowledging, and acting upon what the peer acknowledges
  kPull,      // what to send, header, and noting what left
  kSeal,      // the AEAD, into the backend's room
  kTransmit,  // room from the backend, and packets into it
  kTurn,      // the rest of a turn that had work
  kIdle,      // looks that found nothing
};
inline constexpr std::string_view kStageNames[] = {"rx",   "place", "open", "ack", "pull",
                                                   "seal", "tx",    "turn", "idle"};
inline constexpr size_t kStages = std::size(kStageNames);

// A counter of constant rate that costs no system call; its unit is whatever the CPU counts in.
inline uint64_t read_cycles() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  asm("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

struct StageCount {
  uint64_t cycles = 0, packets = 0, bursts = 0;
};
using StageCounts = std::array<StageCount, kStages>;

class StageMeter {
 public:
  StageMeter() : ended_at_(read_cycles()) {}

  void end(Stage stage, size_t packets) {
    const uint64_t now = read_cycles();
    StageCount& count = counts_[static_cast<size_t>(stage)];
    count.cycles += now - ended_at_;
    count.packets += packets;
    count.bursts += packets > 0 ? 1 : 0;
    ended_at_ = now;
  }
  void resume() { ended_at_ = read_cycles(); }  // what has passed since belongs to nobody here
  const StageCounts& counts() const { return counts_; }

 private:
  uint64_t ended_at_;
  StageCounts counts_{};
};

// Of this thread; null: nobody measures.
inline constinit thread_local StageMeter* stage_meter = nullptr;

// A burst has left `stage`, with so many packets.
inline void end_stage(Stage stage, size_t packets = 0) {
  if (StageMeter* const meter = stage_meter; meter != nullptr) [[unlikely]]
    meter->end(stage, packets);
}

}  // namespace tideway
