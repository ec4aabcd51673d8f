// SPDX-License-Identifier: Apache-2.0
//
// What a block's handle costs to go through the ring between two workers: both ends in one thread, and in two.
#include "base/spsc_ring.h"
#include "limits.h"
#include "mem/packed_block.h"

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
