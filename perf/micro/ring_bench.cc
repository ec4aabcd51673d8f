// SPDX-License-Identifier: Apache-2.0
//
// What a block's handle costs to go through the ring between two workers: both ends in one thread, and in two. And what the
// bytes of a packet cost to go from one core to another, which no data path over rings in memory can do without.
#include "base/spsc_ring.h"
#include "limits.h"
#include "mem/packed_block.h"

#include <tideway/check.h>

#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace tideway {
namespace {

using perf::kBurst;

PackedBlock handle() { return {.key = {}, .head_units = 0, .length = 1, .buffer = {}}; }

void push_pop(benchmark::State& state) {
  SpscRing<PackedBlock> ring(64);
  for (auto _ : state) {
    for (size_t i = 0; i < kBurst; ++i) benchmark::DoNotOptimize(ring.push(handle()));
    for (size_t i = 0; i < kBurst; ++i) benchmark::DoNotOptimize(ring.pop());
  }
  perf::count(state, kBurst);
}
BENCHMARK(push_pop);

// Both threads go round as often, so neither waits for the other for ever.
SpscRing<PackedBlock> shared(1024);

void push_and_pop_in_two_threads(benchmark::State& state) {
  for (auto _ : state) {
    if (state.thread_index() == 0) {
      while (!shared.push(handle())) {}
    } else {
      while (!shared.pop()) {}
    }
  }
  if (state.thread_index() == 0) perf::count(state, 1);
}
BENCHMARK(push_and_pop_in_two_threads)->Threads(2)->UseRealTime();

// One core copies packets into rooms that go round, as those of a pool of mbufs do; the other copies them out of there. Neither
// end fits into a cache.
class Rooms {
 public:
  static constexpr size_t kRooms = 2048, kEnds = size_t{32} << 20;
  explicit Rooms(size_t size) : size_(size), step_((size + 2 * kLine) / kLine * kLine), rooms_(kRooms * step_, std::byte{1}), from_(kEnds, std::byte{2}), to_(kEnds, std::byte{3}) {
    for (size_t i = 0; i < kRooms; ++i) TIDEWAY_CHECK(empty_.push(i * step_));
  }

  void fill() {
    const size_t room = pop(empty_);
    std::memcpy(&rooms_[room], &from_[next(filled_)], size_);
    push(full_, room);
  }
  void drain() {
    const size_t room = pop(full_);
    std::memcpy(&to_[next(drained_)], &rooms_[room], size_);
    push(empty_, room);
  }

 private:
  static constexpr size_t kLine = 64;
  using Ring = SpscRing<size_t>;
  static size_t pop(Ring& ring) {
    std::optional<size_t> room;
    while (!room) room = ring.pop();
    return *room;
  }
  static void push(Ring& ring, size_t room) {
    while (!ring.push(std::move(room))) {}
  }
  size_t next(size_t& at) const {
    if (at + size_ > kEnds) at = 0;
    return std::exchange(at, at + size_);
  }

  const size_t size_, step_;
  std::vector<std::byte> rooms_, from_, to_;
  Ring full_{kRooms}, empty_{kRooms};
  alignas(2 * kLine) size_t filled_ = 0;
  alignas(2 * kLine) size_t drained_ = 0;
};

void packet_between_cores(benchmark::State& state) {
  static std::unique_ptr<Rooms> rooms;
  const auto size = static_cast<size_t>(state.range(0));
  if (state.thread_index() == 0) rooms = std::make_unique<Rooms>(size);  // the threads meet before the first iteration
  for (auto _ : state) {
    if (state.thread_index() == 0) rooms->fill();
    else rooms->drain();
  }
  if (state.thread_index() == 0) perf::count(state, 1, size);
}
BENCHMARK(packet_between_cores)->ArgName("size")->Arg(1408)->Arg(8896)->Threads(2)->UseRealTime();

void copy_packet(benchmark::State& state) { perf::copy_whole(state, static_cast<size_t>(state.range(0))); }
BENCHMARK(copy_packet)->ArgName("size")->Arg(1408)->Arg(8896);

// The same handles through an array that nobody else looks at.
void move_handle(benchmark::State& state) {
  std::vector<PackedBlock> cells(64);
  for (auto _ : state) {
    for (size_t i = 0; i < kBurst; ++i) cells[i] = handle();
    benchmark::ClobberMemory();
    for (size_t i = 0; i < kBurst; ++i) {
      PackedBlock block = std::move(cells[i]);
      benchmark::DoNotOptimize(block);
    }
  }
  perf::count(state, kBurst);
}
BENCHMARK(move_handle);

}  // namespace
}  // namespace tideway
