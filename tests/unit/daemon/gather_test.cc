// SPDX-License-Identifier: Apache-2.0
//
// Three gateways in one process: a checkpoint that lies at two of them is gathered at the third, whose control thread is the test. What one
// source brings, and in which order, engine/gather_path_test.cc looks at; here it is which sources are asked, given up and gone on with.
#include "daemon/gather.h"

#include "base/clock.h"
#include "crypto/random_bytes.h"
#include "support/temp_root.h"
#include "support/test_certificates.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 60s;  // of a machine that is busy
constexpr Bytes kFileSize = 12_MiB;
constexpr size_t kShards = 3;
const Rate kSlow = 200_Mbit, kSlower = 40_Mbit;  // all of it takes 1.5 s from one, or 8

struct Site {
  TempRoot root;
  std::unique_ptr<session::Gateway> gateway;
};

class GatherTest : public testing::Test {
 protected:
  void SetUp() override {
    for (Site* site : {&wisconsin_, &oslo_}) start(*site);
    start(atlanta_);
    peers_.emplace(*atlanta_.gateway, std::vector<session::PeerConfig>{peer("wisconsin", wisconsin_), peer("oslo", oslo_)});
  }
  void TearDown() override {
    gather_.reset();
    peers_.reset();
  }

  static std::string uri_of(const std::string& site) { return "spiffe://example.org/site/" + site + "/gw/gw1"; }
  std::string name_of(const Site& site) const { return &site == &atlanta_ ? "atlanta" : &site == &oslo_ ? "oslo" : "wisconsin"; }
  void start(Site& site) {
    session::GatewayConfig config;
    const auto key = crypto::make_signed(test::gateway_spec(uri_of(name_of(site))), sites_.authority).value();
    config.tls = test::write_files(sites_.folder, name_of(site), sites_.authority.certificate, key);
    config.engine.memory = 512_MiB;
    config.roots = {{"data", site.root.path().string()}};
    config.data_addresses = {Endpoint::parse("127.0.0.1:0").value()};
    if (&site != &atlanta_) config.listen = Endpoint::parse("127.0.0.1:0").value();
    config.grants = session::GrantTable({{crypto::IdentityPattern::parse(uri_of("atlanta")).value(), "data", {}, {session::GrantOp::kRead, session::GrantOp::kList, session::GrantOp::kWrite}, {}, "test"}});
    site.gateway = session::Gateway::start(std::move(config)).value();
  }
  session::PeerConfig peer(const std::string& name, const Site& site) const {
    return {name, *site.gateway->control_endpoint(), crypto::IdentityPattern::parse(uri_of(name)).value()};
  }

  // Everybody who is there has his turn; `done` is looked at in between.
  template <typename Done>
  bool comes(const Done& done) {
    for (const Time end = read_clock() + kPatience; read_clock() < end && !done();) {
      for (Site* site : {&wisconsin_, &oslo_})
        if (site->gateway) site->gateway->turn(1ms);
      atlanta_.gateway->turn(1ms);
      if (gather_) gather_->turn(read_clock());
    }
    return done();
  }

  static std::string content(char seed) {
    std::string bytes(kFileSize.count(), seed);
    for (size_t i = 0; i < bytes.size(); i += 64) bytes[i] = static_cast<char>(i >> 6 ^ i >> 14);
    return bytes;
  }
  void make(const std::string& run, char seed = 'a', size_t files = kShards) const {
    for (size_t i = 0; i < files; ++i) atlanta_.root.write(run + "/step-1/shard-" + std::to_string(i), content(static_cast<char>(seed + static_cast<int>(i))));
  }
  // As any job does: so it is a tree that was published there.
  void publish(const std::string& run, const std::string& to) {
    job::Spec spec;
    spec.sources = {"data:" + run + "/step-1"};
    spec.destination = to + ":data/run/step-1";
    spec.publish = "rename";
    auto* session = peers_->take(to, {}, read_clock()).value();
    TransferId id{};
    crypto::random_bytes(id);
    const auto copy = session::start_copy(*session, id, request_of(spec, {atlanta_.gateway->roots(), *peers_}).value(), below_roots(atlanta_.gateway->roots())).value();
    ASSERT_TRUE(comes([&] { return copy->outcome.has_value(); }));
    ASSERT_TRUE(copy->outcome->ok()) << copy->outcome->error().what;
    peers_->give_back(session, read_clock());
  }
  void publish_at_both() {
    make("made");
    for (const char* to : {"wisconsin", "oslo"}) ASSERT_NO_FATAL_FAILURE(publish("made", to));
  }

