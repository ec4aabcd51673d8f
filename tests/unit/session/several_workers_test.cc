// SPDX-License-Identifier: Apache-2.0
//
// Copies between gateways with several net workers, whatever cores this machine has, over UDP and over TLS.
#include "session/direct.h"

#include "crypto/random_bytes.h"
#include "session/lane_set.h"
#include "support/temp_root.h"
#include "support/test_certificates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace tideway::session {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkersTurnsMax = 60'000;
constexpr size_t kFiles = 12, kFileSize = 4 << 20;  // a block each
constexpr uint32_t kFlows = 4;

struct NetWorkers {
  uint32_t dialling, serving;
  size_t lanes;  // as many as the side with fewer has
  Delivery delivery = Delivery::kDatagram;
};

class SeveralWorkersTest : public testing::TestWithParam<NetWorkers> {
 protected:
  explicit SeveralWorkersTest(const GrantLimits& limits = {}) {
    for (size_t i = 0; i < kFiles; ++i) {
      std::string content(kFileSize, '\0');
      crypto::random_bytes(std::as_writable_bytes(std::span(content)));
      here_.write("tree/" + std::to_string(i), content);
    }
    GatewayConfig serving = gateway_of("serving", test::kWisconsin, GetParam().serving);
    serving.roots = {{"data", there_.path().string()}};
    serving.grants = GrantTable({{crypto::IdentityPattern::parse(test::kAtlanta).value(), "data", {},
                                  {GrantOp::kRead, GrantOp::kList, GrantOp::kWrite}, limits, "test"}});
    serving.listen = Endpoint::parse("127.0.0.1:0").value();
    serving_ = Gateway::start(std::move(serving)).value();
    GatewayConfig dialling = gateway_of("dialling", test::kAtlanta, GetParam().dialling);
    dialling.flows = kFlows;
    dialling_ = Gateway::start(std::move(dialling)).value();
    session_ = dialling_->dial({"wisconsin", *serving_->control_endpoint(), crypto::IdentityPattern::parse(test::kWisconsin).value()},
                               {.delivery = GetParam().delivery}).value();
  }

  GatewayConfig gateway_of(const char* name, const std::string& identity, uint32_t net_workers) {
    GatewayConfig config;
    const auto key = crypto::make_signed(test::gateway_spec(identity), sites_.authority).value();
    config.tls = test::write_files(sites_.folder, name, sites_.authority.certificate, key);
    config.engine.memory = 512_MiB;
    config.engine.net_workers = net_workers;
    config.data_addresses = {Endpoint::parse("127.0.0.1:0").value()};
    return config;
  }

  messages::OpenTransfer request(messages::Direction direction) const {
    messages::OpenTransfer request;
    crypto::random_bytes(request.transfer);
    request.direction = direction;
    request.root = "data";
    request.name = storage::single_name("copy");
    request.transfer_class = transfer_class_;
    return request;
  }

  template <typename Done>
  bool run_until(const Done& done) {
    for (int i = 0; i < kWorkersTurnsMax && !done(); ++i) {
      dialling_->turn(1ms);
      serving_->turn(0ms);
    }
    return done();
  }
  void expect_success(Transfer& transfer) {
    ASSERT_TRUE(run_until([&] { return transfer.outcome || session_->is_over(); }));
    ASSERT_FALSE(session_->is_over()) << session_->error().what;
    ASSERT_TRUE(transfer.outcome->ok()) << transfer.outcome->error().what;
    EXPECT_EQ(transfer.outcome->value().bytes, Bytes(kFiles * kFileSize));
  }
  std::shared_ptr<Transfer> push() {
    auto place = open_local((here_ / "tree").string(), storage::Side::kSource).value();
    engine::StartSource start;
    start.scan.sources.push_back({std::move(place.dir), std::move(place.name), std::move(place.as)});
    return session_->push(std::move(start), request(messages::Direction::kPush));
  }
  std::shared_ptr<Transfer> pull() {
    auto place = open_local((here_ / "back").string(), storage::Side::kDestination).value();
    engine::StartSink start;
    start.root = std::move(place.dir);
    start.destination = std::move(place.name);
    start.source_name = "copy";
    return session_->pull(std::move(start), request(messages::Direction::kPull));
  }
  uint64_t bytes_of(engine::LaneHandle lane) {
    uint64_t bytes = 0;
    for (const engine::FlowBoard& flow : dialling_->engine().lane_board(lane)->flows) bytes += flow.bytes_sent.get() + flow.bytes_received.get();
    return bytes;
  }

