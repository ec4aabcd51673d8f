// SPDX-License-Identifier: Apache-2.0
//
// Two channels, or a channel and a bare socket, over TCP on the loopback. Time is virtual: poll() only waits for the
// kernel to move bytes, and never as long as its bound.
#include "session/control_channel.h"

#include "base/cursor.h"
#include "packet_io/tls_stream.h"
#include "session/listener.h"
#include "support/test_certificates.h"

#include <gtest/gtest.h>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace tideway::session {
namespace {

using namespace std::chrono_literals;
using crypto::IdentityPattern;
using test::kAtlanta;
using test::kWisconsin;

constexpr int kTurnsMax = 2'000;
constexpr BodyCap kCaps[] = {{3, 16}, {kManifestPageType, 64 * 1024}};

std::vector<std::byte> body_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}
std::string text_of(const Frame& frame) {
  return {reinterpret_cast<const char*>(frame.body.data()), frame.body.size()};
}

class ControlChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Listener::open(Endpoint::parse("127.0.0.1:0").value());
    ASSERT_TRUE(opened.ok()) << opened.error().what;
    listener_ = std::make_unique<Listener>(std::move(opened).value());
    remote_ = listener_->local_endpoint();
  }

  void dial(const crypto::TlsContext& context, const std::string& expected = kWisconsin) {
    DialOrder order{remote_, {}, IdentityPattern::parse(expected).value(), now_ + 2s};
    auto dialled = ControlChannel::dial(now_, order, context, kCaps);
    ASSERT_TRUE(dialled.ok()) << dialled.error().what;
    a_ = std::move(dialled).value();
  }
  void take(const crypto::TlsContext& context) {
    std::optional<Accepted> accepted;
    pollfd waiting{listener_->fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, 5'000), 1);
    accepted = listener_->accept(now_);
    ASSERT_TRUE(accepted.has_value());
    b_ = ControlChannel::accept(now_, *std::move(accepted), context, kCaps);
  }

  // Turns the loop for both channels until `done`; false when that never comes.
  bool run_until(const std::function<bool()>& done) {
    for (int turn = 0; turn < kTurnsMax; ++turn) {
      if (done()) return true;
      pollfd fds[2];
      nfds_t count = 0;
      for (ControlChannel* channel : {a_.get(), b_.get()})
        if (channel != nullptr && channel->fd() >= 0) fds[count++] = {channel->fd(), channel->wanted_events(), 0};
      if (count == 0) return done();
      ::poll(fds, count, 2);
      for (nfds_t i = 0; i < count; ++i) {
        ControlChannel* const channel = a_ != nullptr && fds[i].fd == a_->fd() ? a_.get() : b_.get();
        if (fds[i].revents != 0) channel->on_ready(now_, fds[i].revents);
      }
    }
    return done();
  }
  void expect_frame(ControlChannel& channel, uint16_t type, std::string_view text) {
    std::optional<Frame> frame;
    ASSERT_TRUE(run_until([&] { return (frame = channel.receive()).has_value(); }));
    EXPECT_EQ(frame->type, type);
    EXPECT_EQ(text_of(*frame), text);
  }
  // Both up, and past their Hellos.
  void meet() {
    ASSERT_NO_FATAL_FAILURE(dial(sites_.atlanta));
    ASSERT_NO_FATAL_FAILURE(take(sites_.wisconsin));
    ASSERT_TRUE(a_->send(kHelloType, kCriticalFlag, body_of("hello from a")));
    ASSERT_TRUE(b_->send(kHelloType, kCriticalFlag, body_of("hello from b")));
    expect_frame(*a_, kHelloType, "hello from b");
    expect_frame(*b_, kHelloType, "hello from a");
    a_->authorise();
    b_->authorise();
  }

  Time now_ = Time(100s);
  test::TwoSites sites_;
  std::unique_ptr<Listener> listener_;
  Endpoint remote_;
  std::unique_ptr<ControlChannel> a_, b_;  // a dials, b accepts
};

TEST_F(ControlChannelTest, CarriesMessagesBothWaysAndKnowsBothEnds) {
  meet();
  EXPECT_EQ(to_string(a_->peer().identity), kWisconsin);
  EXPECT_EQ(to_string(b_->peer().identity), kAtlanta);
  EXPECT_EQ(a_->remote_endpoint(), b_->local_endpoint());
  EXPECT_EQ(a_->local_endpoint(), b_->remote_endpoint());
  EXPECT_TRUE(a_->send(3, 0, body_of("ping")));
  EXPECT_TRUE(b_->send(4, 0, {}));
  expect_frame(*b_, 3, "ping");
  expect_frame(*a_, 4, "");
  ASSERT_TRUE(a_->tcp_rtt().has_value());
  EXPECT_LT(*a_->tcp_rtt(), 1s);
  std::array<std::byte, 48> at_a{}, at_b{};
  a_->export_key("label", {}, at_a);
  b_->export_key("label", {}, at_b);
  EXPECT_EQ(at_a, at_b);
}