  static job::Job restore() {
    job::Job job;
    job.id = "0123456789abcdef";
    job.transfer.fill(std::byte{7});
    job.spec.sources = {"wisconsin:data/run/step-1"};
    job.spec.alternatives = {"oslo:data/run/step-1"};
    job.spec.destination = "data:back";
    job.spec.service = job::Class::kRestore;
    job.spec.publish = "rename";
    return job;
  }
  Gather::Parts parts() { return {*atlanta_.gateway, *peers_}; }
  void begin(const job::Job& job = restore()) {
    const auto sources = Gather::sources_of(job, parts());
    ASSERT_EQ(sources.size(), 2U);
    gather_.emplace(parts(), job, sources, session::Manners::kInsists);
  }
  // Until both bring something, which takes them long enough to be met in the middle.
  void begin_slowly() {
    publish_at_both();
    for (Site* site : {&wisconsin_, &oslo_}) site->gateway->set_rate(kSlower);
    begin();
    ASSERT_TRUE(comes([&] { return both_bring() || is_over(); }));
  }
  void hurry() const {
    for (const Site* site : {&wisconsin_, &oslo_})
      if (site->gateway) site->gateway->set_rate(Rate::unlimited());
  }
  Bytes of(size_t source) const { return gather_->shares()[source].bytes; }
  bool is_over() const { return gather_->is_over(); }
  bool both_bring() const { return of(0) > 0_B && of(1) > 0_B; }
  // The job's own transfer, from whoever is best: gives how much of it was there already.
  Bytes go_on(const std::string& source) {
    gather_->leave(read_clock());
    job::Job job = restore();
    job.spec.sources = {source};
    job.spec.alternatives.clear();
    const std::string peer = source.substr(0, source.find(':'));
    auto* session = peers_->take(peer, {PeerSessions::Sharing::kShared, job::Class::kRestore, session::Manners::kInsists}, read_clock()).value();
    const auto copy = session::start_copy(*session, job.transfer, request_of(job.spec, {atlanta_.gateway->roots(), *peers_}).value(), below_roots(atlanta_.gateway->roots())).value();
    EXPECT_TRUE(comes([&] { return copy->outcome.has_value(); }));
    EXPECT_TRUE(copy->outcome && copy->outcome->ok()) << (copy->outcome ? copy->outcome->error().what : "no end");
    const Bytes held = session::numbers_of(*copy, session, atlanta_.gateway->engine()).bytes_held;
    peers_->give_back(session, read_clock());
    return held;
  }
  void expect_whole() const {
    for (size_t i = 0; i < kShards; ++i) EXPECT_TRUE(atlanta_.root.read("back/shard-" + std::to_string(i)) == content(static_cast<char>('a' + i))) << "shard " << i;
  }

  test::TwoSites sites_;
  Site atlanta_, wisconsin_, oslo_;
  std::optional<PeerSessions> peers_;
  std::optional<Gather> gather_;
  const Bytes all_ = kFileSize * kShards;
};

TEST_F(GatherTest, ASourceIsAPeerThatHasThatStep) {
  job::Job job = restore();
  const auto count = [&] { return Gather::sources_of(job, parts()).size(); };
  EXPECT_EQ(count(), 2U);
  job.spec.alternatives = {"oslo:data/run/step-0", "wisconsin:data/other/step-1", "denver:data/run/step-1", "oslo:data/run/step-1"};
  const auto found = Gather::sources_of(job, parts());
  ASSERT_EQ(found.size(), 2U) << "an older step, one peer twice, and one that nobody knows do not count";
  EXPECT_EQ(found[0].peer, "wisconsin");
  EXPECT_EQ(found[1].peer, "oslo");
}

TEST_F(GatherTest, WhatHasToDoWithOneTransferAloneComesFromOneSource) {
  const auto changed = [&](auto change) {
    job::Job job = restore();
    change(job.spec);
    return Gather::sources_of(job, parts()).size();
  };
  EXPECT_EQ(changed([](job::Spec& spec) { spec.bytes = Gather::kBytesMin; }), 2U);
  EXPECT_EQ(changed([](job::Spec& spec) { spec.bytes = Gather::kBytesMin - 1_B; }), 0U);
  EXPECT_EQ(changed([](job::Spec& spec) { spec.service = job::Class::kBestEffort; }), 0U);
  EXPECT_EQ(changed([](job::Spec& spec) { spec.verify = "readback"; }), 0U);
  EXPECT_EQ(changed([](job::Spec& spec) { spec.rate_max = 1_Gbit; }), 0U);
  EXPECT_EQ(changed([](job::Spec& spec) { spec.filters.push_back({job::Filter::Kind::kExclude, "*"}); }), 0U);
  EXPECT_EQ(changed([](job::Spec& spec) { spec.alternatives.clear(); }), 0U);
}

