// SPDX-License-Identifier: Apache-2.0
//
// The receiver's bitmap of packet numbers: noting each arrival, and writing the ranges of an ACK. `lost` is per mille.
#include "base/random.h"
#include "flow/ack_ranges.h"
#include "limits.h"

namespace tideway::flow {
namespace {

constexpr size_t kNumbers = size_t{1} << 18;  // half of the ring: nothing falls out of it

// Which of a stretch of packets arrive.
std::vector<uint64_t> arriving(size_t numbers, int64_t lost_per_mille) {
  Random random(1);
  std::vector<uint64_t> arrived;
  for (uint64_t number = 0; number < numbers; ++number)
    if (!random.happens(static_cast<double>(lost_per_mille) / 1000)) arrived.push_back(number);
  return arrived;
}

void note_packet(benchmark::State& state) {
  const std::vector<uint64_t> numbers = arriving(kNumbers, state.range(0));
  AckRanges ranges(AckRanges::kBitsDefault);
  uint64_t base = 0;
  size_t next = 0;
  for (auto _ : state) {
    const uint64_t number = base + numbers[next];
    if (ranges.is_new(number)) ranges.on_received(number);
    if (++next == numbers.size()) {
      next = 0;
      base += kNumbers;
    }
  }
  perf::count(state, 1);
}
BENCHMARK(note_packet)->ArgName("lost")->Arg(0)->Arg(10)->Arg(100);

// A bit per packet, with nothing asked and nothing cleared.
void set_bit(benchmark::State& state) {
  std::vector<uint64_t> words(AckRanges::kBitsDefault / 64);
  uint64_t number = 0;
  for (auto _ : state) {
    uint64_t& word = words[(number >> 6) & (words.size() - 1)];
    benchmark::DoNotOptimize(word |= uint64_t{1} << (number & 63));
    ++number;
  }
  perf::count(state, 1);
}
BENCHMARK(set_bit);

void write_ranges(benchmark::State& state) {
  AckRanges ranges(AckRanges::kBitsDefault);
  for (const uint64_t number : arriving(kNumbers, state.range(0))) ranges.on_received(number);
  wire::AckFrame frame;
  for (auto _ : state) {
    ranges.write(frame);
    benchmark::ClobberMemory();
  }
  state.counters["ranges"] = static_cast<double>(frame.ranges_count);
  perf::count(state, 1);
}
BENCHMARK(write_ranges)->ArgName("lost")->Arg(0)->Arg(10)->Arg(100);

// As many ranges as a frame holds, from one place to another.
void copy_ranges(benchmark::State& state) { perf::copy_whole(state, wire::kAckRangesMax * sizeof(wire::PacketRange)); }
BENCHMARK(copy_ranges);

}  // namespace
}  // namespace tideway::flow