TEST_F(ControlChannelTest, AConnectionForDataIsHandedOverWithWhatItIsFor) {
  DialOrder order{remote_, {}, IdentityPattern::parse(kWisconsin).value(), now_ + 2s};
  order.data = DataPreface{.session = {std::byte{7}, std::byte{9}}, .flow = FlowId(258)};
  auto dialled = ControlChannel::dial(now_, order, sites_.atlanta, kCaps);
  ASSERT_TRUE(dialled.ok()) << dialled.error().what;
  a_ = std::move(dialled).value();
  ASSERT_NO_FATAL_FAILURE(take(sites_.wisconsin));
  ASSERT_TRUE(run_until([&] { return a_->state() == ChannelState::kData && b_->state() == ChannelState::kData; }));
  EXPECT_EQ(to_string(b_->peer().identity), kAtlanta);
  EXPECT_EQ(b_->data_preface().session, order.data->session);
  EXPECT_EQ(b_->data_preface().flow, FlowId(258));
  const auto stream_of = [](ControlChannel& channel) {
    DataConnection connection = channel.release();
    return packet_io::TlsStream(connection.socket.release(), std::move(connection.tls));
  };
  packet_io::TlsStream a = stream_of(*a_), b = stream_of(*b_);
  EXPECT_EQ(a_->state(), ChannelState::kDone);
  // More than the endpoints and sockets hold on their way.
  std::vector<std::byte> sent(1 << 20), received(sent.size());
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 31 >> 4);
  size_t out = 0, in = 0;
  for (int turn = 0; turn < kTurnsMax && in < sent.size(); ++turn) {
    out += a.write(std::span(sent).subspan(out));
    a.flush();
    in += b.read(std::span(received).subspan(in));
  }
  EXPECT_TRUE(received == sent);
}

TEST_F(ControlChannelTest, LargestMessageArrivesWhole) {
  meet();
  std::vector<std::byte> body(kBodyMax);
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<std::byte>(i * 31 >> 3);
  ASSERT_TRUE(a_->send(20, 2, body));
  std::optional<Frame> frame;
  ASSERT_TRUE(run_until([&] { return (frame = b_->receive()).has_value(); }));
  EXPECT_EQ(frame->flags, 2);
  EXPECT_TRUE(frame->body == body);
}

TEST_F(ControlChannelTest, SmallMessagesOvertakeWaitingPages) {
  meet();
  const std::vector<std::byte> page(60 * 1024, std::byte{7});
  int pages = 0;
  while (a_->send(kManifestPageType, 0, page)) ++pages;
  EXPECT_EQ(pages, 5) << "four fill the queue, and the fifth may reach over";
  EXPECT_FALSE(a_->wants_more(kManifestPageType) && a_->send(kManifestPageType, 0, page));
  ASSERT_TRUE(a_->send(25, 0, body_of("durable")));
  expect_frame(*b_, 25, "durable");
  for (int i = 0; i < pages; ++i) {
    std::optional<Frame> frame;
    ASSERT_TRUE(run_until([&] { return (frame = b_->receive()).has_value(); }));
    EXPECT_EQ(frame->type, kManifestPageType);
    EXPECT_EQ(frame->body, page);
  }
}

TEST_F(ControlChannelTest, ReceiverThatDoesNotTakeItsMessagesHoldsTheSender) {
  meet();
  const std::vector<std::byte> body(kBodyMax);
  size_t sent = 0;
  int turns = 0;
  ASSERT_TRUE(run_until([&] {
    while (sent < 64 && a_->send(20, 0, body)) ++sent;
    return sent >= 64 || ++turns == 300;
  }));
  EXPECT_LT(sent, 64U);  // the rest waits in bounded queues and in the kernel
  size_t received = 0;
  ASSERT_TRUE(run_until([&] {
    while (b_->receive()) ++received;
    while (sent < 64 && a_->send(20, 0, body)) ++sent;
    return received == 64;
  }));
}

