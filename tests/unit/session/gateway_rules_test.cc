// SPDX-License-Identifier: Apache-2.0
//
// What becomes of sessions and transfers when a gateway's rules change, and when a certificate ends.
#include "unit/session/gateway_fixture.h"

#include "base/clock.h"
#include "unit/crypto/raw_tls_peer.h"

namespace tideway::session {
namespace {

using namespace std::chrono_literals;

TEST_F(GatewayTest, ReloadWithoutAChangeEndsNothing) {
  const auto peer = dial_and_pull();
  ASSERT_TRUE(gateway_->reload(rules_).ok());
  int turns = 0;
  run_until({peer.get()}, [&] { return ++turns > 20; });
  EXPECT_FALSE(peer->is_over());
  EXPECT_EQ(gateway_->transfers(), 1U);
  expect_serves_others();
}

TEST_F(GatewayTest, RevokedPeerIsSentAwayWithItsTransfersAndStaysOut) {
  const auto atlanta = crypto::make_signed(test::gateway_spec(test::kAtlanta), sites_.authority).value();
  sites_.atlanta = sites_.context(atlanta);
  const auto peer = dial_and_pull();
  rules_.tls.crl_file = sites_.folder.write("list.crl", test::make_revocation_list(sites_.authority, {&atlanta}, 3600));
  ASSERT_TRUE(gateway_->reload(rules_).ok());
  expect_sent_away(*peer);
  const auto again = dial();
  again->greet();
  EXPECT_FALSE(is_greeted(*again));
}

TEST_F(GatewayTest, PeerThatIsNoLongerAllowedIsSentAway) {
  const auto peer = dial_and_pull();
  rules_.tls.allow = {"spiffe://example.org/site/denver/gw/*"};
  ASSERT_TRUE(gateway_->reload(rules_).ok());
  expect_sent_away(*peer);
}

TEST_F(GatewayTest, PeerWithoutAGrantAnyMoreIsSentAway) {
  const auto peer = dial_and_pull();
  rules_.grants = grants_for("denver");
  ASSERT_TRUE(gateway_->reload(rules_).ok());
  expect_sent_away(*peer);
}

TEST_F(GatewayTest, TransferWhoseGrantIsGoneEndsAndTheSessionGoesOn) {
  const auto peer = dial_and_pull();
  rules_.grants = GrantTable({{crypto::IdentityPattern::parse("spiffe://example.org/site/*/gw/*").value(), "data", {},
                               {GrantOp::kList}, {}, "test"}});
  ASSERT_TRUE(gateway_->reload(rules_).ok());
  EXPECT_EQ(gateway_->transfers(), 0U);
  EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->heard(MessageType::kTransferClosed); }));
  EXPECT_EQ(peer->error, "denied");
  EXPECT_FALSE(peer->is_over());
  expect_serves_others();
}

TEST_F(GatewayTest, WhatRunsKeepsToLimitsThatWereTightened) {
  const auto peer = dial_and_pull();
  ASSERT_TRUE(run_until({peer.get()}, [&] { return peer->heard(MessageType::kManifestPage); }));
  const Session& session = *gateway_->all_sessions().front();
  EXPECT_TRUE(session.rate_allowed().is_unlimited());
  grant({.bytes_max = 7_B, .files_max = 2, .rate_max = 8_Mbit});
  EXPECT_TRUE(run_until({peer.get()}, [&] { return session.rate_allowed() > Rate() && session.rate_allowed() <= 8_Mbit; }));
  EXPECT_EQ(gateway_->transfers(), 1U) << "it has named just so much";
  grant({.bytes_max = 6_B});
  EXPECT_EQ(gateway_->transfers(), 0U);
  EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->heard(MessageType::kTransferClosed); }));
  EXPECT_EQ(peer->error, "limit_exceeded");
  EXPECT_FALSE(peer->is_over());
}

TEST_F(GatewayTest, WhoSendsComesBackToBeToldOfTighterLimits) {
  for (const GrantLimits& tighter : {GrantLimits{.rate_max = 8_Mbit, .modes = 0640}, GrantLimits{.rate_max = 80_Mbit, .modes = 0600}}) {
    grant({.rate_max = 80_Mbit, .modes = 0640});
    const auto peer = dial_greeted();
    ask_for_push(*peer);
    ASSERT_TRUE(run_until({peer.get()}, [&] { return peer->heard(MessageType::kTransferAccepted); }));
    grant({.rate_max = 160_Mbit, .modes = 0660});
    EXPECT_EQ(gateway_->transfers(), 1U) << "wider ones are for those that begin";
    grant(tighter);
    EXPECT_EQ(gateway_->transfers(), 0U);
    EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->is_over(); }));
    EXPECT_EQ(peer->error, "peer_lost");
    EXPECT_NE(peer->error_detail.find("push data/new"), std::string::npos) << peer->error_detail;
  }
}

TEST_F(GatewayTest, PeerInItsHandshakeIsJudgedByTheNewRules) {
  const auto peer = dial();  // nothing of its handshake is read before the reload
  ASSERT_TRUE(run_until({}, [&] { return gateway_->sessions() == 1; }));
  rules_.tls.allow = {"spiffe://example.org/site/denver/gw/*"};
  ASSERT_TRUE(gateway_->reload(rules_).ok());
  peer->greet();
  EXPECT_FALSE(is_greeted(*peer));
  expect_serves_others();
}

