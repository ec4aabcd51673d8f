// SPDX-License-Identifier: Apache-2.0
//
// A serving gateway, with its workers, and a peer that has a certificate and a grant and does what no honest one does.
// Whatever it sends, the gateway goes on serving others.
#pragma once
#include "session/gateway.h"

#include "crypto/random_bytes.h"
#include "messages/type_of.h"
#include "support/temp_root.h"
#include "support/test_certificates.h"

#include <gtest/gtest.h>

#include <poll.h>

#include <algorithm>
#include <deque>

namespace tideway::session {

class GatewayTest : public testing::Test {
 protected:
  static constexpr int kCopyTurnsMax = 5'000;
  static constexpr BodyCap kNoCaps[] = {{kManifestPageType, kBodyMax}};
  static constexpr Time kNow = Time(std::chrono::seconds(100));
  using MessageType = messages::MessageType;

  // The attacker's side of a session: what it says is up to the test.
  class Peer {
   public:
    Peer(const crypto::TlsContext& tls, const Endpoint& remote) {
      const DialOrder order{remote, {}, crypto::IdentityPattern::parse(test::kWisconsin).value(), kNow + std::chrono::seconds(5)};
      channel_ = ControlChannel::dial(kNow, order, tls, kNoCaps).value();
      hello = make_hello({}, {.buffers_receiving = 8});
    }

    template <typename Message>
    void say(const Message& message) {
      const std::string body = messages::serialize(message);
      say_raw(static_cast<uint16_t>(messages::type_of(message)), 0, body);
    }
    void say_raw(uint16_t type, uint8_t flags, const std::string& body) { queue_.push_back({type, flags, body}); }
    // Hello, and a lane of one flow that goes to `address`.
    void greet(const Endpoint& address = {{}, 9}, size_t flows = 1) {
      say(hello);
      messages::LaneOffer lane{LaneId(0), {}};
      for (size_t i = 0; i < flows; ++i)
        lane.flows.push_back({FlowId(static_cast<uint16_t>(i)), ConnectionId(77 + i), address, 1152});
      say(messages::Lanes{{lane}});
    }

    void turn() {
      pollfd fd{channel_->fd(), channel_->wanted_events(), 0};
      if (fd.fd >= 0) ::poll(&fd, 1, 0);
      channel_->on_ready(kNow, fd.revents);
      while (!queue_.empty() && channel_->send(queue_.front().type, queue_.front().flags, std::as_bytes(std::span(queue_.front().body)))) queue_.pop_front();
      while (auto frame = channel_->receive()) {
        if (frame->type == kHelloType) channel_->authorise();
        if (frame->type == static_cast<uint16_t>(MessageType::kLanes)) {
          const auto lanes = messages::parse_lanes(frame->body);
          for (const auto& lane : lanes.value().lanes) flows_opened += lane.flows.size();
        }
        if (frame->type == static_cast<uint16_t>(MessageType::kManifestPage)) page = messages::parse_manifest_page(frame->body).value();
        if (frame->type == static_cast<uint16_t>(MessageType::kManifestEnd)) end = messages::parse_manifest_end(frame->body).value();
        if (frame->type == static_cast<uint16_t>(MessageType::kTransferRoot)) root = messages::parse_transfer_root(frame->body).value();
        if (frame->type == static_cast<uint16_t>(MessageType::kError)) {
          const messages::PeerError said = messages::parse_error(frame->body).value();
          error = said.code;
          error_detail = said.detail;
        }
        types.push_back(static_cast<MessageType>(frame->type));
      }
    }
    bool heard(MessageType type) const { return std::ranges::count(types, type) > 0; }
    bool is_silent() const { return queue_.empty() && !channel_->has_output(); }
    bool is_over() const { return channel_->state() == ChannelState::kDone || channel_->error().has_value(); }

    const crypto::Certificate& certificate() const { return channel_->peer(); }  // of the gateway

    messages::Hello hello;
    std::vector<MessageType> types;
    std::string error, error_detail;  // of the last Error
    std::optional<messages::ManifestPage> page;
    std::optional<messages::ManifestEnd> end;
    std::optional<messages::TransferRoot> root;
    size_t flows_opened = 0;  // by the gateway

   private:
    std::unique_ptr<ControlChannel> channel_;
    struct Said { uint16_t type; uint8_t flags; std::string body; };
    std::deque<Said> queue_;
  };

