// SPDX-License-Identifier: Apache-2.0
//
// `tideway ls PEER:`, from the question to what is shown, between two gateways; and with one of a version that does not know it.
#include "session/address.h"
#include "session/direct.h"
#include "unit/session/accepting_peer.h"
#include "unit/session/gateway_fixture.h"

namespace tideway::session {
namespace {

class ListRootsTest : public GatewayTest {
 protected:
  struct Told {
    std::vector<std::string> roots;
    std::optional<Error> error;
  };
  // What a site is told by whoever accepts at that endpoint, which `turn` keeps at work.
  template <typename Turn>
  Told ask(const Endpoint& at, const Turn& turn) {
    GatewayConfig config;
    config.tls = test::write_files(sites_.folder, "dialling", sites_.authority.certificate, crypto::make_signed(test::gateway_spec(test::kAtlanta), sites_.authority).value());
    config.engine.memory = 512_MiB;
    config.data_addresses = {Endpoint::parse("127.0.0.1:0").value()};
    const PeerConfig peer{"wisconsin", at, crypto::IdentityPattern::parse(test::kWisconsin).value()};
    const auto direct = Direct::list(config, peer, {.peer = "wisconsin", .root = {}, .name = {}}).value();
    bool goes_on = true;
    for (int i = 0; i < kCopyTurnsMax && goes_on; ++i) {
      goes_on = direct->turn(std::chrono::milliseconds(1));
      turn();
    }
    Told told;
    if (goes_on) return {{}, Error{Fault::kDeadline, "it does not end", ""}};
    for (const ManifestEntry& entry : direct->entries())
      if (entry.number != ObjectId(0)) told.roots.push_back(entry.name);
    if (!direct->outcome().ok()) told.error = direct->outcome().error();
    return told;
  }
  Told ask() {
    return ask(*gateway_->control_endpoint(), [this] { gateway_->turn(std::chrono::milliseconds(1)); });
  }
  void grant_ops(std::vector<std::pair<std::string, GrantOps>> of_roots) {
    std::vector<Grant> grants;
    for (auto& [root, ops] : of_roots) grants.push_back({crypto::IdentityPattern::parse(test::kAtlanta).value(), root, {}, ops, {}, "test"});
    rules_.grants = GrantTable(std::move(grants));
    ASSERT_TRUE(gateway_->reload(rules_).ok());
  }
};

TEST_F(ListRootsTest, ThoseWithAGrantToListOrReadAreTold) {
  using enum GrantOp;
  grant_ops({{"data", {kRead}}, {"archive", {kList}}, {"comes-with-the-next-start", {kList}}});
  const Told both = ask();
  EXPECT_FALSE(both.error) << both.error->what;
  EXPECT_EQ(both.roots, (std::vector<std::string>{"archive", "data"}));
  grant_ops({{"data", {kRead}}, {"archive", {kWrite}}});
  EXPECT_EQ(ask().roots, (std::vector<std::string>{"data"}));
  EXPECT_TRUE(run_until({}, [&] { return gateway_->sessions() == 0 && gateway_->transfers() == 0; })) << "nothing of it stays";
}

TEST_F(ListRootsTest, WhoMayOnlyWriteIsToldNoName) {
  grant_ops({{"data", {GrantOp::kWrite}}});
  const Told told = ask();
  EXPECT_TRUE(told.roots.empty());
  ASSERT_TRUE(told.error);
  EXPECT_EQ(told.error->fault, Fault::kDenied);
  EXPECT_EQ(told.error->what.find("data"), std::string::npos) << told.error->what;
}

// As every version answers a critical message that it does not know.
void refuse_unknown(AcceptingPeer& old, const Frame& frame) {
  const bool is_unknown = frame.type > static_cast<uint16_t>(messages::MessageType::kRemoveTree);
  if (is_unknown && (frame.flags & kCriticalFlag) != 0) old.say(messages::PeerError{"protocol_version", messages::Reaction::kSessionEnds, "the peer needs message 41", {}, {}, 0});
}

TEST_F(ListRootsTest, OfAnOlderPeerItIsSaidWhatToDo) {
  AcceptingPeer old(sites_.wisconsin, refuse_unknown);
  const Told told = ask(old.endpoint(), [&] { old.turn(); });
  ASSERT_TRUE(told.error);
  EXPECT_EQ(told.error->fault, Fault::kProtocolVersion) << told.error->what;
  EXPECT_EQ(told.error->what, "the gateway of wisconsin is of a version that does not tell its roots");
  EXPECT_NE(told.error->next.find("wisconsin:ROOT/PATH"), std::string::npos) << told.error->next;
}

TEST(PeerAlone, IsAPeerWithAColonAndNothingElse) {
  EXPECT_EQ(parse_peer_alone("wisconsin:"), "wisconsin");
  for (const char* text : {"", ":", "wisconsin", "wisconsin:ckpt", "wisconsin:/", "./a:", "a/b:", "a::"}) EXPECT_FALSE(parse_peer_alone(text)) << text;
}

}  // namespace
}  // namespace tideway::session
