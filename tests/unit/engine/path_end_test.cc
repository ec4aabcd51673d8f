// SPDX-License-Identifier: Apache-2.0
#include "engine/path_end.h"

#include "packet_io/sim_packet_io.h"

#include <gtest/gtest.h>

#include <utility>

namespace tideway::engine {
namespace {

using namespace std::chrono_literals;

constexpr size_t kWirePackets = 256;  // as a short ring of a port
constexpr int kTurnsMax = 200'000;

// How often a port is looked at, and how often that found it empty right behind a burst that was not full.
struct Looks {
  uint64_t all = 0, again = 0;
  bool was_short = false;  // the last one of this turn
  bool refuses = false;    // to take packets
};

class CountedPacketIo final : public PacketIo {
 public:
  CountedPacketIo(std::unique_ptr<PacketIo> inner, Looks& looks) : inner_(std::move(inner)), looks_(looks) {}
  PacketIoLimits limits() const override {
    PacketIoLimits limits = inner_->limits();
    limits.wait_fd = 0;  // as that of a kernel; nobody waits here
    return limits;
  }
  Result<Path> open_path(const PathSpec& spec) override { return inner_->open_path(spec); }
  void close_path(PathId path) override { inner_->close_path(path); }
  size_t allocate(PathId path, Bytes payload, std::span<Packet> out) override { return inner_->allocate(path, payload, out); }
  size_t send(std::span<Packet> burst) override { return looks_.refuses ? 0 : inner_->send(burst); }
  size_t receive(std::span<Packet> out) override {
    const size_t count = inner_->receive(out);
    looks_.all += 1;
    looks_.again += looks_.was_short && count == 0 ? 1 : 0;
    looks_.was_short = count > 0 && count < out.size();
    return count;
  }

 private:
  void release(Packet&) override { TIDEWAY_CHECK(false); }  // this is no packet's home
  std::unique_ptr<PacketIo> inner_;
  Looks& looks_;
};

struct PathEnds : testing::Test {
  PathPattern sent{1}, expected{1};
  std::pair<std::unique_ptr<packet_io::SimWire>, std::unique_ptr<packet_io::SimWire>> wire =
      packet_io::quiet_wire(kWirePackets);
  Time now{1s};
  Looks at_source, at_sink;
  uint64_t looked_again = 0;  // by both ends, in the turns of run()

  std::unique_ptr<PathEnd> make(PathEndConfig::Role role, uint32_t flows) {
    return make(role, flows, role == PathEndConfig::Role::kSource ? *wire.first : *wire.second, Rate::unlimited());
  }
  std::unique_ptr<PathEnd> make(PathEndConfig::Role role, uint32_t flows, packet_io::SimWire& to, Rate rate) {
    const bool is_source = role == PathEndConfig::Role::kSource;
    PathEndConfig config;
    config.role = role;
    config.local = Endpoint::parse(is_source ? "10.0.0.1:0" : "10.0.0.2:0").value();
    config.flows = flows;
    config.rate = rate;
    config.controller = congestion::find_controller("bbr", Rate()).value();
    config.pattern = is_source ? &sent : &expected;
    config.check = PathEndConfig::Check::kEvery;
    packet_io::SimConfig port;
    port.address = config.local;
    auto io =
        std::make_unique<packet_io::SimPacketIo>(port, to);
    return PathEnd::create(config, std::make_unique<CountedPacketIo>(std::move(io), is_source ? at_source : at_sink)).value();
  }