  GatewayTest() : GatewayTest(engine::kPeerEntriesMax) {}
  explicit GatewayTest(size_t peer_entries_max) {
    GatewayConfig config;
    config.engine.peer_entries_max = peer_entries_max;
    const auto key = crypto::make_signed(test::gateway_spec(test::kWisconsin), sites_.authority).value();
    config.tls = test::write_files(sites_.folder, "serving", sites_.authority.certificate, key);
    rules_.tls = config.tls;
    config.engine.memory = 512_MiB;
    config.roots = {{"data", root_.path().string()}, {"archive", root_.path().string()}};
    config.grants = rules_.grants = grants_for("*");
    config.listen = Endpoint::parse("127.0.0.1:0").value();
    config.data_addresses = {Endpoint::parse("127.0.0.1:0").value()};
    config.on_notice = [this](const std::string& site, const messages::PhaseNotice& notice) { notices_.emplace_back(site, notice.training); };
    config.audit = [this](AuditEvent event) {
      auto until_told = event.take_kept();
      if (until_told != nullptr && is_audit_slow_) unaudited_.push_back(std::move(until_told));
    };
    gateway_ = Gateway::start(std::move(config)).value();
  }
  static GrantTable grants_for(const std::string& site, const GrantLimits& limits = {}) {
    return GrantTable({{crypto::IdentityPattern::parse("spiffe://example.org/site/" + site + "/gw/*").value(), "data", {},
                        {GrantOp::kRead, GrantOp::kList, GrantOp::kWrite}, limits, "test"}});
  }
  void grant(const GrantLimits& limits) {
    rules_.grants = grants_for("*", limits);
    EXPECT_TRUE(gateway_->reload(rules_).ok());
  }
  std::unique_ptr<Peer> dial() { return std::make_unique<Peer>(sites_.atlanta, *gateway_->control_endpoint()); }

  template <typename Done>
  bool run_until(const std::vector<Peer*>& peers, const Done& done) {
    for (int i = 0; i < kCopyTurnsMax; ++i) {
      if (done()) return true;
      for (Peer* peer : peers) peer->turn();
      gateway_->turn(std::chrono::milliseconds(1));
    }
    return done();
  }
  bool is_greeted(Peer& peer) {
    return run_until({&peer}, [&] { return peer.heard(MessageType::kLanes) || peer.is_over(); }) && peer.heard(MessageType::kLanes);
  }
  std::unique_ptr<Peer> dial_greeted() {
    auto peer = dial();
    peer->greet();
    EXPECT_TRUE(is_greeted(*peer));
    return peer;
  }
  // Somebody else gets what he came for. He has a name of his own, so limits of one peer do not touch him.
  void expect_serves_others() {
    const auto other = sites_.context("spiffe://example.org/site/denver/gw/gw1");
    Peer peer(other, *gateway_->control_endpoint());
    peer.greet();
    ASSERT_TRUE(is_greeted(peer));
    messages::OpenTransfer list = request(messages::Direction::kList);
    peer.say(list);
    EXPECT_TRUE(run_until({&peer}, [&] { return peer.heard(MessageType::kManifestEnd); }));
  }
  static messages::OpenTransfer request(messages::Direction direction) {
    messages::OpenTransfer request;
    crypto::random_bytes(request.transfer);
    request.direction = direction;
    request.root = "data";
    request.transfer_class = "best-effort";
    return request;
  }
  messages::OpenTransfer ask_for_push(Peer& peer) {
    messages::OpenTransfer push = request(messages::Direction::kPush);
    push.name = ObjectName::from_text("new").value();
    peer.say(push);
    return push;
  }

  // A session of atlanta, with a pull that waits for the peer; the peer then is told by a reload that it goes no further.
  std::unique_ptr<Peer> dial_and_pull() {
    root_.write("file", "content");
    auto peer = dial_greeted();
    messages::OpenTransfer pull = request(messages::Direction::kPull);
    pull.sink = messages::SinkStart{SlotId(5), 0};
    peer->say(pull);
    EXPECT_TRUE(run_until({peer.get()}, [&] { return peer->heard(MessageType::kTransferAccepted); }));
    EXPECT_EQ(gateway_->transfers(), 1U);
    return peer;
  }
  void expect_sent_away(Peer& peer) {
    EXPECT_EQ(gateway_->transfers(), 0U) << "at once, before the peer has read a word of it";
    EXPECT_TRUE(run_until({&peer}, [&] { return !peer.error.empty(); }));
    EXPECT_EQ(peer.error, "denied");
    expect_serves_others();
  }

  TempRoot root_;
  test::TwoSites sites_;
  GatewayRules rules_;
  std::vector<std::pair<std::string, uint64_t>> notices_;
  bool is_audit_slow_ = false;
  std::vector<std::shared_ptr<const void>> unaudited_;  // then: of events that somebody waits for
  std::unique_ptr<Gateway> gateway_;
};

}  // namespace tideway::session
