// SPDX-License-Identifier: Apache-2.0
//
// An engine with its threads, as a gateway starts and ends it.
#include "engine/engine.h"

#include "support/test_aead.h"

#include <gtest/gtest.h>

#include <poll.h>

namespace tideway::engine {
namespace {

class EngineTest : public testing::Test {
 protected:
  static constexpr int kEngineLooks = 1'000, kEngineLookMs = 10;

  void SetUp() override {
    EngineConfig config;
    config.memory = 512_MiB;
    config.cores = 2;
    engine_ = Engine::start(config).value();
  }
  template <typename Done>
  bool wait_until(Done done) {
    pollfd bell{engine_->wait_fd(), POLLIN, 0};
    for (int look = 0; look < kEngineLooks && !done(); ++look) ::poll(&bell, 1, kEngineLookMs);
    return done();
  }
  ConnectionId bind(Delivery delivery) {
    engine_->post(BindPorts{0, kPorts, {{Endpoint::parse("127.0.0.1:0").value(), 7}}, delivery});
    std::optional<NetEvent> event;
    EXPECT_TRUE(wait_until([&] { return event || (event = engine_->next_net_event()); }));
    return std::get<PortsBound>(*event).ports.value().front().connection;
  }
  LaneHandle open_lane(Delivery delivery) {
    OpenLane open;
    open.lane = engine_->new_lane(0, 1);
    open.ports = kPorts;
    open.credit_unit = kBufferSize;
    open.flows_of_session = 1;
    open.delivery = delivery;
    OpenFlow& flow = open.flows.emplace_back();
    flow.local = Endpoint::parse("127.0.0.1:0").value();
    flow.config.local = bind(delivery);
    flow.config.mtu_max = 1500_B;
    flow.config.rtt_initial = std::chrono::milliseconds(10);
    flow.config.window_initial = 64_KiB;
    flow.config.peer = Endpoint::parse("127.0.0.1:9").value();
    for (auto* keys : {&flow.send_keys, &flow.receive_keys})
      for (auto& key : *keys) key = std::make_unique<test::TestAead>(1);
    const LaneHandle lane = open.lane;
    engine_->post(std::move(open));
    return lane;
  }

  static constexpr uint32_t kPorts = 1;
  std::unique_ptr<Engine> engine_;
};

// They used to go home by the thread that ends the engine, which is not theirs: debug builds stopped there.
TEST_F(EngineTest, EndsWithPacketsThatNoStreamHasTaken) {
  const auto board = engine_->lane_board(open_lane(Delivery::kStream));
  ASSERT_TRUE(wait_until([&] { return board->flows[0].packets_sent.get() > 0; })) << "its first packet waits for a connection";
  engine_.reset();
}

}  // namespace
}  // namespace tideway::engine