  std::string transfer_class_ = "best-effort";
  TempRoot here_, there_;
  test::TwoSites sites_;
  std::unique_ptr<Gateway> serving_, dialling_;
  Session* session_ = nullptr;
};

TEST_P(SeveralWorkersTest, CopyATreeBothWaysOverAllOfTheirLanes) {
  expect_success(*push());
  expect_success(*pull());
  for (size_t i = 0; i < kFiles; ++i) {
    const std::string name = std::to_string(i), sent = here_.read("tree/" + name);
    EXPECT_TRUE(sent == there_.read("copy/" + name)) << name;
    EXPECT_TRUE(sent == here_.read("back/" + name)) << name;
  }
  ASSERT_EQ(session_->lanes().size(), GetParam().lanes);
  EXPECT_EQ(session_->flows(), GetParam().lanes < GetParam().dialling ? kFlows - kFlows / GetParam().dialling : kFlows);
  for (const engine::LaneHandle lane : session_->lanes())  // a quarter of what an even spread would bring to each
    EXPECT_TRUE(run_until([&] { return bytes_of(lane) > 2 * kFiles * kFileSize / GetParam().lanes / 4; })) << lane.value();
}

TEST_P(SeveralWorkersTest, WhatIsSentIsCountedByTheClassOfItsTransfer) {
  transfer_class_ = "checkpoint";
  expect_success(*push());
  transfer_class_ = "of-a-later-version";
  expect_success(*pull());
  // What was sent to it as data of that class, and otherwise, once boards agree: they are told while packets still leave.
  const auto sent_to = [](const Gateway& gateway, const std::string& peer, Account account) {
    const Traffic traffic = gateway.counts().traffic.at(peer);
    const Bytes data = traffic.sent_of[static_cast<size_t>(account)];
    return std::pair(data, traffic.sent - data);
  };
  constexpr Bytes kAll = Bytes(kFiles * kFileSize);
  EXPECT_TRUE(run_until([&] { return sent_to(*dialling_, "wisconsin", Account::kCheckpoint).first > kAll; }));
  EXPECT_TRUE(run_until([&] { return sent_to(*serving_, "atlanta", Account::kOther).first > kAll; })) << "no series for each word of a peer";
  const Bytes acks = sent_to(*dialling_, "wisconsin", Account::kCheckpoint).second;
  EXPECT_GT(acks, 0_B);
  EXPECT_LT(acks, kAll / 4);
  EXPECT_TRUE(run_until([&] {
    const Traffic traffic = dialling_->counts().traffic.at("wisconsin");
    return std::accumulate(traffic.sent_of.begin(), traffic.sent_of.end(), Bytes()) == traffic.sent &&
           traffic.sent == traffic.sent_of[static_cast<size_t>(Account::kCheckpoint)] + traffic.sent_of[static_cast<size_t>(Account::kOther)];
  }));
}

// Nothing was taken for no limit.
TEST_P(SeveralWorkersTest, ATransferThatMaySendNothingSendsNothingUntilItMay) {
  const auto transfer = push();
  session_->limit_rate(*transfer, Rate());
  EXPECT_TRUE(run_until([&] { return session_->rate_allowed() == Rate(); }));
  EXPECT_FALSE(transfer->outcome);
  session_->limit_rate(*transfer, Rate::unlimited());
  expect_success(*transfer);
}

// Each used to count on all of the rate, and one that got its part of it looked as if somebody policed its UDP.
TEST_P(SeveralWorkersTest, NoneOfSeveralSessionsMayCountOnAllOfTheRateOfTheirGateway) {
  constexpr size_t kSessions = 3;
  std::vector<Session*> sessions = {session_};
  while (sessions.size() < kSessions)
    sessions.push_back(dialling_->dial({"wisconsin", *serving_->control_endpoint(), crypto::IdentityPattern::parse(test::kWisconsin).value()},
                                       {.delivery = GetParam().delivery}).value());
  ASSERT_TRUE(run_until([&] { return std::ranges::all_of(sessions, &Session::is_up); }));
  for (const Session* session : sessions) EXPECT_TRUE(session->rate_allowed().is_unlimited());
  dialling_->set_rate(80_Mbit);
  const auto has_a_part = [](const Session* session) { return session->rate_allowed() > Rate() && session->rate_allowed() < 80_Mbit * 0.8; };
  EXPECT_TRUE(run_until([&] { return std::ranges::all_of(sessions, has_a_part); }));
  Rate sum;
  for (const Session* session : sessions) sum = sum + session->rate_allowed();
  EXPECT_GE(sum, 80_Mbit * 0.5) << "a worker without lanes may be dealt some of it";
  dialling_->set_rate(Rate::unlimited());
  EXPECT_TRUE(run_until([&] { return std::ranges::all_of(sessions, [](const Session* session) { return session->rate_allowed().is_unlimited(); }); }));
}

