// SPDX-License-Identifier: Apache-2.0
//
// What a serving gateway does about a peer that does what no honest one does, within its grant and beyond.
#include "unit/session/gateway_fixture.h"

#include "crypto/root_signer.h"
#include "digest/leaf_hash.h"
#include "packet_io/tls_stream.h"
#include "storage/stored_manifest.h"

namespace tideway::session {
namespace {

using namespace std::chrono_literals;

TEST_F(GatewayTest, AnyMtuOfAPeerIsTakenForWhatItMeans) {
  for (const uint32_t mtu : {100'000U, 0xFFFF'FFFFU, 1U}) {
    const auto peer = dial();
    peer->hello.mtu_max = mtu;
    peer->greet();
    ASSERT_TRUE(is_greeted(*peer)) << mtu;
    int turns = 0;
    EXPECT_TRUE(run_until({peer.get()}, [&] { return ++turns > 20; }));  // its lane sends, and goes on
    EXPECT_FALSE(peer->is_over());
  }
  expect_serves_others();
}

TEST_F(GatewayTest, NoticesOfPhasesGoBothWaysAndOnlyToTheirSite) {
  auto peer = dial();
  peer->greet();
  peer->say(messages::PhaseNotice{.training = 7});
  ASSERT_TRUE(run_until({peer.get()}, [&] { return !notices_.empty(); }));
  EXPECT_EQ(notices_.front(), (std::pair<std::string, uint64_t>("atlanta", 7)));
  const auto tells = [&](const char* site) {
    return [&, site] {
      gateway_->tell(site, {.training = 8});
      return peer->heard(MessageType::kPhaseNotice);
    };
  };
  ASSERT_TRUE(run_until({peer.get()}, [&] { return peer->heard(MessageType::kLanes); }));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(tells("oslo")());
  EXPECT_TRUE(run_until({peer.get()}, tells("atlanta")));
}

TEST_F(GatewayTest, ASlotGivenTwiceEndsTheSession) {
  root_.write("file", "content");
  const auto peer = dial_greeted();
  for (int i = 0; i < 2; ++i) {
    messages::OpenTransfer pull = request(messages::Direction::kPull);
    pull.sink = messages::SinkStart{SlotId(5), 2 * kCreditUnit};
    peer->say(pull);
  }
  EXPECT_TRUE(run_until({peer.get()}, [&] { return !peer->error.empty(); }));
  EXPECT_EQ(peer->error, "protocol_error");
  expect_serves_others();
}

// It may name a session of somebody else, or a flow that has its connection: nothing but its own end comes of it.
TEST_F(GatewayTest, AConnectionForDataThatNobodyWaitsForIsClosed) {
  DialOrder order{*gateway_->control_endpoint(), {}, crypto::IdentityPattern::parse(test::kWisconsin).value(), kNow + 5s};
  order.data = DataPreface{.session = {std::byte{1}}, .flow = FlowId(0)};
  const auto channel = ControlChannel::dial(kNow, order, sites_.atlanta, kNoCaps).value();
  const auto turn = [&] {
    pollfd fd{channel->fd(), channel->wanted_events(), 0};
    if (fd.fd >= 0) ::poll(&fd, 1, 1);
    channel->on_ready(kNow, fd.revents);
    gateway_->turn(1ms);
  };
  for (int i = 0; i < kCopyTurnsMax && channel->state() != ChannelState::kData; ++i) turn();
  ASSERT_EQ(channel->state(), ChannelState::kData);
  DataConnection connection = channel->release();
  packet_io::TlsStream stream(connection.socket.release(), std::move(connection.tls));
  std::array<std::byte, 16> bytes;
  for (int i = 0; i < kCopyTurnsMax && !stream.is_broken(); ++i) {
    gateway_->turn(1ms);
    EXPECT_EQ(stream.read(bytes), 0U);
  }
  EXPECT_TRUE(stream.is_broken());
  EXPECT_EQ(gateway_->sessions(), 0U);
  expect_serves_others();
}

TEST_F(GatewayTest, TheNinthSessionOfAPeerIsRefused) {
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 9; ++i) {
    peers.push_back(dial());
    peers.back()->greet();
    EXPECT_EQ(is_greeted(*peers.back()), i < 8) << i;
  }
  EXPECT_EQ(peers.back()->error, "overloaded");
  expect_serves_others();
}

TEST_F(GatewayTest, FlowsThatCannotOpenComeBackForOthers) {
  Endpoint foreign = Endpoint::parse("[fd00::1]:9").value();
  for (int i = 0; i < 70; ++i) {  // with 64 each more than a worker has
    const auto peer = dial();
    peer->greet(foreign, 64);
    ASSERT_TRUE(run_until({peer.get()}, [&] { return peer->is_over() || !peer->error.empty(); })) << i;
  }
  expect_serves_others();
}

TEST_F(GatewayTest, AFloodOfRequestsIsReadNoFasterThanTheWorkersWork) {
  for (int i = 0; i < 2'000; ++i) root_.write("f" + std::to_string(i), "");
  const auto peer = dial_greeted();
  for (int i = 0; i < 3'000; ++i) {
    messages::OpenTransfer list = request(messages::Direction::kList);
    peer->say(list);
    peer->say(messages::CancelTransfer{list.transfer, "cancelled", false});
  }
  run_until({peer.get()}, [&] { return peer->is_silent() || peer->is_over(); });
  expect_serves_others();
}

// ---- what is taken away ----------------------------------------------------------------------------------------------

class RemoveTest : public GatewayTest {
 protected:
  RemoveTest() {
    rules_.grants = GrantTable({{crypto::IdentityPattern::parse("spiffe://example.org/site/*/gw/*").value(), "data", {},
                                 {GrantOp::kRead, GrantOp::kList, GrantOp::kDelete}, {}, "test"}});
    EXPECT_TRUE(gateway_->reload(rules_).ok());
    publish("run/step-1");
    peer_ = dial_greeted();
  }
  // As a sink leaves it there.
  void publish(const std::string& place) {
    root_.write(place + "/a", "content");
    const auto root = std::make_shared<const storage::RootedDir>(storage::RootedDir::open_host_path(root_.path().string(), storage::Side::kDestination).value());
    auto staging = storage::Staging::create(root, TransferId{std::byte{9}}).value();
    const auto dir = root->open_dir(ObjectName::from_text(place).value()).value();
    EXPECT_TRUE(storage::write_stored_manifest(staging, {.root = kTree, .destination = ObjectName::from_text(place).value()}, dir, storage::single_name(".tideway-manifest")).ok());
    EXPECT_TRUE(staging.remove().ok());
  }
  std::string removed(const std::string& place, const Hash256& tree = kTree) {
    messages::RemoveTree order;
    crypto::random_bytes(order.transfer);
    order.root = "data";
    order.name = ObjectName::from_text(place).value();
    order.tree_root = tree;
    peer_->types.clear();
    peer_->error.clear();
    peer_->say(order);
    EXPECT_TRUE(run_until({peer_.get()}, [&] { return peer_->heard(MessageType::kTransferClosed) || peer_->is_over(); }));
    return peer_->error;
  }
  static constexpr Hash256 kTree{std::byte{7}};
  std::unique_ptr<Peer> peer_;
};

TEST_F(RemoveTest, WhatWasPublishedGoesWithAllOfIt) {
  publish("run/step-2");
  EXPECT_EQ(removed("run/step-1"), "");
  EXPECT_FALSE(root_.exists("run/step-1"));
  EXPECT_TRUE(root_.exists("run/step-2/a"));
  EXPECT_TRUE(!root_.exists(".tideway") || std::filesystem::is_empty(root_.path() / ".tideway")) << "nothing is left of it";
  EXPECT_EQ(removed("run/step-1"), "source_missing") << "and a second time there is nothing";
}

TEST_F(RemoveTest, NobodyHearsOfItBeforeTheAuditLogHasIt) {
  is_audit_slow_ = true;
  messages::RemoveTree order;
  crypto::random_bytes(order.transfer);
  order.root = "data";
  order.name = ObjectName::from_text("run/step-1").value();
  order.tree_root = kTree;
  peer_->types.clear();
  peer_->say(order);
  ASSERT_TRUE(run_until({peer_.get()}, [&] { return !unaudited_.empty(); }));
  EXPECT_FALSE(root_.exists("run/step-1"));
  for (int i = 0; i < 10; ++i) gateway_->turn(std::chrono::milliseconds(1));
  peer_->turn();
  EXPECT_FALSE(peer_->heard(MessageType::kTransferClosed));
  unaudited_.clear();
  EXPECT_TRUE(run_until({peer_.get()}, [&] { return peer_->heard(MessageType::kTransferClosed); }));
}

TEST_F(RemoveTest, AnAuditLogWhoseDiskHangsIsNotWaitedForWithoutEnd) {
  is_audit_slow_ = true;
  EXPECT_EQ(removed("run/step-1"), "");
  EXPECT_EQ(unaudited_.size(), 1U);
}

TEST_F(RemoveTest, WhatIsAnotherTreeOrWasNotPublishedStays) {
  EXPECT_EQ(removed("run/step-1", Hash256{std::byte{8}}), "manifest_mismatch");
  root_.write("run/mine/a", "content");
  EXPECT_EQ(removed("run/mine"), "source_missing");
  EXPECT_TRUE(root_.exists("run/step-1/a") && root_.exists("run/mine/a"));
}

TEST_F(RemoveTest, WhatATrackerNamesStays) {
  root_.write("run/latest", "step-1\n");
  EXPECT_EQ(removed("run/step-1"), "dest_busy");
  root_.write("run/latest", "step-2\n");
  EXPECT_EQ(removed("run/step-1"), "");
}

TEST_F(RemoveTest, WhatSomebodyReadsStaysUntilTheyAreThrough) {
  const auto reader = dial_greeted();
  messages::OpenTransfer pull = request(messages::Direction::kPull);
  pull.name = ObjectName::from_text("run/step-1").value();
  pull.sink = messages::SinkStart{SlotId(5), 0};
  reader->say(pull);
  ASSERT_TRUE(run_until({reader.get()}, [&] { return reader->heard(MessageType::kManifestPage); }));
  EXPECT_EQ(removed("run/step-1"), "dest_busy");
  EXPECT_TRUE(root_.exists("run/step-1/a"));
  reader->say(messages::CancelTransfer{pull.transfer, "cancelled", false});
  ASSERT_TRUE(run_until({reader.get()}, [&] { return reader->heard(MessageType::kTransferClosed); }));
  EXPECT_EQ(removed("run/step-1"), "");
}

TEST_F(RemoveTest, WithoutTheGrantToDeleteNothingGoes) {
  grant({});
  EXPECT_EQ(removed("run/step-1"), "denied");
  EXPECT_TRUE(root_.exists("run/step-1/a"));
}

// ---- limits of a grant ---------------------------------------------------------------------------------------------

TEST_F(GatewayTest, PullBeyondTheGrantEndsBeforeItsPageIsSent) {
  root_.write("tree/a", std::string(600, 'x'));
  root_.write("tree/b", std::string(600, 'x'));
  for (const GrantLimits& limits : {GrantLimits{.bytes_max = 1000_B}, GrantLimits{.files_max = 2}}) {
    grant(limits);
    const auto peer = dial_greeted();
    messages::OpenTransfer pull = request(messages::Direction::kPull);
    pull.sink = messages::SinkStart{SlotId(5), 2 * kCreditUnit};
    peer->say(pull);
    EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->heard(MessageType::kTransferClosed); }));
    EXPECT_EQ(peer->error, "limit_exceeded");
    EXPECT_FALSE(peer->heard(MessageType::kManifestPage));
  }
  grant({.bytes_max = 1200_B, .files_max = 10});
  expect_serves_others();
}

