// SPDX-License-Identifier: Apache-2.0
//
// The sender's bookkeeping with 10^3 to 10^6 packets in flight: each round takes a burst of ranges to send, records it,
// and processes an ACK of as many of the oldest packets; what the ACK leaves out is found lost and sent again. `lost` is
// per mille of the packets. Nothing is sealed or sent.
#include "base/random.h"
#include "flow/loss_detector.h"
#include "flow/send_window.h"
#include "flow/sent_packets.h"
#include "limits.h"
#include "mem/buffer_pool.h"

namespace tideway::flow {
namespace {

using perf::kBurst;
using std::chrono::milliseconds;
constexpr uint32_t kPayload = 1408;
constexpr uint32_t kBlockSize = (4U << 20) + kHeadUnit;
constexpr Duration kRtt = milliseconds(100);

// One lane with one flow that always has data, and a peer that acks a round trip later.
class Sender {
 public:
  Sender(size_t in_flight, double lost)
      : in_flight_(in_flight), lost_(lost), turn_(kRtt / static_cast<int64_t>(in_flight / kBurst)),
        // Twice what is in flight: a block with a lost range stays for one more round trip.
        pool_(BufferPool::create(static_cast<uint32_t>(2 * in_flight * kPayload / kBlockSize + 64)).value()) {
    rtt_.on_sample(now_, kRtt, {});
    while (sent_.packets_in_flight() < in_flight_) send();
  }

  // Returns how many packets left.
  size_t turn() {
    receive();
    return send();
  }
  uint64_t resent() const { return resent_; }

 private:
  size_t send() {
    now_ += turn_;
    if (!sent_.reserve(kBurst)) return 0;
    BurstRecord record;
    record.sent_at = now_;
    record.first_packet = sent_.next_number();
    sent_.begin_burst(record);
    size_t count = 0;
    for (; count < kBurst; ++count) {
      if (!window_.has_work()) offer();
      const auto taken = window_.take(now_, kPayload);
      if (!taken) break;
      resent_ += taken->is_resent;
      const Range& range = taken->range;
      sent_.add({.block = range.key.block.value(), .offset = range.offset, .slot = range.key.slot.value(),
                 .length = static_cast<uint16_t>(range.length), .kind = PacketKind::kData});
    }
    return count;
  }

  void receive() {
    const uint64_t first = acked_, end = std::min(acked_ + kBurst, sent_.next_number());
    for (uint64_t number = sent_.find(first, end); number < end; number = sent_.find(number + 1, end))
      if (!random_.happens(lost_)) window_.on_acked(sent_.on_acked(number).range());
    acked_ = end;
    loss_.on_acked(end - 1);
    while (const auto lost = loss_.next_lost(now_, sent_, rtt_)) {
      window_.on_lost(sent_.at(*lost).range());
      sent_.on_lost(*lost);
    }
    sent_.forget_lost(now_ - 3 * kRtt);
    while (window_.take_done()) {}
  }

  void offer() {
    PackedBlock block{.key = {SlotId(1), BlockId(next_block_++)}, .head_units = 1, .length = kBlockSize, .buffer = pool_->take()};
    TIDEWAY_CHECK(!block.buffer.is_empty());
    TIDEWAY_CHECK(window_.offer(std::move(block)));
  }

  size_t in_flight_;
  double lost_;
  Duration turn_;
  Time now_ = Time{} + std::chrono::seconds(1);
  std::unique_ptr<BufferPool> pool_;
  SendWindow window_;
  SentPackets sent_{0};
  LossDetector loss_{0};
  RttEstimator rtt_{kRtt};
  Random random_{1};
  uint64_t acked_ = 0, resent_ = 0;
  uint32_t next_block_ = 0;
};

void send_and_ack(benchmark::State& state) {
  Sender sender(static_cast<size_t>(state.range(0)), static_cast<double>(state.range(1)) / 1000);
  uint64_t packets = 0;
  for (auto _ : state) packets += sender.turn();
  state.SetItemsProcessed(static_cast<int64_t>(packets));
  state.counters["resent"] = static_cast<double>(sender.resent()) / static_cast<double>(packets);
}
BENCHMARK(send_and_ack)->ArgNames({"in_flight", "lost"})->ArgsProduct({{1'000, 10'000, 100'000, 1'000'000}, {0, 10}});

// A record of the same size written at one end of such a ring and read at the other.
void copy_record(benchmark::State& state) {
  const auto in_flight = static_cast<size_t>(state.range(0));
  std::vector<SentPacket> ring(std::bit_ceil(in_flight + kBurst));
  const size_t mask = ring.size() - 1;
  size_t number = 0;
  uint64_t sum = 0;
  for (auto _ : state) {
    for (size_t i = 0; i < kBurst; ++i) {
      sum += ring[(number - in_flight) & mask].offset;
      ring[number & mask] = {.block = 1, .offset = static_cast<uint32_t>(number), .length = kPayload};
      ++number;
    }
    benchmark::ClobberMemory();
  }
  benchmark::DoNotOptimize(sum);
  perf::count(state, kBurst);
}
BENCHMARK(copy_record)->ArgName("in_flight")->Arg(1'000)->Arg(10'000)->Arg(100'000)->Arg(1'000'000);

}  // namespace
}  // namespace tideway::flow
