// SPDX-License-Identifier: Apache-2.0
#include "daemon/phase_port.h"

#include "base/clock.h"
#include "packet_io/udp_socket.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/socket.h>

namespace tideway::daemon {
namespace {

using std::chrono::seconds;
using gate::BeaconFate;

constexpr uint64_t kLlm = gate::training_id("llm7");
constexpr Duration kRunsOut = seconds(1);  // long enough to be seen by a thread that has to wait for a core

tideway_phase_details lasting(Duration ttl) {
  return {.bytes = 0, .duration_us = 0, .period_us = 0, .jitter_us = 0, .ttl_us = static_cast<uint32_t>(ttl / std::chrono::microseconds(1))};
}

class Trainer {
 public:
  explicit Trainer(const Endpoint& to) : address_(packet_io::to_socket_address(to)), fd_(socket(AF_INET, SOCK_DGRAM, 0)) {}
  ~Trainer() { close(fd_); }

  void say(gate::PhaseKind kind, uint64_t training = kLlm) {
    gate::Beacon beacon;
    beacon.source = 5;
    beacon.sequence = ++sequence_;
    beacon.sent_ns = static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
    beacon.event.kind = kind;
    beacon.event.training = training;
    send(gate::write_beacon(beacon, gate::BeaconKey{}));
  }
  void send(std::span<const std::byte> datagram) {
    EXPECT_EQ(sendto(fd_, datagram.data(), datagram.size(), 0, reinterpret_cast<const sockaddr*>(&address_.storage), address_.length),
              static_cast<ssize_t>(datagram.size()));
  }

 private:
  packet_io::SocketAddress address_;
  int fd_;
  uint64_t sequence_ = 0;
};

struct PhasePortTest : testing::Test {
  TempRoot root;
  std::shared_ptr<engine::Gates> gates = std::make_shared<engine::Gates>(1, engine::GatesConfig{});
  std::unique_ptr<PhasePort> port;