INSTANTIATE_TEST_SUITE_P(NetWorkers, SeveralWorkersTest, testing::Values(NetWorkers{2, 2, 2}, NetWorkers{1, 2, 1}, NetWorkers{3, 2, 2}, NetWorkers{2, 2, 2, Delivery::kStream}),
                         [](const auto& layout) {
                           return std::to_string(layout.param.dialling) + "And" + std::to_string(layout.param.serving) + "Workers" +
                                  (layout.param.delivery == Delivery::kStream ? "OverTls" : "");
                         });

messages::Lanes lanes_of(std::initializer_list<size_t> flows) {
  messages::Lanes lanes;
  for (const size_t count : flows) {
    messages::LaneOffer& lane = lanes.lanes.emplace_back();
    lane.id = LaneId(static_cast<uint16_t>(lanes.lanes.size() - 1));
    lane.flows.resize(count);
  }
  return lanes;
}

std::vector<size_t> flows_left(std::initializer_list<size_t> flows, const LaneLimits& most) {
  messages::Lanes lanes = lanes_of(flows);
  limit_lanes(lanes, most);
  std::vector<size_t> left;
  for (const messages::LaneOffer& lane : lanes.lanes) left.push_back(lane.flows.size());
  return left;
}

TEST(LimitLanes, TakesFlowsFromTheLanesThatHaveMost) {
  EXPECT_EQ(flows_left({2, 2}, {8, 8}), (std::vector<size_t>{2, 2}));
  EXPECT_EQ(flows_left({4, 1, 2}, {8, 5}), (std::vector<size_t>{2, 1, 2}));
  EXPECT_EQ(flows_left({2, 2}, {8, 2}), (std::vector<size_t>{1, 1}));
}

TEST(LimitLanes, LeavesNoLaneWithoutFlows) {
  EXPECT_EQ(flows_left({3, 1, 3}, {8, 2}), (std::vector<size_t>{1, 1}));
  EXPECT_EQ(flows_left({64}, {8, 1}), (std::vector<size_t>{1}));
}

TEST(LimitLanes, TakesTheFirstLanesOfTooMany) {
  EXPECT_EQ(flows_left({2, 3, 4}, {2, 64}), (std::vector<size_t>{2, 3}));
  EXPECT_EQ(flows_left({2, 3, 4}, {1, 1}), (std::vector<size_t>{1}));
}

// Its sender is ours; this one forgets what it was told.
struct OutrunGrantTest : SeveralWorkersTest { OutrunGrantTest() : SeveralWorkersTest({.rate_max = 8_Mbit}) {} };

TEST_P(OutrunGrantTest, X23APeerThatSendsFasterThanItMayLosesItsSession) {
  std::ofstream large(here_ / "tree/large", std::ios::binary);  // than it may be ahead: 256 MiB, and what it may send in 5 s
  for (size_t i = 0; i < 80; ++i) large << here_.read("tree/0");
  large.close();
  const auto transfer = push();
  ASSERT_TRUE(run_until([&] { return transfer->stage == Stage::kRunning || session_->is_over(); }));
  ASSERT_FALSE(session_->is_over()) << session_->error().what;
  EXPECT_EQ(transfer->rate_max, 8_Mbit) << "it is told";
  transfer->rate_max = Rate::unlimited();
  session_->limit_rate(*transfer, Rate::unlimited());
  ASSERT_TRUE(run_until([&] { return session_->is_over() || transfer->outcome; }));
  ASSERT_TRUE(session_->is_over()) << "all of it came";
  EXPECT_EQ(session_->error().fault, Fault::kLimitExceeded) << session_->error().what;
  EXPECT_NE(session_->error().what.find("max_rate"), std::string::npos) << session_->error().what;
  EXPECT_FALSE(there_.exists("copy"));
}

INSTANTIATE_TEST_SUITE_P(OneWorker, OutrunGrantTest, testing::Values(NetWorkers{1, 1, 1}));

}  // namespace
}  // namespace tideway::session
