// SPDX-License-Identifier: Apache-2.0
//
// Packet headers and ACK frames, written and parsed.
#include "limits.h"
#include "wire/frames.h"
#include "wire/packet_header.h"

#include <array>

namespace tideway::wire {
namespace {

using perf::kBurst;
constexpr size_t kPacketSize = kDataHeaderSize + 1408 + 16;

PacketHeader data_header(uint64_t number) {
  return {.type = PacketType::kData,
          .key_epoch_low = 3,
          .flow = FlowId(4),
          .destination = ConnectionId(0x0102'0304'0506'0708),
          .packet_number = number,
          .data = {.slot = SlotId(1), .flags = kAppLimited, .head_units = 1, .block = BlockId(9), .offset = 1408}};
}

void header_write(benchmark::State& state) {
  std::vector<std::byte> packets(kBurst * kPacketSize);
  uint64_t number = 0;
  for (auto _ : state) {
    for (size_t i = 0; i < kBurst; ++i) write_header(data_header(number++), std::span(packets).subspan(i * kPacketSize, kPacketSize));
    benchmark::ClobberMemory();
  }
  perf::count(state, kBurst);
}
BENCHMARK(header_write);

void header_parse(benchmark::State& state) {
  std::vector<std::byte> packets(kBurst * kPacketSize);
  for (size_t i = 0; i < kBurst; ++i) write_header(data_header(i), std::span(packets).subspan(i * kPacketSize, kPacketSize));
  for (auto _ : state)
    for (size_t i = 0; i < kBurst; ++i) {
      auto header = parse_header(std::span(packets).subspan(i * kPacketSize, kPacketSize));
      benchmark::DoNotOptimize(header);
    }
  perf::count(state, kBurst);
}
BENCHMARK(header_parse);

// 32 bytes at the front of each packet, as a DATA header is.
void header_copy(benchmark::State& state) {
  std::vector<std::byte> packets(kBurst * kPacketSize);
  std::array<std::byte, kDataHeaderSize> header{};
  for (auto _ : state) {
    for (size_t i = 0; i < kBurst; ++i) std::memcpy(&packets[i * kPacketSize], header.data(), header.size());
    benchmark::ClobberMemory();
  }
  perf::count(state, kBurst);
}
BENCHMARK(header_copy);

AckFrame ack_of(size_t ranges) {
  AckFrame frame;
  frame.largest = 1'000'000;
  frame.ranges_count = ranges;
  for (size_t i = 0; i < ranges; ++i) frame.ranges[i] = {frame.largest - 100 * i - 50, frame.largest - 100 * i};
  return frame;
}

constexpr size_t kAckRoom = 8192;

void ack_write(benchmark::State& state) {
  const AckFrame frame = ack_of(static_cast<size_t>(state.range(0)));
  std::vector<std::byte> room(kAckRoom);
  for (auto _ : state) {
    Writer out(room);
    benchmark::DoNotOptimize(write_ack(out, frame));
    benchmark::ClobberMemory();
  }
  perf::count(state, 1);
}
BENCHMARK(ack_write)->ArgName("ranges")->Arg(1)->Arg(32)->Arg(256);

void ack_parse(benchmark::State& state) {
  std::vector<std::byte> room(kAckRoom);
  Writer out(room);
  write_ack(out, ack_of(static_cast<size_t>(state.range(0))));
  for (auto _ : state) {
    const auto frame = FrameReader(out.written()).next();
    auto ack = parse_ack(frame->body);
    benchmark::DoNotOptimize(ack);
  }
  perf::count(state, 1);
}
BENCHMARK(ack_parse)->ArgName("ranges")->Arg(1)->Arg(32)->Arg(256);

// The bytes of such a frame.
void ack_copy(benchmark::State& state) {
  std::vector<std::byte> room(kAckRoom), copy(kAckRoom);
  Writer out(room);
  write_ack(out, ack_of(static_cast<size_t>(state.range(0))));
  for (auto _ : state) {
    std::memcpy(copy.data(), room.data(), out.written().size());
    benchmark::ClobberMemory();
  }
  perf::count(state, 1);
}
BENCHMARK(ack_copy)->ArgName("ranges")->Arg(1)->Arg(32)->Arg(256);

}  // namespace
}  // namespace tideway::wire