  void connect() {
    const auto from = source->bind(now), to = sink->bind(now);
    ASSERT_TRUE(from.ok() && to.ok());
    ASSERT_TRUE(sink->open(now, from.value()).ok());
    ASSERT_TRUE(source->open(now, to.value()).ok());
  }
  // Until so many blocks have come home to the source.
  void run(uint64_t blocks, uint32_t flows) {
    source = make(PathEndConfig::Role::kSource, flows);
    sink = make(PathEndConfig::Role::kSink, flows);
    connect();
    at_source = at_sink = {};
    for (int turn = 0; turn < kTurnsMax && source->counts().blocks < blocks; ++turn) {
      at_source.was_short = at_sink.was_short = false;
      source->poll(now);
      sink->poll(now);
      now += 10us;
    }
    looked_again = at_source.again + at_sink.again;
    EXPECT_FALSE(source->failure() || sink->failure());
    source->close(now);
    sink->close(now);
  }
  std::unique_ptr<PathEnd> source, sink;
};

TEST_F(PathEnds, BlocksGoRoundAndArriveIntact) {
  run(3 * kPathSourceBlocks, 1);
  EXPECT_GE(source->counts().blocks, 3 * kPathSourceBlocks);
  EXPECT_GE(sink->counts().blocks, source->counts().blocks);
  EXPECT_EQ(sink->counts().payload, kLeafSize * sink->counts().blocks);
  EXPECT_EQ(sink->counts().damaged, 0U);
}

TEST_F(PathEnds, SeveralFlowsCarryThem) {
  run(kPathSourceBlocks, 4);
  EXPECT_GE(sink->counts().blocks, kPathSourceBlocks);
  EXPECT_EQ(sink->counts().damaged, 0U);
}

// A look costs a system call, where there is a kernel to ask.
TEST_F(PathEnds, BehindAShortBurstNobodyLooksAgainInTheSameTurn) {
  run(kPathSourceBlocks, 1);
  EXPECT_GT(at_sink.all, 100U);
  EXPECT_EQ(looked_again, 0U);
}

// Nothing tells when a full port takes packets again. The last ACK before a pause used to lie there until the boards were due, up to 100 ms.
TEST_F(PathEnds, WhatThePortDidNotTakeIsOfferedAgainWithTheNextBeat) {
  source = make(PathEndConfig::Role::kSource, 1);
  sink = make(PathEndConfig::Role::kSink, 1);
  connect();
  for (; sink->counts().blocks < 2; now += 10us) {
    source->poll(now);
    sink->poll(now);
  }
  at_sink.refuses = true;
  source->poll(now);
  while (sink->poll(now)) {}
  EXPECT_LE(sink->next_look(now), now + 200us) << "and not when it would send probes";
}

// A path without a queue, over which packets take a while.
class LongWire {
 public:
  LongWire(const Time& now, Duration delay) : now_(now), delay_(delay) {}
  class End final : public packet_io::SimWire {
   public:
    End(LongWire& wire, size_t side) : wire_(wire), side_(side) {}
    bool offer(const packet_io::SimFrame& frame) override {
      if (side_ == 0) wire_.count(Bytes(frame.bytes.size()));
      wire_.to_[1 - side_].push_back({wire_.now_ + wire_.delay_, frame, {frame.bytes.begin(), frame.bytes.end()}});
      return true;
    }
    std::optional<packet_io::SimFrame> take() override {
      if (next_arrival() > wire_.now_) return std::nullopt;
      taken_ = std::move(wire_.to_[side_].front());
      wire_.to_[side_].pop_front();
      taken_.frame.bytes = taken_.bytes;
      return taken_.frame;
    }
    Time next_arrival() const { return wire_.to_[side_].empty() ? kNever : wire_.to_[side_].front().at; }

   private:
    LongWire& wire_;
    const size_t side_;
    struct Held { Time at; packet_io::SimFrame frame; std::vector<std::byte> bytes; };
    Held taken_;
    friend class LongWire;
  };
  std::array<End, 2> ends{End(*this, 0), End(*this, 1)};
  Bytes burst_max;  // that the first end offered at one time

 private:
  void count(Bytes size) {
    burst_ = std::exchange(counted_at_, now_) == now_ ? burst_ + size : size;
    burst_max = std::max(burst_max, burst_);
  }