TEST_F(GatewayTest, PushBeyondTheGrantEndsAtItsPage) {
  for (const GrantLimits& limits : {GrantLimits{.bytes_max = 1000_B}, GrantLimits{.files_max = 1}}) {
    grant(limits);
    const auto peer = dial_greeted();
    const messages::OpenTransfer push = ask_for_push(*peer);
    ManifestEntry top, file;
    top.type = EntryType::kDirectory;
    file.number = ObjectId(1);
    file.name = "file";
    file.size = 1001_B;
    peer->say(messages::ManifestPage{push.transfer, 0, {top, file}});
    EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->heard(MessageType::kTransferClosed); }));
    EXPECT_EQ(peer->error, "limit_exceeded");
    EXPECT_FALSE(root_.exists("new"));
  }
}

// As where a file system was mounted and is no more.
TEST_F(GatewayTest, S15NothingIsWrittenWhereTheRootIsNoMore) {
  const std::filesystem::path away = root_.path().string() + "-away";
  std::filesystem::rename(root_.path(), away);
  std::filesystem::create_directory(root_.path());
  const auto peer = dial_greeted();
  ask_for_push(*peer);
  EXPECT_TRUE(run_until({peer.get()}, [&] { return !peer->error.empty(); }));
  EXPECT_EQ(peer->error, "dest_unmounted");
  EXPECT_TRUE(std::filesystem::is_empty(root_.path()));
  EXPECT_TRUE(std::filesystem::is_empty(away));
  std::filesystem::remove(root_.path());
  std::filesystem::rename(away, root_.path());
  expect_serves_others();
}