TEST_F(ControlChannelTest, NothingFollowsHelloUntilThePeerIsAuthorised) {
  dial(sites_.atlanta);
  take(sites_.wisconsin);
  ASSERT_TRUE(a_->send(kHelloType, 0, body_of("hello")));
  ASSERT_TRUE(a_->send(2, 0, body_of("lanes")));
  expect_frame(*b_, kHelloType, "hello");
  EXPECT_EQ(listener_->waiting(), 1U);
  // Whatever else arrives stays where it is.
  for (int turn = 0; turn < 20; ++turn) {
    pollfd fd{b_->fd(), b_->wanted_events(), 0};
    ::poll(&fd, 1, 1);
    if (fd.revents != 0) b_->on_ready(now_, fd.revents);
    ASSERT_FALSE(b_->receive().has_value());
  }
  b_->authorise();
  EXPECT_EQ(listener_->waiting(), 0U);
  expect_frame(*b_, 2, "lanes");
}

TEST_F(ControlChannelTest, StrangerMustBeginWithHello) {
  dial(sites_.atlanta);
  take(sites_.wisconsin);
  ASSERT_TRUE(a_->send(16, 0, body_of("open")));
  ASSERT_TRUE(run_until([&] { return b_->error().has_value(); }));
  EXPECT_EQ(b_->error()->fault, Fault::kProtocolError);
  EXPECT_FALSE(b_->receive().has_value());
  ASSERT_TRUE(run_until([&] { return a_->error().has_value(); }));
  EXPECT_EQ(a_->error()->fault, Fault::kPeerLost);
}

TEST_F(ControlChannelTest, StrangersHelloIsBounded) {
  dial(sites_.atlanta);
  take(sites_.wisconsin);
  ASSERT_TRUE(a_->send(kHelloType, 0, std::vector<std::byte>(kHelloBodyMax + 1)));
  ASSERT_TRUE(run_until([&] { return b_->error().has_value(); }));
  EXPECT_EQ(b_->error()->fault, Fault::kProtocolError);
}

TEST_F(ControlChannelTest, LengthIsCheckedAgainstTheCapOfItsType) {
  meet();
  ASSERT_TRUE(a_->send(3, 0, std::vector<std::byte>(17)));
  ASSERT_TRUE(run_until([&] { return b_->error().has_value(); }));
  EXPECT_EQ(b_->error()->fault, Fault::kProtocolError);
  EXPECT_NE(b_->error()->what.find("type 3 announces 17 bytes; 16 are allowed"), std::string::npos)
      << b_->error()->what;
}

TEST_F(ControlChannelTest, WhatIsQueuedArrivesBeforeTheClose) {
  meet();
  const std::vector<std::byte> body(kBodyMax);
  ASSERT_TRUE(a_->send(26, 0, body));
  ASSERT_TRUE(a_->send(5, 0, body_of("goodbye")));
  a_->close(now_);
  EXPECT_FALSE(a_->send(3, 0, {}));
  std::vector<uint16_t> types;
  ASSERT_TRUE(run_until([&] {
    while (auto frame = b_->receive()) types.push_back(frame->type);
    return b_->error().has_value();
  }));
  EXPECT_EQ(types, (std::vector<uint16_t>{26, 5}));
  EXPECT_EQ(b_->error()->fault, Fault::kPeerLost);
  EXPECT_NE(b_->error()->what.find("closed the session"), std::string::npos);
  ASSERT_TRUE(run_until([&] { return a_->state() == ChannelState::kDone && b_->state() == ChannelState::kDone; }));
  EXPECT_FALSE(a_->error().has_value());
  EXPECT_EQ(a_->fd(), -1);
}

TEST_F(ControlChannelTest, DrainEndsAtItsDeadlineWhenThePeerDoesNotClose) {
  meet();
  a_->close(now_);
  EXPECT_EQ(a_->next_deadline(), now_ + kDrainTime);
  a_->on_ready(now_ + kDrainTime, 0);
  EXPECT_EQ(a_->state(), ChannelState::kDone);
}

TEST_F(ControlChannelTest, VanishedPeerIsLost) {
  meet();
  b_.reset();
  ASSERT_TRUE(run_until([&] { return a_->error().has_value(); }));
  EXPECT_EQ(a_->error()->fault, Fault::kPeerLost);
}

