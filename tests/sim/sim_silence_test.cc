// SPDX-License-Identifier: Apache-2.0
//
// What strangers can make a gateway say: nothing. Two net workers, as an engine runs them, carry blocks over simulated ports with the
// real cipher, once by themselves and once while datagrams of somebody without keys reach both. All that leaves either port, and
// when, is the same both times: nobody is answered, and no packet to the peer is another one, or a moment later.
#include "congestion/registry.h"
#include "engine/path_end.h"
#include "packet_io/sim_packet_io.h"
#include "sim/sim_forger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace tideway::test {
namespace {

using engine::PathEnd;
using engine::PathEndConfig;
using std::chrono::microseconds;

constexpr uint64_t kStrangers = 1'000'000;     // datagrams, of both ends together: 5 s of processor under the sanitizers
constexpr uint64_t kStrangersOfTurn = 200;     // at one end, behind what its peer sent: a turn takes 512 packets in all
constexpr Duration kTurn = microseconds(10);
constexpr Rate kPeerRate = 4_Gbit;
constexpr uint32_t kSilenceFlows = 2;

// What somebody sees on the wire behind a port: each frame that left it, with its time.
struct Seen {
  std::vector<uint64_t> frames;
  uint64_t elsewhere = 0;  // of them, to somebody else than the peer
  bool operator==(const Seen&) const = default;
};

// A wire on which a stranger sits who sees all that comes here, and sends as much as is asked of him behind it.
class TappedWire final : public packet_io::SimWire {
 public:
  TappedWire(packet_io::SimWire& inner, const Time& now, uint64_t seed) : inner_(inner), now_(now), forger_(seed), random_(seed) {}

  bool offer(const packet_io::SimFrame& frame) override {
    if (!inner_.offer(frame)) return false;
    uint64_t hash = static_cast<uint64_t>(now_.time_since_epoch().count()) ^ static_cast<uint64_t>(frame.ecn) << 60;
    for (const std::byte byte : frame.bytes) hash = (hash ^ std::to_integer<uint64_t>(byte)) * 0x100'0000'01B3;  // FNV-1a
    for (const std::byte byte : frame.to.address) hash = (hash ^ std::to_integer<uint64_t>(byte)) * 0x100'0000'01B3;
    seen.frames.push_back(hash ^ frame.to.port ^ uint64_t{frame.from.port} << 16);
    seen.elsewhere += std::ranges::find(peers, frame.to) == peers.end() ? 1 : 0;
    return true;
  }

  std::optional<packet_io::SimFrame> take() override {
    if (const auto genuine = inner_.take()) {
      SimDatagram kept;
      kept.from = genuine->from;
      kept.destination = genuine->to;
      kept.bytes.assign(genuine->bytes.begin(), genuine->bytes.end());
      forger_.see(kept);
      return genuine;
    }
    if (strangers == 0) return std::nullopt;
    const auto old = forger_.take_old();
    if (!old) return std::nullopt;
    strangers -= 1;
    sent += 1;
    made_ = random_.below(4) == 0 ? *old : forger_.make_up(*old);  // as it was, and so a replay, or damaged, or made up
    if (random_.below(2) == 0) made_.from.address.back() ^= std::byte{1}, made_.from.port ^= 1;
    return packet_io::SimFrame{.from = made_.from, .to = made_.destination, .ecn = Ecn::kCe, .bytes = made_.bytes};
  }

  Seen seen;
  std::vector<Endpoint> peers;
  uint64_t strangers = 0, sent = 0;  // datagrams: of this turn, still to come; so far

 private:
  packet_io::SimWire& inner_;
  const Time& now_;
  SimForger forger_;
  Random random_;
  SimDatagram made_;  // whose bytes take() handed out
};

// One end: its port, whose counters say what came through, and what it does.
struct SilentEnd {
  std::unique_ptr<TappedWire> wire;
  const packet_io::SimPacketIo* port = nullptr;
  std::unique_ptr<PathEnd> end;
  std::vector<engine::BoundPort> bound;

  SilentEnd(PathEndConfig::Role role, const engine::PathPattern& pattern, std::unique_ptr<TappedWire> tapped) : wire(std::move(tapped)) {
    PathEndConfig config;
    config.role = role;
    config.local = Endpoint::parse(role == PathEndConfig::Role::kSource ? "10.0.0.1:0" : "10.0.0.2:0").value();
    config.pattern = &pattern;
    packet_io::SimConfig simulated;
    simulated.address = config.local;
    auto io = std::make_unique<packet_io::SimPacketIo>(simulated, *wire);
    port = io.get();
    config.flows = kSilenceFlows;
    config.rate = kPeerRate;
    config.controller = congestion::find_controller("bbr", Rate()).value();
    config.check = PathEndConfig::Check::kEvery;
    end = PathEnd::create(config, std::move(io)).value();
  }
};

struct Silence {
  std::array<Seen, 2> seen;
  uint64_t strangers = 0, arrived = 0;  // datagrams of theirs; of all that the ports handed on
  engine::PathCounts counts;            // of the sink
};

Silence run_beside(uint64_t strangers_of_turn) {
  auto wire = packet_io::quiet_wire(512);
  engine::PathPattern sent(1), expected(1);
  Time now{std::chrono::seconds(1)};
  SilentEnd source(PathEndConfig::Role::kSource, sent, std::make_unique<TappedWire>(*wire.first, now, 1));
  SilentEnd sink(PathEndConfig::Role::kSink, expected, std::make_unique<TappedWire>(*wire.second, now, 2));
  const std::array<SilentEnd*, 2> ends{&source, &sink};
  for (SilentEnd* end : ends) end->bound = end->end->bind(now).value();
  for (size_t i = 0; i < 2; ++i) {
    for (const auto& port : ends[1 - i]->bound) ends[i]->wire->peers.push_back(port.local);
    EXPECT_TRUE(ends[i]->end->open(now, ends[1 - i]->bound).ok());
  }
  for (uint64_t turn = 0; turn < kStrangers / kStrangersOfTurn / 2; ++turn, now += kTurn) {
    for (SilentEnd* end : ends) {
      end->wire->strangers = strangers_of_turn;
      end->end->poll(now);
    }
  }
  Silence result;
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_FALSE(ends[i]->end->failure());
    result.seen[i] = ends[i]->wire->seen;
    result.strangers += ends[i]->wire->sent;
    result.arrived += ends[i]->port->stats().packets_received;
  }
  result.counts = sink.end->counts();
  for (SilentEnd* end : ends) end->end->close(now);
  return result;
}

TEST(SimSilence, AMillionDatagramsOfStrangersChangeNothingThatLeavesAPort) {
  const Silence alone = run_beside(0), flooded = run_beside(kStrangersOfTurn);
  EXPECT_GT(flooded.strangers, kStrangers * 99 / 100);  // none before the first genuine packet, from which they are made
  EXPECT_GT(flooded.arrived - alone.arrived, flooded.strangers * 9 / 10);  // the rest is larger than the port takes
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(flooded.seen[i].elsewhere, 0U);
    EXPECT_GT(alone.seen[i].frames.size(), 10U);
    EXPECT_TRUE(flooded.seen[i] == alone.seen[i]) << (i == 0 ? "the source" : "the sink") << " sent " << flooded.seen[i].frames.size() << " and "
                                                  << alone.seen[i].frames.size() << " packets";
  }
  EXPECT_GT(flooded.counts.blocks, 0U);
  EXPECT_EQ(flooded.counts.damaged, 0U);
}

}  // namespace
}  // namespace tideway::test