TEST_F(GatewayTest, X13ASessionEndsWithTheCertificateOfItsPeer) {
  const auto peer = dial_and_pull();
  Session& session = *gateway_->all_sessions().front();
  const crypto::UnixTime ends = session.channel().peer().not_after;
  session.poll(read_clock(), ends);
  EXPECT_FALSE(session.is_over());
  session.poll(read_clock(), ends + 1s);
  ASSERT_TRUE(session.is_over());
  EXPECT_EQ(session.error().fault, Fault::kAuthFailed);
  EXPECT_NE(session.error().what.find("cert_expired"), std::string::npos) << session.error().what;
  EXPECT_EQ(gateway_->transfers(), 0U) << "at once, before the peer has read a word of it";
  peer->say(request(messages::Direction::kList));
  EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->is_over(); }));
  EXPECT_EQ(peer->error, "peer_lost") << "it may come back with another one";
  EXPECT_EQ(std::ranges::count(peer->types, MessageType::kTransferAccepted), 1) << "what it asked for later is not heard";
  EXPECT_EQ(peer->error_detail.find("cert_expired"), 0U) << peer->error_detail;
  expect_serves_others();
}

TEST_F(GatewayTest, X13ASessionEndsWithinAnHourOfTheRevocationListThatItRestsOn) {
  rules_.tls.crl_file = sites_.folder.write("list.crl", test::make_revocation_list(sites_.authority, {}, 1800));
  ASSERT_TRUE(gateway_->reload(rules_).ok());
  const auto peer = dial_and_pull();
  Session& session = *gateway_->all_sessions().front();
  const crypto::UnixTime later = test::wall_now() + 1h;
  session.poll(read_clock(), later);
  EXPECT_FALSE(session.is_over()) << "it is not looked at all the time";
  session.poll(read_clock() + kJudgedEvery, later);
  ASSERT_TRUE(session.is_over());
  EXPECT_EQ(session.error().fault, Fault::kAuthFailed);
  EXPECT_NE(session.error().what.find("cert_untrusted"), std::string::npos) << session.error().what;
  EXPECT_EQ(gateway_->transfers(), 0U);
  EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->is_over(); }));
  EXPECT_EQ(peer->error, "peer_lost") << "it may come back when there is another list";
}

TEST_F(GatewayTest, X26ASessionThatHasStoodForADayEndsAndItsPeerMayComeBack) {
  const auto peer = dial_and_pull();
  Session& session = *gateway_->all_sessions().front();
  session.poll(read_clock(), test::wall_now());
  EXPECT_FALSE(session.is_over());
  session.poll(read_clock() + kSessionAgeMax, test::wall_now());
  ASSERT_TRUE(session.is_over());
  EXPECT_EQ(session.error().fault, Fault::kPeerLost);
  EXPECT_NE(session.error().what.find("has stood for a day"), std::string::npos) << session.error().what;
  EXPECT_EQ(gateway_->transfers(), 0U);
  EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->is_over(); }));
  EXPECT_EQ(peer->error, "peer_lost") << "so that it dials again, and its jobs go on";
  expect_serves_others();
}

TEST_F(GatewayTest, X14FilesThatDoNotFitChangeNothing) {
  const auto peer = dial_and_pull();
  const auto other = crypto::make_signed(test::gateway_spec(test::kWisconsin), sites_.authority).value();
  sites_.folder.write("serving.crt", other.certificate);  // and the old key beside it
  rules_.grants = grants_for("denver");
  const Status mismatch = gateway_->reload(rules_);
  ASSERT_FALSE(mismatch.ok());
  EXPECT_EQ(mismatch.error().fault, Fault::kConfigInvalid);
  int turns = 0;
  run_until({peer.get()}, [&] { return ++turns > 20; });
  EXPECT_FALSE(peer->is_over());
  EXPECT_EQ(gateway_->transfers(), 1U) << "the grants are part of the unit";
  const auto fresh = dial();
  fresh->greet();
  EXPECT_TRUE(is_greeted(*fresh));
}

TEST_F(GatewayTest, X14NewCertificateIsShownToThoseWhoDialAfterTheReload) {
  const auto before = gateway_->own_certificate().fingerprint;
  const auto renewed = crypto::make_signed(test::gateway_spec(test::kWisconsin), sites_.authority).value();
  test::write_files(sites_.folder, "serving", sites_.authority.certificate, renewed);
  ASSERT_TRUE(gateway_->reload(rules_).ok());
  EXPECT_NE(gateway_->own_certificate().fingerprint, before);
  const auto peer = dial_greeted();
  EXPECT_EQ(peer->certificate().fingerprint, gateway_->own_certificate().fingerprint);
}

// P05: what runs may end, and nobody begins anything.
TEST_F(GatewayTest, P05AGatewayThatStopsTakesNothingNew) {
  const auto peer = dial_and_pull();
  gateway_->drain(std::chrono::seconds(60));
  ask_for_push(*peer);
  ASSERT_TRUE(run_until({peer.get()}, [&] { return !peer->error.empty(); }));
  EXPECT_EQ(peer->error, "overloaded");
  EXPECT_NE(peer->error_detail.find("stopping"), std::string::npos) << peer->error_detail;
  EXPECT_EQ(gateway_->transfers(), 1U) << "the pull goes on";
}

TEST_F(GatewayTest, CertificateOfAnotherGatewayIsNotTakenUp) {
  const auto other = crypto::make_signed(test::gateway_spec(test::kAtlanta), sites_.authority).value();
  test::write_files(sites_.folder, "serving", sites_.authority.certificate, other);
  const Status status = gateway_->reload(rules_);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().what.find(test::kAtlanta), std::string::npos) << status.error().what;
}

}  // namespace
}  // namespace tideway::session