TEST_F(ControlChannelTest, RefusalOfOurCertificateIsToldAsSuchOnBothSides) {
  dial(sites_.atlanta);
  crypto::TlsConfig narrow = test::write_files(
      sites_.folder, "narrow", sites_.authority.certificate,
      crypto::make_signed(test::gateway_spec(kWisconsin), sites_.authority).value());
  narrow.allow = {"spiffe://example.org/site/oregon/gw/*"};
  take(crypto::TlsContext::create(narrow, test::wall_now()).value());
  // Unread data at the refusing side must not turn the alert into a reset.
  ASSERT_TRUE(a_->send(kHelloType, 0, std::vector<std::byte>(8000)));
  ASSERT_TRUE(a_->send(16, 0, std::vector<std::byte>(kBodyMax)));
  ASSERT_TRUE(run_until([&] { return a_->error() && b_->error(); }));
  EXPECT_EQ(a_->error()->fault, Fault::kAuthFailed) << a_->error()->what;
  EXPECT_NE(a_->error()->what.find("refused our certificate"), std::string::npos) << a_->error()->what;
  EXPECT_EQ(b_->error()->fault, Fault::kAuthFailed);
  EXPECT_NE(b_->error()->what.find("cert_identity"), std::string::npos) << b_->error()->what;
  EXPECT_EQ(listener_->waiting(), 1U);  // still a stranger's connection, until it is drained
  ASSERT_TRUE(run_until([&] { return b_->state() == ChannelState::kDone; }));
  EXPECT_EQ(listener_->waiting(), 0U);
}

TEST_F(ControlChannelTest, WrongGatewayIsRefusedByTheDiallingSide) {
  dial(sites_.atlanta, "spiffe://example.org/site/oregon/gw/gw1");
  take(sites_.wisconsin);
  ASSERT_TRUE(run_until([&] { return a_->error() && b_->error(); }));
  EXPECT_EQ(a_->error()->fault, Fault::kAuthFailed);
  EXPECT_NE(a_->error()->what.find(to_string(remote_) + ": cert_identity"), std::string::npos) << a_->error()->what;
  EXPECT_EQ(b_->error()->fault, Fault::kAuthFailed);
}

TEST_F(ControlChannelTest, NobodyListeningIsUnreachable) {
  listener_.reset();
  dial(sites_.atlanta);
  ASSERT_TRUE(run_until([&] { return a_->error().has_value(); }));
  EXPECT_EQ(a_->error()->fault, Fault::kPeerUnreachable);
  EXPECT_NE(a_->error()->what.find("Connection refused"), std::string::npos) << a_->error()->what;
}

TEST_F(ControlChannelTest, ConnectAndHelloHaveDeadlines) {
  dial(sites_.atlanta);
  EXPECT_EQ(a_->next_deadline(), now_ + 2s);
  take(sites_.wisconsin);
  EXPECT_EQ(b_->next_deadline(), now_ + kAuthorisationTime);
  ASSERT_TRUE(run_until([&] { return a_->state() == ChannelState::kUp && b_->state() == ChannelState::kUp; }));
  EXPECT_EQ(a_->next_deadline(), now_ + kAuthorisationTime);
  b_->on_ready(now_ + kAuthorisationTime - 1ns, 0);
  EXPECT_FALSE(b_->error().has_value());
  b_->on_ready(now_ + kAuthorisationTime, 0);
  ASSERT_TRUE(b_->error().has_value());
  EXPECT_EQ(b_->state(), ChannelState::kDone);
  EXPECT_EQ(listener_->waiting(), 0U);
}