  const Time& now_;
  const Duration delay_;
  Time counted_at_{};
  Bytes burst_;
  std::array<std::deque<End::Held>, 2> to_;
};

// With 50 ms between them.
struct PathEndsApart : PathEnds {
  LongWire path{now, 25ms};
  uint64_t turns = 0;  // of the source

  void connect_at(Rate rate, uint32_t flows) {
    source = make(PathEndConfig::Role::kSource, flows, path.ends[0], rate);
    sink = make(PathEndConfig::Role::kSink, flows, path.ends[1], rate);
    connect();
  }
  void turn_source() {
    do source->poll(now), ++turns;
    while (source->next_look(now) == now);
  }
  void turn_sink() {
    do sink->poll(now);
    while (sink->next_look(now) == now);
  }
  void run_until(Time end) {
    while (now < end) {
      turn_source();
      turn_sink();
      now = std::min({source->next_look(now), sink->next_look(now), path.ends[0].next_arrival(), path.ends[1].next_arrival()});
    }
  }
  // The sink rests meanwhile.
  void run_source_until(Time end) {
    while (now < end) {
      turn_source();
      now = std::min({source->next_look(now), path.ends[0].next_arrival(), end});
    }
  }
};

// Two flows whose packets fall due at times of their own leave in common turns. A thread is woken for that, which costs as much as
// many packets.
TEST_F(PathEndsApart, WhatFallsDueWithinABeatLeavesInOneTurn) {
  connect_at(800_Mbit, 2);
  run_until(now + 500ms);
  turns = 0;
  run_until(now + 500ms);
  EXPECT_GT(sink->counts().payload, Bytes(20'000'000));
  RecordProperty("turns", std::to_string(turns));
  EXPECT_LT(turns, 3'000U) << "2,500 beats";
  source->close(now);
  sink->close(now);
}

// The pacer takes what comes late for the host's habit and holds as much, which leaves at once when its window opens again. Our own beat is no such habit.
TEST_F(PathEndsApart, WhatLeavesAfterAPauseIsOneBurst) {
  connect_at(1'100_Mbit, 1);
  run_until(now + 1s);
  run_source_until(now + 120ms);  // its window is full after 75
  path.burst_max = Bytes();
  run_until(now + 30ms);
  RecordProperty("burst", std::to_string(path.burst_max.count()));
  EXPECT_GT(path.burst_max, Bytes());
  EXPECT_LE(path.burst_max, flow::Pacer::kQuantumMax);
  source->close(now);
  sink->close(now);
}

// The rate of a flow that sends nothing is that of a start, and of some Gbit/s on a short path. It used to shorten the beat of the end that receives.
TEST_F(PathEndsApart, AnEndThatOnlyReceivesHasALongBeat) {
  connect_at(8_Gbit, 2);
  run_until(now + 60ms);  // its round trip is known
  now = path.ends[1].next_arrival();
  turn_sink();
  EXPECT_GE(sink->next_look(now), now + 200us);
  source->close(now);
  sink->close(now);
}

// What is left may lie behind the port, as packets of a TLS stream do, and then no descriptor wakes anybody for it.
TEST_F(PathEndsApart, ATurnThatDidNotTakeAllThatArrivedIsFollowedByAnother) {
  connect_at(800_Mbit, 1);
  run_until(now + 1s);
  run_source_until(now + 20ms);  // 1,400 packets, and a turn takes 512
  EXPECT_TRUE(sink->poll(now));
  ASSERT_LE(path.ends[1].next_arrival(), now);
  EXPECT_EQ(sink->next_look(now), now);
  turn_sink();
  EXPECT_GT(path.ends[1].next_arrival(), now);
  source->close(now);
  sink->close(now);
}

TEST_F(PathEnds, OtherBytesThanExpectedAreCounted) {
  expected = PathPattern(2);
  run(4, 1);
  EXPECT_GE(sink->counts().damaged, 4U);
}

}  // namespace
}  // namespace tideway::engine
