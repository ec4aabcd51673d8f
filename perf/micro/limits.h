// SPDX-License-Identifier: Apache-2.0
//
// What no code can beat on this machine, measured in the same binary as what is compared with it. perf/micro/run.py
// pairs them by name.
#pragma once
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstring>
#include <vector>

namespace tideway::perf {

// Packets per call of what works on bursts.
inline constexpr size_t kBurst = 32;

// Counts `items` per iteration, and bytes when each of them has any.
inline void count(benchmark::State& state, size_t items, size_t bytes_each = 0) {
  state.SetItemsProcessed(static_cast<int64_t>(static_cast<size_t>(state.iterations()) * items));
  if (bytes_each > 0)
    state.SetBytesProcessed(static_cast<int64_t>(static_cast<size_t>(state.iterations()) * items * bytes_each));
}

// Two places of a size. A copy between places that lie a multiple of 4 KiB apart runs several times slower than any other,
// because its loads seem to wait for its stores; a limit should not, so there is half a page more.
struct Places {
  static constexpr size_t kPage = 4096;
  explicit Places(size_t size) : distance((size + kPage - 1) / kPage * kPage + kPage / 2), bytes(distance + size, std::byte{7}) {}
  std::byte* from() { return bytes.data(); }
  std::byte* to() { return bytes.data() + distance; }

  size_t distance;
  std::vector<std::byte> bytes;
};

// Copies a burst of packets.
inline void copy_burst(benchmark::State& state, size_t size) {
  Places places(kBurst * size);
  for (auto _ : state) {
    for (size_t i = 0; i < kBurst; ++i) std::memcpy(places.to() + i * size, places.from() + i * size, size);
    benchmark::ClobberMemory();
  }
  count(state, kBurst, size);
}

// Copies one piece of that size.
inline void copy_whole(benchmark::State& state, size_t size) {
  Places places(size);
  for (auto _ : state) {
    std::memcpy(places.to(), places.from(), size);
    benchmark::ClobberMemory();
  }
  count(state, 1, size);
}

}  // namespace tideway::perf
