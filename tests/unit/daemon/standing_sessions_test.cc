// SPDX-License-Identifier: Apache-2.0
//
// A gateway that is to stand in contact with another, both in this process. Later times are arguments, and nobody waits for them.
#include "daemon/standing_sessions.h"

#include "base/clock.h"
#include "support/temp_root.h"
#include "support/test_certificates.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

class StandingSessionsTest : public testing::Test {
 protected:
  static constexpr Duration kPatience = 60s;  // of a machine that is busy

  StandingSessionsTest() : there_(gateway_of(test::kWisconsin, "127.0.0.1:0")), here_(gateway_of(test::kAtlanta, "")) {
    address_ = *there_->control_endpoint();
    peers_.emplace(*here_, std::vector<session::PeerConfig>{{"wisconsin", address_, crypto::IdentityPattern::parse(test::kWisconsin).value()}});
    standing_.emplace(*peers_, 1);
  }
  std::unique_ptr<session::Gateway> gateway_of(const std::string& identity, const std::string& listens_at) {
    session::GatewayConfig config;
    const auto key = crypto::make_signed(test::gateway_spec(identity), sites_.authority).value();
    config.tls = test::write_files(sites_.folder, listens_at.empty() ? "here" : "there", sites_.authority.certificate, key);
    config.engine.memory = 512_MiB;
    config.roots = {{"data", root_.path().string()}};
    config.data_addresses = {Endpoint::parse("127.0.0.1:0").value()};
    if (!listens_at.empty()) config.listen = Endpoint::parse(listens_at).value();
    config.grants = session::GrantTable({{crypto::IdentityPattern::parse(test::kAtlanta).value(), "data", {}, {session::GrantOp::kRead}, {}, "test"}});
    return session::Gateway::start(std::move(config)).value();
  }
  // As the daemon does, `skipped_` later than it is.
  void turn() {
    if (there_) there_->turn(1ms);
    here_->turn(1ms);
    standing_->turn(now(), wanted_);
    peers_->tidy(now());
  }
  template <typename Done>
  bool becomes(const Done& done) {
    for (const Time end = read_clock() + kPatience; read_clock() < end && !done();) turn();
    return done();
  }
  // That which is up.
  void lose(const Error& why) {
    const auto up = std::ranges::find_if(here_->all_sessions(), [](const auto& session) { return session->is_up() && !session->is_over(); });
    ASSERT_NE(up, here_->all_sessions().end());
    (*up)->on_connection_failed(why);
    turn();
  }
  Time now() const { return read_clock() + skipped_; }
  session::Session* take() { return peers_->take("wisconsin", {PeerSessions::Sharing::kShared, job::Class::kCheckpoint, session::Manners::kYields}, now()).value(); }

  TempRoot root_;
  test::TwoSites sites_;
  std::unique_ptr<session::Gateway> there_, here_;
  Endpoint address_;
  std::optional<PeerSessions> peers_;
  std::optional<StandingSessions> standing_;
  std::set<StandingSessions::Line> wanted_{{"wisconsin", job::Class::kCheckpoint, session::Manners::kYields}};
  Duration skipped_{};
};

TEST_F(StandingSessionsTest, OneIsUpBeforeTheFirstJobAndIsTheOneThatTheJobGets) {
  ASSERT_TRUE(becomes([&] { return peers_->is_up("wisconsin"); }));
  EXPECT_EQ(here_->sessions(), 1U);
  session::Session* of_job = take();
  EXPECT_TRUE(of_job->is_up());
  EXPECT_EQ(here_->sessions(), 1U);
  peers_->give_back(of_job, now());
  skipped_ = PeerSessions::kWarmTime * 2;
  turn();
  EXPECT_TRUE(peers_->is_up("wisconsin")) << "long after the last job";
  EXPECT_EQ(take(), of_job);
}

TEST_F(StandingSessionsTest, APeerThatIsAwayAtTheStartIsAskedNowAndThenUntilItIsThere) {
  there_.reset();
  ASSERT_TRUE(becomes([&] { return standing_->next_deadline() < kNever; })) << "the first attempt has failed";
  const Time first = standing_->next_deadline();
  EXPECT_LE(first, now() + StandingSessions::kPauseFirst);
  for (int attempt = 0; attempt < 10; ++attempt) {
    skipped_ += std::max(standing_->next_deadline() - now(), Duration());
    turn();
    ASSERT_TRUE(becomes([&] { return standing_->next_deadline() < kNever; }));
  }
  const Duration pause = standing_->next_deadline() - now();
  EXPECT_GT(pause, StandingSessions::kPauseMax / 2) << "it is asked less and less often";
  EXPECT_LE(pause, StandingSessions::kPauseMax);
  there_ = gateway_of(test::kWisconsin, to_string(address_));
  skipped_ += pause;
  EXPECT_TRUE(becomes([&] { return peers_->is_up("wisconsin"); }));
}

TEST_F(StandingSessionsTest, OneThatIsLostIsDialledAgainAfterAShortPause) {
  ASSERT_TRUE(becomes([&] { return peers_->is_up("wisconsin"); }));
  session::Session* lost = here_->all_sessions().front().get();
  lost->on_connection_failed({Fault::kPeerLost, "lost", ""});
  turn();
  EXPECT_FALSE(peers_->is_up("wisconsin"));
  EXPECT_LE(standing_->next_deadline(), now() + StandingSessions::kPauseFirst);
  skipped_ += StandingSessions::kPauseFirst;
  EXPECT_TRUE(becomes([&] { return peers_->is_up("wisconsin"); }));
}

// Over TLS: the peer takes its connections a turn behind the session, at the soonest, and that turn does not come.
TEST_F(StandingSessionsTest, OneThatIsUpAndCarriesNoPacketIsDialledLessAndLessOften) {
  ASSERT_TRUE(becomes([&] { return peers_->is_up("wisconsin"); }));
  lose({Fault::kUdpBlocked, "blocked", ""});
  Duration pause{};
  for (int attempt = 0; attempt < 3; ++attempt) {
    ASSERT_TRUE(becomes([&] { return peers_->is_up("wisconsin"); }));
    const Time lost_at = now();
    lose({Fault::kPeerLost, "no packet comes through", ""});
    pause = standing_->next_deadline() - lost_at;
    skipped_ += pause;
  }
  EXPECT_GT(pause, 2 * StandingSessions::kPauseFirst);
}

TEST_F(StandingSessionsTest, AnHourOldOneMakesRoomForAFreshOne) {
  ASSERT_TRUE(becomes([&] { return peers_->is_up("wisconsin"); }));
  const session::Session* old = here_->all_sessions().front().get();
  skipped_ = PeerSessions::kAgeMax + 1s;
  turn();
  session::Session* fresh = take();
  EXPECT_NE(fresh, old);
  EXPECT_TRUE(becomes([&] { return fresh->is_up(); }));
  skipped_ += PeerSessions::kFarewellTime;
  EXPECT_TRUE(becomes([&] { return here_->sessions() == 1; })) << "the old one has taken its leave";
}

TEST_F(StandingSessionsTest, WhatIsWantedNoMoreStaysNoLongerThanThatOfAJob) {
  ASSERT_TRUE(becomes([&] { return peers_->is_up("wisconsin"); }));
  wanted_.clear();
  turn();
  EXPECT_LE(peers_->next_deadline(), now() + PeerSessions::kWarmTime);
  wanted_ = {{"nobody", job::Class::kCheckpoint, session::Manners::kYields}};
  turn();
  EXPECT_GT(standing_->next_deadline(), now()) << "the configuration names no such peer, now";
}

}  // namespace
}  // namespace tideway::daemon