TEST_F(GatherTest, TheOneThatBroughtMostGoesOn) {
  publish_at_both();
  oslo_.gateway->set_rate(100_Mbit);
  wisconsin_.gateway->set_rate(kSlow);
  begin();
  EXPECT_EQ(gather_->progress().stage, "connect");
  ASSERT_TRUE(comes([&] { return is_over(); }));
  EXPECT_EQ(gather_->progress().stage, "send");
  EXPECT_EQ(gather_->progress().bytes_needed, all_);
  EXPECT_EQ(of(0) + of(1), all_);
  EXPECT_TRUE(both_bring());
  ASSERT_TRUE(gather_->best());
  const size_t most = of(1) > of(0) ? 1 : 0;
  EXPECT_EQ(gather_->best()->source, gather_->shares()[most].source);
  EXPECT_FALSE(atlanta_.root.exists("back")) << "nothing of it shows";
  EXPECT_EQ(go_on(gather_->best()->source), all_) << "nothing crosses again";
  expect_whole();
}

TEST_F(GatherTest, OfDifferentTreesNoneIsBest) {
  make("made");
  make("other", 'k');
  publish("made", "wisconsin");
  publish("other", "oslo");
  begin();
  ASSERT_TRUE(comes([&] { return is_over(); }));
  EXPECT_FALSE(gather_->best()) << "nobody knows which one is meant, so the job keeps to its own order";
  EXPECT_EQ(of(1), 0_B);
  go_on("wisconsin:data/run/step-1");
  expect_whole();
}

TEST_F(GatherTest, WhatIsNotToBeGatheredIsOverAndNobodysFault) {
  make("made", 'a', 1);
  for (const char* to : {"wisconsin", "oslo"}) publish("made", to);
  begin();
  ASSERT_TRUE(comes([&] { return is_over(); }));
  EXPECT_EQ(of(0) + of(1), 0_B);
}

TEST_F(GatherTest, NothingComesOverALinkThatIsClosed) {
  begin();
  gather_->leave_closed([](const std::string& peer) { return peer == "wisconsin"; }, read_clock());
  gather_->turn(read_clock());
  EXPECT_TRUE(is_over()) << "one source is none to gather from";
  ASSERT_TRUE(gather_->best());
  EXPECT_EQ(gather_->best()->peer, "oslo");
  EXPECT_EQ(peers_->count("wisconsin"), 0U) << "it is not even dialled for it";
}

TEST_F(GatherTest, ALinkThatClosesInTheMiddleLeavesWhatCameOverIt) {
  ASSERT_NO_FATAL_FAILURE(begin_slowly());
  ASSERT_FALSE(is_over());
  gather_->leave_closed([](const std::string& peer) { return peer == "oslo"; }, read_clock());
  hurry();
  EXPECT_TRUE(comes([&] { return is_over(); }));
  ASSERT_TRUE(gather_->best());
  EXPECT_EQ(gather_->best()->peer, "wisconsin");
  EXPECT_GT(of(1), 0_B);
  EXPECT_GT(go_on(gather_->best()->source), 0_B);
  expect_whole();
}

TEST_F(GatherTest, ASourceThatIsLostInTheMiddleIsGoneOnWithout) {
  ASSERT_NO_FATAL_FAILURE(begin_slowly());
  ASSERT_FALSE(is_over());
  wisconsin_.gateway.reset();
  hurry();
  ASSERT_TRUE(comes([&] { return is_over(); }));
  ASSERT_TRUE(gather_->best());
  EXPECT_EQ(gather_->best()->peer, "oslo") << "the other brought more, and is not there any more";
  EXPECT_GT(go_on(gather_->best()->source), 0_B);
  expect_whole();
}

TEST_F(GatherTest, WithBothLostItIsOverAndNothingShows) {
  ASSERT_NO_FATAL_FAILURE(begin_slowly());
  for (Site* site : {&wisconsin_, &oslo_}) site->gateway.reset();
  ASSERT_TRUE(comes([&] { return is_over(); }));
  EXPECT_TRUE(comes([&] {  // the first one that is found lost ends it; the other is found so by the job's own transfer
    return std::ranges::none_of(atlanta_.gateway->all_sessions(), [](const auto& session) { return session->is_up() && !session->is_over(); });
  }));
  gather_->leave(read_clock());
  EXPECT_TRUE(gather_->is_over());
  EXPECT_FALSE(atlanta_.root.exists("back"));
}

TEST_F(GatherTest, WhatIsLeftInTheMiddleIsThereForTheNextOne) {
  publish_at_both();
  for (Site* site : {&wisconsin_, &oslo_}) site->gateway->set_rate(kSlow);
  begin();
  ASSERT_TRUE(comes([&] { return both_bring() || is_over(); }));
  gather_->leave(read_clock());
  EXPECT_TRUE(is_over());
  const Bytes brought = of(0) + of(1);
  begin();
  ASSERT_TRUE(comes([&] { return is_over(); }));
  EXPECT_GE(gather_->progress().bytes_held + kLeafSize * 2 * kShards, brought) << "but for leaves of files that were not closed yet";
  EXPECT_EQ(gather_->progress().bytes_held + of(0) + of(1), all_);
  go_on(gather_->best()->source);
  expect_whole();
}

}  // namespace
}  // namespace tideway::daemon