// Whoever sends a byte now and then, of a handshake that never ends. What follows it, Hello, has the same deadline.
TEST_F(ControlChannelTest, N19BytesThatTrickleGiveNoMoreTime) {
  auto connected = begin_connect(remote_, {});
  ASSERT_TRUE(connected.ok());
  const Socket stranger = std::move(connected).value();
  take(sites_.wisconsin);
  const Time end = now_ + kAuthorisationTime;
  constexpr std::string_view kOfALongRecord("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc", 9);
  for (const char& byte : kOfALongRecord) {
    now_ = now_ + 1s;
    ASSERT_EQ(::send(stranger.get(), &byte, 1, MSG_NOSIGNAL), 1);
    pollfd heard{b_->fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&heard, 1, 5'000), 1);
    b_->on_ready(now_, heard.revents);
    ASSERT_FALSE(b_->error().has_value()) << b_->error()->what;
    EXPECT_EQ(b_->next_deadline(), end);
  }
  b_->on_ready(end, 0);
  ASSERT_TRUE(b_->error().has_value());
  EXPECT_EQ(b_->state(), ChannelState::kDone);
}

TEST_F(ControlChannelTest, AuthorisedPeerHasNoDeadline) {
  meet();
  EXPECT_EQ(a_->next_deadline(), kNever);
  EXPECT_EQ(b_->next_deadline(), kNever);
}

// A client that is not ours: writes some bytes and looks at what comes back.
TEST_F(ControlChannelTest, StrangerThatSpeaksNoTlsGetsAnAlertAndTheEnd) {
  auto connected = begin_connect(remote_, {});
  ASSERT_TRUE(connected.ok());
  const Socket stranger = std::move(connected).value();
  take(sites_.wisconsin);
  const std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_EQ(::send(stranger.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  ASSERT_TRUE(run_until([&] { return b_->error().has_value(); }));
  EXPECT_EQ(b_->error()->fault, Fault::kProtocolError);
  ASSERT_EQ(::shutdown(stranger.get(), SHUT_WR), 0);
  ASSERT_TRUE(run_until([&] { return b_->state() == ChannelState::kDone; }));
  char answer[64];
  const ssize_t size = ::recv(stranger.get(), answer, sizeof answer, 0);
  EXPECT_LE(size, 7);  // one alert
  EXPECT_GE(size, 0);
}

TEST_F(ControlChannelTest, ConnectionThatEndsDuringTheHandshakeSaysSo) {
  dial(sites_.atlanta);
  pollfd waiting{listener_->fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&waiting, 1, 5'000), 1);
  ASSERT_TRUE(listener_->accept(now_).has_value());  // and dropped at once
  ASSERT_TRUE(run_until([&] { return a_->error().has_value(); }));
  EXPECT_EQ(a_->error()->fault, Fault::kPeerUnreachable) << a_->error()->what;
}

// ---- the listener --------------------------------------------------------------------------------------------------

TEST(Listener, ShutsConnectionsBeyondTheLimitAndLetsTheNextInWhenOneEnds) {
  auto opened = Listener::open(Endpoint::parse("127.0.0.1:0").value(), {.total_max = 8, .per_source_max = 2});
  ASSERT_TRUE(opened.ok());
  Listener listener = std::move(opened).value();
  const Time now(1s);
  std::vector<Socket> clients;
  std::vector<Accepted> held;
  const auto knock = [&] {
    clients.push_back(begin_connect(listener.local_endpoint(), {}).value());
    pollfd waiting{listener.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, 5'000), 1);
    if (auto accepted = listener.accept(now)) held.push_back(*std::move(accepted));
  };
  for (int i = 0; i < 3; ++i) knock();
  EXPECT_EQ(held.size(), 2U);
  const auto refusals = listener.take_refusals();
  ASSERT_EQ(refusals.size(), 1U);
  EXPECT_EQ(refusals[0].second.fault, Fault::kOverloaded);
  EXPECT_TRUE(listener.take_refusals().empty());
  pollfd refused{clients.back().get(), POLLIN, 0};
  ASSERT_EQ(::poll(&refused, 1, 5'000), 1);
  char byte;
  EXPECT_LE(::recv(clients.back().get(), &byte, 1, 0), 0);
  held.pop_back();
  knock();
  EXPECT_EQ(held.size(), 2U);
  EXPECT_EQ(listener.waiting(), 2U);
}

TEST(Listener, PortInUseIsAMistakeInTheConfigurationAndNamesIt) {
  auto first = Listener::open(Endpoint::parse("127.0.0.1:0").value());
  ASSERT_TRUE(first.ok());
  const Endpoint taken = first.value().local_endpoint();
  const auto second = Listener::open(taken);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(second.error().what.find(to_string(taken)), std::string::npos);
  EXPECT_NE(second.error().next, "");
}

TEST(Listener, AddressThatIsNotOursIsRefused) {
  const auto listener = Listener::open(Endpoint::parse("192.0.2.1:7400").value());
  ASSERT_FALSE(listener.ok());
  EXPECT_EQ(listener.error().fault, Fault::kConfigInvalid);
}

TEST(Listener, WorksOverIpv6) {
  auto opened = Listener::open(Endpoint::parse("[::1]:0").value());
  if (!opened.ok()) GTEST_SKIP() << "no IPv6 here";
  Listener listener = std::move(opened).value();
  const Socket client = begin_connect(listener.local_endpoint(), {}).value();
  pollfd waiting{listener.fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&waiting, 1, 5'000), 1);
  const auto accepted = listener.accept(Time(1s));
  ASSERT_TRUE(accepted.has_value());
  EXPECT_EQ(accepted->remote, local_endpoint_of(client));
}

}  // namespace
}  // namespace tideway::session
