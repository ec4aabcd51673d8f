// SPDX-License-Identifier: Apache-2.0
//
// A burst of DATA packets made from a block, header and seal together, and taken in again: parsed, opened where it belongs
// in a block, marked as arrived. Beside it the AEAD alone over the same bytes. The best provider of this machine.
#include "crypto/registry.h"
#include "flow/packet_builder.h"
#include "flow/packet_opener.h"
#include "flow/packet_sealer.h"
#include "flow/reassembler.h"
#include "limits.h"

#include <array>

namespace tideway::flow {
namespace {

using perf::kBurst;
constexpr SlotId kSlot{1};

std::unique_ptr<Aead> make_key() {
  return crypto::make_aead(std::array<std::byte, kAeadKeySize>{}, std::array<std::byte, kAeadIvSize>{});
}

// Makes bursts that walk through a block of one burst's size and then through the next block.
class Source {
 public:
  explicit Source(size_t payload) : payload_(payload), block_(kBurst * payload, std::byte{1}), bytes_(kBurst) {
    for (auto& room : bytes_) room.resize(payload + wire::kDataOverhead);
    sealer_.install(KeyEpoch(0), make_key());
    sealer_.prepare(Time{});
  }

  std::span<Packet> make() {
    for (size_t i = 0; i < kBurst; ++i) rooms_[i].bytes = bytes_[i];
    builder_.begin({.rooms = rooms_, .epoch = KeyEpoch(0), .first_number = next_, .ecn = Ecn::kEct0});
    for (size_t i = 0; i < kBurst; ++i) {
      const auto offset = static_cast<uint32_t>(i * payload_);
      builder_.add_data({.range = {{kSlot, BlockId(block_number_)}, offset, static_cast<uint32_t>(payload_)},
                         .bytes = std::span(block_).subspan(offset, payload_), .head_units = 1,
                         .is_last_in_block = i + 1 == kBurst, .is_resent = false}, 0);
    }
    sealer_.seal(builder_.jobs());
    next_ += kBurst;
    ++block_number_;
    return rooms_;
  }

 private:
  size_t payload_;
  std::vector<std::byte> block_;
  std::vector<std::vector<std::byte>> bytes_;
  std::array<Packet, kBurst> rooms_;
  PacketBuilder builder_{FlowId(1), ConnectionId(1)};
  PacketSealer sealer_{KeyLimits{.bytes_hard = ~uint64_t{0}, .packets_hard = ~uint64_t{0}}};  // no change of keys here
  uint64_t next_ = 0;
  uint32_t block_number_ = 0;
};

void build_and_seal(benchmark::State& state) {
  Source source(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(source.make().data());
  perf::count(state, kBurst, static_cast<size_t>(state.range(0)));
}
BENCHMARK(build_and_seal)->ArgName("size")->Arg(1408)->Arg(8896);

// The receiving end of such bursts; a complete block goes home at once.
class Sink {
 public:
  Sink() {
    opener_.install(KeyEpoch(0), make_key());
    reassembler_.open_slot(kSlot);
    reassembler_.on_credit(kSlot, ~uint64_t{0} >> 1);
  }

  bool take(std::span<const Packet> packets) {
    std::array<OpenJob, kBurst> jobs;
    std::array<DataPlace, kBurst> places;
    for (size_t i = 0; i < packets.size(); ++i) {
      const std::span<const std::byte> bytes = packets[i].bytes;
      const auto header = wire::parse_header(bytes);
      const auto sealed = bytes.subspan(wire::kDataHeaderSize);
      places[i] = {.key = {header->data.slot, header->data.block}, .head_units = header->data.head_units,
                   .is_last_in_block = (header->data.flags & wire::kLastInBlock) != 0, .offset = header->data.offset,
                   .length = static_cast<uint32_t>(sealed.size() - kAeadTagSize)};
      const Placement placement = reassembler_.place(places[i]);
      if (placement.verdict != Verdict::kPlace) return false;
      jobs[i] = {header->packet_number, bytes.first(wire::kDataHeaderSize), sealed, placement.out, false};
    }
    if (opener_.open(0, jobs) != packets.size()) return false;
    for (const DataPlace& place : places) reassembler_.on_placed(place);
    reassembler_.settle();
    while (reassembler_.take_started()) {}
    return reassembler_.take_complete().has_value();
  }

 private:
  std::unique_ptr<BufferPool> pool_ = BufferPool::create(4).value();
  Reassembler reassembler_{ReassemblerConfig{}, *pool_};
  PacketOpener opener_{KeyLimits{}};
};

void open_and_place(benchmark::State& state) {
  const auto payload = static_cast<size_t>(state.range(0));
  Source source(payload);
  Sink sink;
  for (auto _ : state) {
    state.PauseTiming();
    const std::span<Packet> packets = source.make();
    state.ResumeTiming();
    if (!sink.take(packets)) state.SkipWithError("a block did not arrive");
  }
  perf::count(state, kBurst, payload);
}
BENCHMARK(open_and_place)->ArgName("size")->Arg(1408)->Arg(8896);

void aead_alone(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  const auto key = make_key();
  std::vector<std::byte> plain(kBurst * size, std::byte{1}), sealed(kBurst * (size + kAeadTagSize));
  const std::array<std::byte, wire::kDataHeaderSize> header{};
  std::array<SealJob, kBurst> jobs;
  uint64_t number = 0;
  for (auto _ : state) {
    for (size_t i = 0; i < kBurst; ++i)
      jobs[i] = {number++, header, std::span(plain).subspan(i * size, size),
                 std::span(sealed).subspan(i * (size + kAeadTagSize), size + kAeadTagSize)};
    key->seal(jobs);
  }
  perf::count(state, kBurst, size);
}
BENCHMARK(aead_alone)->ArgName("size")->Arg(1408)->Arg(8896);

}  // namespace
}  // namespace tideway::flow
