// SPDX-License-Identifier: Apache-2.0
//
// The sessions of one gateway with another, both in this process. Nothing blocks UDP here but our word: a session ends as if its packets
// did not come through. Later times are arguments, and nobody waits for them.
#include "daemon/peer_sessions.h"

#include "base/clock.h"
#include "support/temp_root.h"
#include "support/test_certificates.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

constexpr Duration kSessionPatience = 60s;  // of a machine that is busy
constexpr Duration kAsked = session::CarrierChoice::kAskAfter;

class PeerSessionsTest : public testing::Test {
 protected:
  PeerSessionsTest() : there_(gateway_of(test::kWisconsin)), here_(gateway_of(test::kAtlanta)) {
    peers_.emplace(*here_, std::vector<session::PeerConfig>{{"wisconsin", *there_->control_endpoint(), crypto::IdentityPattern::parse(test::kWisconsin).value()}});
  }
  std::unique_ptr<session::Gateway> gateway_of(const std::string& identity) {
    session::GatewayConfig config;
    const auto key = crypto::make_signed(test::gateway_spec(identity), sites_.authority).value();
    const bool serves = identity == test::kWisconsin;
    config.tls = test::write_files(sites_.folder, serves ? "there" : "here", sites_.authority.certificate, key);
    config.engine.memory = 512_MiB;
    config.roots = {{"data", root_.path().string()}};
    config.data_addresses = {Endpoint::parse("127.0.0.1:0").value()};
    if (serves) config.listen = Endpoint::parse("127.0.0.1:0").value();
    config.grants = session::GrantTable({{crypto::IdentityPattern::parse(test::kAtlanta).value(), "data", {}, {session::GrantOp::kRead}, {}, "test"}});
    return session::Gateway::start(std::move(config)).value();
  }

  template <typename Done>
  bool becomes(const Done& done) {
    for (const Time end = read_clock() + kSessionPatience; read_clock() < end && !done();) {
      if (there_) there_->turn(1ms);
      here_->turn(1ms);
    }
    return done();
  }
  session::Session* take(Time now = read_clock()) { return peers_->take("wisconsin", {}, now).value(); }
  session::Session* take_up(Time now = read_clock()) {
    session::Session* session = take(now);
    EXPECT_TRUE(becomes([&] { return session->is_up() || session->is_over(); }));
    EXPECT_FALSE(session->is_over()) << session->error().what;
    return session;
  }
  // A job whose UDP was blocked goes on over TLS.
  session::Session* fall_back(Time now) {
    session::Session* over_udp = take_up(now);
    EXPECT_EQ(over_udp->delivery(), Delivery::kDatagram);
    over_udp->on_connection_failed({Fault::kUdpBlocked, "blocked", ""});
    EXPECT_TRUE(peers_->changes_carrier("wisconsin", *over_udp, over_udp->error(), now));
    peers_->give_back(over_udp, now);
    peers_->tidy(now);
    session::Session* over_tls = take_up(now);
    EXPECT_EQ(over_tls->delivery(), Delivery::kStream);
    EXPECT_TRUE(becomes([&] { return over_tls->is_path_open(); }));
    return over_tls;
  }
  bool has_better(const session::Session* session) { return peers_->has_better_carrier("wisconsin", *session); }

  TempRoot root_;
  test::TwoSites sites_;
  std::unique_ptr<session::Gateway> there_, here_;
  std::optional<PeerSessions> peers_;
};

TEST_F(PeerSessionsTest, JobsOverTlsMoveOnceUdpComesThroughAgain) {
  const Time begin = read_clock();
  session::Session* over_tls = fall_back(begin);
  peers_->look_for_udp(begin + kAsked - 1s);
  EXPECT_EQ(here_->sessions(), 1U) << "it is not asked yet";
  peers_->look_for_udp(begin + kAsked);
  EXPECT_EQ(here_->sessions(), 2U);
  EXPECT_FALSE(has_better(over_tls)) << "before it has answered";
  EXPECT_EQ(take(begin + kAsked), over_tls) << "meanwhile nothing else asks";
  peers_->give_back(over_tls, begin + kAsked);
  EXPECT_TRUE(becomes([&] {
    peers_->look_for_udp(begin + kAsked);
    return has_better(over_tls);
  }));
  peers_->give_back(over_tls, begin + kAsked);
  session::Session* over_udp = take(begin + kAsked);
  EXPECT_TRUE(over_udp->is_up() && over_udp->delivery() == Delivery::kDatagram) << "the one that asked";
  Time later = begin + kAsked;
  EXPECT_TRUE(becomes([&] {
    peers_->tidy(later += PeerSessions::kFarewellTime);
    return std::ranges::none_of(here_->all_sessions(), [](const auto& one) { return one->is_up() && one->delivery() == Delivery::kStream; });
  })) << "nobody needs what went over TLS any more";
}

TEST_F(PeerSessionsTest, JobsOverTlsStayWhileUdpIsStillBlocked) {
  const Time begin = read_clock();
  session::Session* over_tls = fall_back(begin);
  peers_->look_for_udp(begin + kAsked);
  ASSERT_EQ(here_->sessions(), 2U);
  peers_->look_for_udp(begin + kAsked + PeerSessions::kProbeTime);  // nothing came back meanwhile
  EXPECT_EQ(here_->sessions(), 1U);
  EXPECT_FALSE(has_better(over_tls));
  EXPECT_FALSE(over_tls->is_over());
  const Time asked = begin + kAsked + PeerSessions::kProbeTime;
  peers_->look_for_udp(asked + 2 * kAsked - 1s);
  EXPECT_EQ(here_->sessions(), 1U) << "twice as long as the first time";
  peers_->look_for_udp(asked + 2 * kAsked);
  EXPECT_EQ(here_->sessions(), 2U);
}

TEST_F(PeerSessionsTest, WithoutAJobOverTlsTheNextSessionAsksByItself) {
  const Time begin = read_clock();
  session::Session* over_tls = fall_back(begin);
  peers_->give_back(over_tls, begin);
  peers_->look_for_udp(begin + kAsked);
  EXPECT_EQ(here_->sessions(), 1U);
  EXPECT_EQ(take_up(begin + kAsked)->delivery(), Delivery::kDatagram);
}

TEST_F(PeerSessionsTest, AnHourOldOneTakesNoMoreJobsAndEndsWithItsLast) {
  const Time begin = read_clock(), later = begin + PeerSessions::kAgeMax;
  session::Session* old = take_up(begin);
  EXPECT_EQ(take(later - 1s), old);
  session::Session* fresh = take_up(later);
  EXPECT_NE(fresh, old);
  EXPECT_EQ(take(later), fresh);
  for (int i = 0; i < 2; ++i) peers_->give_back(old, later);
  peers_->tidy(later);
  EXPECT_FALSE(fresh->is_over());
  EXPECT_EQ(here_->sessions(), 2U) << "its last words leave";
  peers_->tidy(later + PeerSessions::kFarewellTime);
  EXPECT_EQ(here_->sessions(), 1U);
}

TEST_F(PeerSessionsTest, AnOldOneServesWhereThereIsNoRoomForMore) {
  const Time begin = read_clock();
  std::vector<session::Session*> taken;
  Time now = begin;
  for (size_t i = 0; i < PeerSessions::kPerPeerMax; ++i, now += PeerSessions::kAgeMax) {
    taken.push_back(take(now));
    EXPECT_EQ(here_->sessions(), i + 1);
  }
  EXPECT_EQ(take(now), taken.front());
}

}  // namespace
}  // namespace tideway::daemon