TEST_F(GatewayTest, X06FlowsBeyondTheGrantAreNotOpened) {
  grant({.flows_max = 2});
  const auto peer = dial();
  peer->greet({{}, 9}, 8);
  ASSERT_TRUE(is_greeted(*peer));
  EXPECT_EQ(peer->flows_opened, 2U);
}

// ---- what is signed ------------------------------------------------------------------------------------------------

class SigningTest : public GatewayTest {
 protected:
  SigningTest() {
    const auto keys = crypto::make_signing_key().value();
    rules_.signing.key = sites_.folder.write("signing.key", std::string(keys.secret.text()));
    checker_.emplace(crypto::RootChecker::open(sites_.folder.write("signing.pub", keys.public_half)).value());
    EXPECT_TRUE(gateway_->reload(rules_).ok());
    root_.write("tree/a", "content");
    root_.write("tree/b", "other content");
  }

  // Pulls the tree, and claims to have files with these hashes there, so that nothing has to cross.
  messages::TransferRoot root_for(std::vector<Hash128> hashes, const std::function<void()>& meanwhile = [] {}) {
    const auto peer = dial_greeted();
    messages::OpenTransfer pull = request(messages::Direction::kPull);
    pull.name = ObjectName::from_text("tree").value();
    pull.sink = messages::SinkStart{SlotId(5), 2 * kCreditUnit};
    peer->say(pull);
    EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->page && peer->end; }));
    meanwhile();
    messages::ObjectsHeld held{pull.transfer, 0, {}};
    for (size_t i = 0; i < hashes.size(); ++i) {
      const ManifestEntry& entry = peer->page->entries.at(i + 1);
      digest::ObjectHasher hasher;
      hasher.add_leaf(static_cast<uint32_t>(entry.size.count()), hashes[i]);
      held.objects.push_back({entry.number, 1, hasher.folded().tops, {}});
    }
    peer->say(held);
    peer->say(messages::Needs{pull.transfer, 0, messages::NeedsKind::kAll, {}});
    EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->root.has_value(); }));
    listed_ = *peer->end;
    return peer->root.value_or(messages::TransferRoot{});
  }
  static Hash128 hash_of(std::string_view content) { return digest::leaf_hash(std::as_bytes(std::span(content))); }
  bool is_signed(const messages::TransferRoot& root) const {
    return root.signature && checker_->is_good(*root.signature, {root.root, listed_.entries, listed_.bytes.count()});
  }

  std::optional<crypto::RootChecker> checker_;
  messages::ManifestEnd listed_;
};

TEST_F(SigningTest, X25WhatAPullerClaimsIsNeverSigned) {
  const auto honest = root_for({hash_of("content"), hash_of("other content")});
  EXPECT_TRUE(is_signed(honest)) << "a copy that goes on is";
  const auto lied = root_for({hash_of("content"), hash_of("evil  content")});
  EXPECT_EQ(lied.root, honest.root) << "what is signed is what lies here";
  EXPECT_TRUE(is_signed(lied));
}

TEST_F(SigningTest, X25ARootOverStandInsIsNotSigned) {
  EXPECT_FALSE(root_for({Hash128{}, Hash128{}}).signature);
}

// The key is new, and what the sink said before was taken for true.
TEST_F(SigningTest, X25AKeyThatComesLaterSignsNothingThatWasTakenOnTrust) {
  const std::string key = std::exchange(rules_.signing.key, "");
  ASSERT_TRUE(gateway_->reload(rules_).ok());
  const auto lied = root_for({hash_of("content"), hash_of("evil  content")}, [&] {
    rules_.signing.key = key;
    EXPECT_TRUE(gateway_->reload(rules_).ok());
  });
  EXPECT_FALSE(lied.signature);
}

}  // namespace
}  // namespace tideway::session
