// SPDX-License-Identifier: Apache-2.0
//
// How a session begins: what a gateway asks of whoever has a certificate before anything else that he says counts.
#include "session/hello.h"

#include "unit/session/gateway_fixture.h"

namespace tideway::session {
namespace {

TEST(CheckCompatible, X03TwoVersionsThatDoNotMeetAreBothNamed) {
  const auto ours = make_hello({}, {});
  EXPECT_TRUE(check_compatible(ours, ours).ok());
  auto theirs = ours;
  theirs.versions = {7, 9};
  const Status status = check_compatible(ours, theirs);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kProtocolVersion);
  EXPECT_EQ(status.error().what, "this gateway speaks protocol version 1, the peer 7, 9");
  theirs.versions = {9, kProtocolVersion};
  EXPECT_TRUE(check_compatible(ours, theirs).ok()) << "one in common is enough";
}

TEST(CheckCompatible, X03APeerWithoutTheCipherOrACodecIsRefused) {
  const auto ours = make_hello({}, {});
  for (const int missing : {0, 1, 2}) {
    auto theirs = ours;
    if (missing == 0) theirs.aeads.clear();
    if (missing == 1) theirs.codecs = {CodecId::kRaw};
    if (missing == 2) theirs.codecs = {CodecId::kZstd};
    const Status status = check_compatible(ours, theirs);
    ASSERT_FALSE(status.ok()) << missing;
    EXPECT_EQ(status.error().fault, Fault::kProtocolVersion);
  }
}

class HelloTest : public GatewayTest {
 protected:
  // What the peer is told when its session ends, if anything.
  std::string ends_with(Peer& peer) {
    EXPECT_TRUE(run_until({&peer}, [&] { return !peer.error.empty() || peer.is_over(); }));
    EXPECT_EQ(gateway_->transfers(), 0U);
    EXPECT_FALSE(peer.heard(MessageType::kLanes)) << "no lane was opened to it";
    return peer.error;
  }
};

TEST_F(HelloTest, WhatIsSaidBeforeHelloEndsTheSessionAndIsNotDone) {
  const auto peer = dial();
  ask_for_push(*peer);
  peer->greet();
  EXPECT_EQ(ends_with(*peer), "") << "a word for it would be one to somebody who has no right to any";
  EXPECT_TRUE(peer->is_over());
  EXPECT_FALSE(root_.exists("new"));
  EXPECT_FALSE(root_.exists(".tideway")) << "nothing was staged for it either";
  expect_serves_others();
}

TEST_F(HelloTest, X03AnotherVersionOrUnitOfCreditEndsTheSession) {
  const auto later = dial();
  later->hello.versions = {7};
  later->greet();
  EXPECT_EQ(ends_with(*later), "protocol_version");
  EXPECT_NE(later->error_detail.find("version 1, the peer 7"), std::string::npos) << later->error_detail;
  const auto smaller = dial();
  smaller->hello.credit_unit = 4096;
  smaller->greet();
  EXPECT_EQ(ends_with(*smaller), "protocol_version");
  expect_serves_others();
}

TEST_F(HelloTest, X17APeerThatNoGrantNamesGetsNoFurtherThanHello) {
  rules_.grants = grants_for("denver");
  ASSERT_TRUE(gateway_->reload(rules_).ok());
  const auto peer = dial();
  peer->greet();
  ask_for_push(*peer);
  EXPECT_EQ(ends_with(*peer), "denied");
  EXPECT_FALSE(root_.exists("new"));
  expect_serves_others();
}

TEST_F(HelloTest, HelloIsSaidOnce) {
  const auto peer = dial_greeted();
  peer->say(peer->hello);
  EXPECT_TRUE(run_until({peer.get()}, [&] { return !peer->error.empty(); }));
  EXPECT_EQ(peer->error, "protocol_error");
}

// Later versions may say more, and say which of it has to be understood.
TEST_F(HelloTest, X03AMessageThatNobodyKnowsIsPassedOverUnlessItIsCritical) {
  constexpr uint16_t kUnknown = 0x7A7A;
  const auto peer = dial_greeted();
  peer->say_raw(kUnknown, 0, "whatever");
  peer->say(request(messages::Direction::kList));
  EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->heard(MessageType::kManifestEnd); })) << peer->error_detail;
  peer->say_raw(kUnknown, kCriticalFlag, "whatever");
  EXPECT_TRUE(run_until({peer.get()}, [&] { return !peer->error.empty(); }));
  EXPECT_EQ(peer->error, "protocol_version");
  expect_serves_others();
}

}  // namespace
}  // namespace tideway::session
