// SPDX-License-Identifier: Apache-2.0
//
// I5: peers with a certificate and a grant that lie in all they say on the control channel, one after the other. Each is told why it is over, and
// when it is gone the gateway holds what it held before.
#include "unit/session/accepting_peer.h"
#include "unit/session/gateway_fixture.h"

#include "digest/tree_hasher.h"

#include <malloc.h>

#include <functional>

extern "C" size_t __sanitizer_get_current_allocated_bytes() __attribute__((weak));  // only with the sanitizer, whose allocator tells mallinfo2 nothing

namespace tideway::session {
namespace {

using namespace std::chrono_literals;

constexpr size_t kKeptByMalloc = 256 << 10;  // freed chunks in the caches of its threads count as in use
bool is_sanitized() { return __sanitizer_get_current_allocated_bytes != nullptr; }
size_t heap_in_use() {
  if (is_sanitized()) return __sanitizer_get_current_allocated_bytes();
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

ManifestEntry directory(uint32_t number, uint32_t parent, std::string name) {
  ManifestEntry entry;
  entry.number = ObjectId(number);
  entry.parent = ObjectId(parent);
  entry.type = EntryType::kDirectory;
  entry.mode = 0755;
  entry.name = std::move(name);
  return entry;
}

ManifestEntry file(uint32_t number, std::string name, Bytes size) {
  ManifestEntry entry = directory(number, 0, std::move(name));
  entry.type = EntryType::kFile;
  entry.mode = 0644;
  entry.size = size;
  return entry;
}

class HostilePeersTest : public GatewayTest {
 protected:
  HostilePeersTest() { root_.write("file", std::string(1000, 'x')); }

  messages::OpenTransfer pull(Peer& peer, SlotId slot = SlotId(5)) {
    messages::OpenTransfer pull = request(messages::Direction::kPull);
    pull.sink = messages::SinkStart{slot, 2 * kCreditUnit};
    peer.say(pull);
    return pull;
  }
  // A push whose list is one page, with these entries in the top directory.
  messages::OpenTransfer push(Peer& peer, std::vector<ManifestEntry> entries, uint32_t page = 0) {
    const messages::OpenTransfer push = ask_for_push(peer);
    entries.insert(entries.begin(), directory(0, 0, ""));
    peer.say(messages::ManifestPage{push.transfer, page, std::move(entries)});
    return push;
  }

  struct Lie {
    const char* what;
    const char* code;  // that the peer is told
    std::function<void(Peer&)> tell;
  };
  std::vector<Lie> lies() {
    using namespace messages;
    return {
        {"gives a slot twice", "protocol_error", [this](Peer& peer) { pull(peer), pull(peer); }},
        {"has what was not sent", "protocol_error", [this](Peer& peer) { peer.say(BlocksDelivered{pull(peer).transfer, {{BlockId(7), 1000}}}); }},
        {"rejects what was not sent", "protocol_error", [this](Peer& peer) { peer.say(SegmentsRejected{pull(peer).transfer, BlockId(3), {{ObjectId(1), 0}}, "hash_mismatch"}); }},
        {"needs what no page has", "protocol_error", [this](Peer& peer) { peer.say(Needs{pull(peer).transfer, 1000, NeedsKind::kAll, {}}); }},
        {"begins with the second page", "protocol_error", [this](Peer& peer) { push(peer, {}, 1); }},
        {"lists a name twice", "manifest_mismatch", [this](Peer& peer) {
           const auto said = push(peer, {file(1, "twice", Bytes()), file(2, "twice", Bytes())});
           peer.say(ManifestEnd{said.transfer, 3, Bytes()});
           peer.say(TransferRoot{said.transfer, {}});
         }},
        {"lists a path that is too deep", "manifest_mismatch", [this](Peer& peer) {
           std::vector<ManifestEntry> chain;
           for (uint32_t depth = 1; depth <= kNameDepthMax + 1; ++depth) chain.push_back(directory(depth, depth - 1, "d"));
           const auto said = push(peer, chain);
           peer.say(ManifestEnd{said.transfer, chain.size() + 1, Bytes()});
           peer.say(TransferRoot{said.transfer, {}});
         }},
        {"lists a name that climbs", "protocol_error", [this](Peer& peer) { push(peer, {file(1, "..", Bytes())}); }},
        {"lists what has no parent", "protocol_error", [this](Peer& peer) { push(peer, {directory(1, 77, "orphan")}); }},
        {"lists more bytes than there are", "dest_full", [this](Peer& peer) { push(peer, {file(1, "huge", Bytes(uint64_t{1} << 50))}); }},
        {"ends with 10^9 entries that never came", "protocol_error", [this](Peer& peer) { peer.say(ManifestEnd{push(peer, {}).transfer, 1'000'000'000, Bytes()}); }},
        {"ends an object that is none", "protocol_error", [this](Peer& peer) { peer.say(ObjectEnds{push(peer, {}).transfer, {{ObjectId(5), 0, 1_B, {}}}}); }},
        {"calls a tree by another root", "manifest_mismatch", [this](Peer& peer) {
           const auto said = push(peer, {file(1, "empty", Bytes())});
           peer.say(ManifestEnd{said.transfer, 2, Bytes()});
           peer.say(TransferRoot{said.transfer, {std::byte{1}}});
         }},
    };
  }
  void hear_all() {
    for (const Lie& lie : lies()) {
      const auto peer = dial_greeted();
      lie.tell(*peer);
      EXPECT_TRUE(run_until({peer.get()}, [&] { return !peer->error.empty(); })) << lie.what;
      EXPECT_EQ(peer->error, lie.code) << lie.what << ": " << peer->error_detail;
    }
    EXPECT_TRUE(run_until({}, [&] { return gateway_->sessions() == 0 && gateway_->transfers() == 0; }));
  }
};

TEST_F(HostilePeersTest, I5LiesOnTheControlChannelEndWithTheirReasonAndLeaveNothingBehind) {
  constexpr int kRounds = 30;
  const size_t more = (4 << 10) + (is_sanitized() ? 0 : kKeptByMalloc);  // in tables that are bounded
  for (int round = 0; round < 2; ++round) hear_all();  // what is made once is there then
  const auto let_go = [&] {  // what workers still hold of those who are gone
    for (int turn = 0; turn < 300; ++turn) gateway_->turn(1ms);
    return heap_in_use();
  };
  const size_t before = let_go();
  for (int round = 0; round < kRounds; ++round) hear_all();
  EXPECT_TRUE(run_until({}, [&] { return heap_in_use() <= before + more; })) << kRounds * lies().size() << " peers left " << heap_in_use() - before << " bytes";
  EXPECT_FALSE(root_.exists("new"));
  expect_serves_others();
}

TEST_F(HostilePeersTest, I5TransfersOfAPeerAreCountedOverAllItsSessions) {
  const auto one = dial_greeted(), other = dial_greeted();
  constexpr uint16_t kOfOne = 40;
  for (uint16_t i = 0; i < kTransfersMax; ++i) pull(i < kOfOne ? *one : *other, SlotId(i));
  EXPECT_TRUE(run_until({one.get(), other.get()}, [&] { return gateway_->transfers() == kTransfersMax; }));
  EXPECT_EQ(one->error + other->error, "");
  pull(*other, SlotId(kTransfersMax));
  EXPECT_TRUE(run_until({one.get(), other.get()}, [&] { return !other->error.empty(); }));
  EXPECT_EQ(other->error, "overloaded") << other->error_detail;
  EXPECT_EQ(gateway_->transfers(), kTransfersMax);
  expect_serves_others();
}

class HostilePushesTest : public GatewayTest {
 protected:
  static constexpr size_t kEntriesMax = 16'000, kPageEntries = 1000, kNamesFrom = 10'000;  // so that names sort as numbers do
  HostilePushesTest() : GatewayTest(kEntriesMax) {}

  // Pages of small files, whose data never comes.
  void push_pages(Peer& peer, uint32_t pages) {
    const messages::OpenTransfer push = ask_for_push(peer);
    say_pages(peer, push.transfer, pages);
  }
  static void say_pages(auto& peer, const TransferId& transfer, uint32_t pages) {
    for (uint32_t page = 0, number = 0; page < pages; ++page) {
      std::vector<ManifestEntry> entries;
      for (; entries.size() < kPageEntries; ++number) entries.push_back(number == 0 ? directory(0, 0, "") : file(number, std::to_string(kNamesFrom + number), 1_B));
      peer.say(messages::ManifestPage{transfer, page, std::move(entries)});
    }
  }
  // Answers each pull with pages, and with no data.
  static AcceptingPeer::OnFrame lists(uint32_t pages) {
    return [pages](AcceptingPeer& self, const Frame& frame) {
      if (frame.type != static_cast<uint16_t>(MessageType::kOpenTransfer)) return;
      messages::TransferAccepted accepted;
      accepted.transfer = messages::parse_open_transfer(frame.body).value().transfer;
      self.say(accepted);
      say_pages(self, accepted.transfer, pages);
    };
  }
  Session& dial_to(const AcceptingPeer& source) {
    return *gateway_->dial({"source", source.endpoint(), crypto::IdentityPattern::parse("spiffe://example.org/site/*/gw/*").value()}).value();
  }
  std::shared_ptr<Transfer> pull_from(Session& session) {
    engine::StartSink start;
    start.root = open_holding_dir(root_.path().string(), storage::Side::kDestination).value();
    start.destination = ObjectName::from_text("pulled" + std::to_string(pulls_++)).value();
    return session.pull(std::move(start), request(messages::Direction::kPull));
  }
  // A whole copy of a directory with an empty file.
  void push_little(Peer& peer) {
    const messages::OpenTransfer push = ask_for_push(peer);
    const std::vector<ManifestEntry> entries{directory(0, 0, ""), file(1, "empty", 0_B)};
    digest::TreeHasher tree;
    for (const ManifestEntry& entry : entries) ASSERT_TRUE(tree.add(entry).ok());
    peer.say(messages::ManifestPage{push.transfer, 0, entries});
    peer.say(messages::ManifestEnd{push.transfer, entries.size(), 0_B});
    peer.say(messages::TransferRoot{push.transfer, tree.finish().value()});
  }

  int pulls_ = 0;
};

// Each of them is within its own bounds.
TEST_F(HostilePushesTest, I5EntriesAheadOfTheirDataAreCountedOverAllTransfersOfAPeer) {
  constexpr uint32_t kPushes = 6, kPages = 4;  // for more there may be no buffers
  const auto one = dial_greeted(), other = dial_greeted();
  for (uint32_t i = 0; i < kPushes; ++i) push_pages(i % 2 == 0 ? *one : *other, kPages);
  const auto refused = [&] { return std::ranges::count(one->types, MessageType::kError) + std::ranges::count(other->types, MessageType::kError); };
  const auto is_settled = [&] { return one->is_silent() && other->is_silent() && refused() + static_cast<long>(gateway_->transfers()) == kPushes; };
  EXPECT_TRUE(run_until({one.get(), other.get()}, [&] { return is_settled() && refused() > 0; }));
  for (int i = 0; i < 100; ++i) gateway_->turn(std::chrono::milliseconds(1));
  EXPECT_LE(gateway_->transfers() * kPages * kPageEntries, kEntriesMax);
  const Peer& told = one->error.empty() ? *other : *one;
  EXPECT_EQ(told.error, "overloaded");
  EXPECT_NE(told.error_detail.find("more than 16000 entries ahead of their data, all together"), std::string::npos) << told.error_detail;

  const auto context = sites_.context("spiffe://example.org/site/denver/gw/gw1");
  Peer honest(context, *gateway_->control_endpoint());
  honest.greet();
  ASSERT_TRUE(is_greeted(honest));
  push_little(honest);
  EXPECT_TRUE(run_until({&honest}, [&] { return honest.heard(MessageType::kPublished); })) << honest.error_detail;
  EXPECT_TRUE(root_.exists("new/empty"));
}

// A source is no more trusted for being asked.
TEST_F(HostilePushesTest, I5AndOverAllThatIsPulledFromAPeer) {
  constexpr uint32_t kPulls = 5, kPages = 4;  // for more there are no buffers here
  const auto denver = sites_.context("spiffe://example.org/site/denver/gw/gw1");
  AcceptingPeer hostile(denver, lists(kPages)), other(sites_.atlanta, lists(kPages));
  const auto lasting = pull_from(dial_to(other));
  Session& one = dial_to(hostile);
  Session& two = dial_to(hostile);
  std::vector<std::shared_ptr<Transfer>> pulls;
  for (uint32_t i = 0; i < kPulls; ++i) pulls.push_back(pull_from(i % 2 == 0 ? one : two));
  const auto refused = [&] { return static_cast<size_t>(std::ranges::count_if(pulls, [](const auto& pull) { return pull->outcome.has_value(); })); };
  const auto turn_until = [&](const auto& done) {
    return run_until({}, [&] {
      hostile.turn();
      other.turn();
      return done();
    });
  };
  EXPECT_TRUE(turn_until([&] { return (kPulls - refused()) * kPages * kPageEntries <= kEntriesMax && lasting->board->entries.get() == kPages * kPageEntries; }));
  int more = 100;
  turn_until([&] { return --more == 0; });
  for (const auto& pull : pulls)
    EXPECT_TRUE(!pull->outcome || pull->outcome->error().fault == Fault::kOverloaded);
  EXPECT_FALSE(lasting->outcome) << "what comes from others goes on";
}

}  // namespace
}  // namespace tideway::session