  void SetUp() override {
    PhasePortConfig config;
    config.gates = gates;
    config.listen = Endpoint::parse("127.0.0.1:0").value();
    config.keys = {gate::BeaconKey{}};
    config.board = (root / "phase.board").string();
    config.site.bursts = {.link_sites = {gate::site_id("wisconsin")}, .trainings = {{kLlm, {0}}, {gate::training_id("deaf"), {0}}}};
    config.site.trainings.resize(2);
    config.names = {"llm7", "deaf"};
    config.peers = {"wisconsin"};
    config.hears_api = {true, false};
    config.hears_beacons = {true, false};
    config.hears_board = {true, false};
    auto started = PhasePort::start(std::move(config));
    ASSERT_TRUE(started.ok()) << started.error().what;
    port = std::move(started).value();
  }
  engine::GateNews news() const {
    while (true)
      if (const auto read = gates->word(0).read()) return *read;
  }
  bool is_closed() const { return read_clock() < news().signal.closed_until; }
  template <typename Question>
  static bool becomes_true(const Question& question) {
    for (const Time until = read_clock() + seconds(10); read_clock() < until; std::this_thread::yield())
      if (question()) return true;
    return false;
  }
};

TEST_F(PhasePortTest, ABeaconClosesAndOpensTheLinksOfItsTraining) {
  Trainer trainer(port->address());
  EXPECT_FALSE(is_closed());
  trainer.say(gate::PhaseKind::kBegin);
  EXPECT_TRUE(becomes_true([&] { return is_closed(); }));
  trainer.say(gate::PhaseKind::kEnd);
  EXPECT_TRUE(becomes_true([&] { return !is_closed(); }));
  EXPECT_TRUE(becomes_true([&] { return port->count(BeaconFate::kTaken) == 2; }));  // counted once the gates know
}

TEST_F(PhasePortTest, AnAnnouncementOfThisProcessDoesTheSame) {
  gate::PhaseEvent event;
  event.training = kLlm;
  EXPECT_EQ(port->announce(event), gate::EventFate::kTaken);
  EXPECT_TRUE(becomes_true([&] { return is_closed(); }));
}

TEST_F(PhasePortTest, AnAnnouncementThatMeansNothingHereIsRefusedAtOnce) {
  gate::PhaseEvent event;
  event.training = gate::training_id("unknown");
  EXPECT_EQ(port->announce(event), gate::EventFate::kUnknownTraining);
  event.training = gate::training_id("deaf");
  EXPECT_EQ(port->announce(event), gate::EventFate::kUnheard);
  event.training = kLlm;
  event.destination = gate::site_id("atlanta");
  EXPECT_EQ(port->announce(event), gate::EventFate::kUnknownDestination);
  EXPECT_FALSE(is_closed());
}

TEST_F(PhasePortTest, StrangersAndTrainingsThatAreNotHeardThisWayHoldNothing) {
  Trainer trainer(port->address());
  auto forged = gate::write_beacon({}, gate::BeaconKey{.id = 1, .secret = {std::byte{9}}});
  trainer.send(forged);
  trainer.send(std::span(forged).first(10));
  trainer.say(gate::PhaseKind::kBegin, gate::training_id("deaf"));
  trainer.say(gate::PhaseKind::kBegin, gate::training_id("unknown"));
  const auto has_counted = [&](BeaconFate fate, uint64_t times) { return becomes_true([&] { return port->count(fate) == times; }); };
  EXPECT_TRUE(has_counted(BeaconFate::kTaken, 2));
  EXPECT_TRUE(has_counted(BeaconFate::kTag, 1));
  EXPECT_TRUE(has_counted(BeaconFate::kLength, 1));
  EXPECT_FALSE(is_closed());
}

TEST_F(PhasePortTest, ANewWriterOnTheBoardIsShownToTheWorkersAndADeadOneIsForgotten) {
  tideway_phase phase{};
  ASSERT_EQ(tideway_phase_open(&phase, (root / "phase.board").c_str(), "llm7", "wisconsin"), 0);
  EXPECT_TRUE(becomes_true([&] { return news().board_slots == 1; }));
  tideway_phase_begin(&phase, nullptr);
  munmap(phase.board, 4096);
  close(phase.fd);  // as if it had died
  EXPECT_TRUE(becomes_true([&] { return news().board_slots == 0; }));
}

TEST_F(PhasePortTest, ReportsWhoCommunicatesAndWhoSaidSo) {
  EXPECT_TRUE(becomes_true([&] { return port->report().trainings.size() == 2; }));
  gate::PhaseEvent event;
  event.training = kLlm;
  port->announce(event);
  EXPECT_TRUE(becomes_true([&] { return port->report().links.at(0).state == gate::GateState::kClosed; }));
  const PhaseReport report = port->report();
  EXPECT_TRUE(report.trainings[0].is_bursting);
  EXPECT_EQ(report.trainings[0].origin, planner::PhaseOrigin::kApi);
  EXPECT_FALSE(report.trainings[1].heard_at);
  EXPECT_EQ(report.links[0].reason, gate::GateReason::kTraining);
}

TEST_F(PhasePortTest, BurstsOnTheBoardAreReportedWithTheirOwnTimes) {
  tideway_phase phase{};
  ASSERT_EQ(tideway_phase_open(&phase, (root / "phase.board").c_str(), "llm7", nullptr), 0);
  tideway_phase_begin(&phase, nullptr);
  EXPECT_TRUE(becomes_true([&] { return !port->report().links.empty() && port->report().links[0].state == gate::GateState::kClosed; }));
  EXPECT_EQ(port->report().trainings[0].origin, planner::PhaseOrigin::kBoard);
  tideway_phase_end(&phase);
  EXPECT_TRUE(becomes_true([&] { return port->report().links[0].state == gate::GateState::kOpen; }));
  tideway_phase_begin(&phase, nullptr);  // over before anybody looks: its times are on the board
  tideway_phase_end(&phase);
  EXPECT_TRUE(becomes_true([&] { return port->report().trainings[0].lock != planner::Lock::kUnknown; }));
  tideway_phase_close(&phase);
}

// Net workers count its time to live from each look again, so it held bulk without limit; and here it was nothing at all.
TEST_F(PhasePortTest, ABurstWhoseBeginIsAheadOfNowIsSeenAndRunsOut) {
  ASSERT_TRUE(becomes_true([&] { return !port->report().trainings.empty(); }));
  tideway_phase phase{};
  ASSERT_EQ(tideway_phase_open(&phase, (root / "phase.board").c_str(), "llm7", nullptr), 0);
  const tideway_phase_details details = lasting(kRunsOut);
  tideway_phase_begin(&phase, &details);
  EXPECT_TRUE(becomes_true([&] { return news().board_slots == 1; }));
  tideway_phase_end(&phase);
  EXPECT_TRUE(becomes_true([&] { return !port->report().trainings[0].is_bursting; }));
  const auto begin_ahead = [&] {  // as in another time namespace
    tideway_phase_begin(&phase, &details);
    __atomic_store_n(&phase.slot->begin_ns, tideway_phase_now() + 3'600'000'000'000, __ATOMIC_RELAXED);
  };
  begin_ahead();
  EXPECT_TRUE(becomes_true([&] { return port->report().trainings[0].is_bursting; }));
  EXPECT_TRUE(becomes_true([&] { return news().board_slots == 0; }));
  tideway_phase_end(&phase);
  EXPECT_TRUE(becomes_true([&] { return news().board_slots == 1; })) << "the next begin is seen by the workers";
  begin_ahead();
  EXPECT_TRUE(becomes_true([&] { return port->report().trainings[0].is_bursting; }));
  tideway_phase_close(&phase);
}

// A trainer that hangs with its slot: the workers let bulk pass again, and the report went on to say that the gate was closed.
TEST_F(PhasePortTest, ABurstOnTheBoardThatNobodyEndsIsStaleAndReportedOpenAgain) {
  tideway_phase phase{};
  ASSERT_EQ(tideway_phase_open(&phase, (root / "phase.board").c_str(), "llm7", nullptr), 0);
  const tideway_phase_details details = lasting(kRunsOut), long_burst = lasting(seconds(60));
  tideway_phase_begin(&phase, &details);
  EXPECT_TRUE(becomes_true([&] { return !port->report().links.empty() && port->report().links[0].state == gate::GateState::kClosed; }));
  EXPECT_TRUE(becomes_true([&] { return port->report().links[0].state == gate::GateState::kOpen; }));
  EXPECT_FALSE(port->report().trainings[0].is_bursting);
  std::vector<PhaseAlarm> alarms;
  ASSERT_TRUE(becomes_true([&] { return !(alarms = port->mail().take_alarms()).empty(); }));
  EXPECT_EQ(alarms[0], (PhaseAlarm{PhaseTrouble::kStale, "llm7"}));
  tideway_phase_begin(&phase, &long_burst);  // it goes on after all
  EXPECT_TRUE(becomes_true([&] { return port->report().trainings[0].is_bursting; }));
  tideway_phase_close(&phase);
}

TEST(InterfaceCounters, CountTheLoopbackAndKnowWhatItCarries) {
  const auto none = InterfaceCounters::open({"no-such-if0"});
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().what.find("no-such-if0"), std::string::npos);
  auto counters = InterfaceCounters::open({"lo"});
  ASSERT_TRUE(counters.ok()) << counters.error().what;
  const InterfaceCounters::Counts before = counters.value().read(Time());
  Trainer sender(Endpoint::parse("127.0.0.1:9").value());
  sender.say(gate::PhaseKind::kBegin);
  EXPECT_GE(counters.value().read(Time()).sent, before.sent + gate::kBeaconSize);
  EXPECT_TRUE(carries("lo", Endpoint::parse("127.0.0.1:7401").value()));
  EXPECT_TRUE(carries("lo", Endpoint::parse("0.0.0.0:7401").value()));
  EXPECT_FALSE(carries("lo", Endpoint::parse("192.0.2.1:7401").value()));
}

// It read as zero until the gateway was started again, after a bond or a VLAN had been made anew. A file that is empty stands for one
// that the kernel has no interface for any more.
TEST(InterfaceCounters, CountAnInterfaceThatIsMadeAnewFromWhereItIsFound) {
  const TempRoot root;
  const auto show = [&](const std::string& bond, const std::string& other) {
    for (const char* name : {"tx_bytes", "rx_bytes"}) {
      root.write(std::string("bond0/statistics/") + name, bond);
      root.write(std::string("eth1/statistics/") + name, other);
    }
  };
  const auto at = [](int64_t ms) { return Time(std::chrono::milliseconds(ms)); };
  show("5000\n", "100\n");
  auto opened = InterfaceCounters::open({"bond0", "eth1"}, root.path().string());
  ASSERT_TRUE(opened.ok()) << opened.error().what;
  InterfaceCounters& counters = opened.value();
  show("5010\n", "100\n");
  EXPECT_EQ(counters.read(at(0)).sent, 10u);
  show("", "103\n");
  EXPECT_EQ(counters.read(at(10)).sent, 13u) << "it stands still, and the other one counts";
  std::filesystem::remove_all(root / "bond0");
  show("7000000\n", "103\n");  // what came meanwhile is of no bin
  EXPECT_EQ(counters.read(at(20)).sent, 13u) << "not looked for each time";
  EXPECT_EQ(counters.read(at(110)).sent, 13u);
  show("7000500\n", "103\n");
  EXPECT_EQ(counters.read(at(120)).sent, 513u);
  EXPECT_EQ(counters.read(at(130)).received, 513u);
  show("20\n", "103\n");
  EXPECT_EQ(counters.read(at(140)).sent, 513u) << "set back";
  show("25\n", "103\n");
  EXPECT_EQ(counters.read(at(150)).sent, 518u);
}

TEST(BeaconKeyFile, MustNotBeReadableByEverybody) {
  const TempRoot root;
  const std::string file = (root / "beacon.key").string();
  root.write("beacon.key", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n");
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  const auto open = read_beacon_keys(file);
  ASSERT_FALSE(open.ok());
  EXPECT_NE(open.error().what.find("everybody"), std::string::npos);
  ASSERT_EQ(chmod(file.c_str(), 0640), 0);
  EXPECT_TRUE(read_beacon_keys(file).ok());
  EXPECT_FALSE(read_beacon_keys((root / "no.key").string()).ok());
}

TEST_F(PhasePortTest, ABurstIsToldToTheOtherEndOfItsLink) {
  ASSERT_EQ(port->announce({.kind = gate::PhaseKind::kBegin, .training = kLlm, .details = {}}), gate::EventFate::kTaken);
  std::vector<PhaseMail::ToTell> told;
  ASSERT_TRUE(becomes_true([&] { return !(told = port->mail().take_to_tell(read_clock())).empty(); }));
  EXPECT_EQ(told[0].site, "wisconsin");
  EXPECT_EQ(told[0].notice.training, kLlm);
  EXPECT_EQ(told[0].notice.kind, messages::PhaseNotice::Kind::kBegin);
}

TEST_F(PhasePortTest, WhatAnotherSiteHasNoBusinessToSayIsForgedAndWhatIsOldIsLate) {
  const Time now = read_clock();
  const auto alarms_of = [&](const char* site, messages::PhaseNotice notice) {
    port->on_notice(now, site, notice);
    return port->mail().take_alarms();
  };
  EXPECT_TRUE(alarms_of("wisconsin", {.training = kLlm}).empty());
  EXPECT_TRUE(alarms_of("oslo", {.training = 12345}).empty());  // of no training of ours
  EXPECT_EQ(alarms_of("oslo", {.training = kLlm}), (std::vector<PhaseAlarm>{{PhaseTrouble::kForged, "oslo"}}));
  EXPECT_EQ(alarms_of("wisconsin", {.training = kLlm, .age_us = 6'000'000}), (std::vector<PhaseAlarm>{{PhaseTrouble::kLate, "llm7"}}));
  EXPECT_FALSE(is_closed());
}

TEST_F(PhasePortTest, ABeaconWithTheWrongSealRaisesAnAlarm) {
  Trainer trainer(port->address());
  gate::BeaconKey other;
  other.secret[0] = std::byte{1};
  gate::Beacon beacon;
  beacon.sequence = 1;
  beacon.event.training = kLlm;
  trainer.send(gate::write_beacon(beacon, other));
  std::vector<PhaseAlarm> alarms;
  ASSERT_TRUE(becomes_true([&] { return !(alarms = port->mail().take_alarms()).empty(); }));
  EXPECT_EQ(alarms[0], (PhaseAlarm{PhaseTrouble::kForged, "beacon"}));
}

}  // namespace
}  // namespace tideway::daemon
