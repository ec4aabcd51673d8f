// SPDX-License-Identifier: Apache-2.0
//
// Two control channels from the listener to the farewell, in which one socket call after the other fails. Either they say why there is
// no connection, or all arrives; and the one after it is as if nothing had been.
#include "session/control_channel.h"

#include "session/listener.h"
#include "support/sim_sockets.h"
#include "support/test_certificates.h"

#include <gtest/gtest.h>

#include <poll.h>

namespace tideway::session {
namespace {

using namespace std::chrono_literals;
using test::SimSockets;
using test::SocketFault;

constexpr Time kFaultsAt = Time(100s);
constexpr int kFaultTurnsMax = 300;      // more than twice what a good one takes
constexpr uint64_t kCallsMax = 200;
constexpr BodyCap kSmallCaps[] = {{kManifestPageType, 1024}};

class SocketFaults : public testing::Test {
 protected:
  static std::vector<std::byte> hello() { return std::vector<std::byte>(64, std::byte{7}); }
  static bool is_connection_trouble(const Error& why) {
    return why.code() == ErrorCode::kPeerGone || why.code() == ErrorCode::kInvalid || why.code() == ErrorCode::kRetryLater;
  }

  struct Came {
    bool is_whole = false;       // both heard the other's hello, and the last word
    std::optional<Error> error;  // of either side, the first
  };
  Came meet() const {
    Came came;
    const auto trouble = [&](const Error& error) {
      if (!came.error) came.error = error;
      return came;
    };
    auto listener = Listener::open(Endpoint::parse("127.0.0.1:0").value());
    if (!listener.ok()) return trouble(listener.error());
    const DialOrder order{listener.value().local_endpoint(), {}, crypto::IdentityPattern::parse(test::kWisconsin).value(), kFaultsAt + 2s};
    auto dialled = ControlChannel::dial(kFaultsAt, order, sites_.atlanta, kSmallCaps);
    if (!dialled.ok()) return trouble(dialled.error());
    const std::unique_ptr<ControlChannel> a = std::move(dialled).value();
    std::unique_ptr<ControlChannel> b;
    int heard = 0;
    a->send(kHelloType, kCriticalFlag, hello());
    for (int turn = 0; turn < kFaultTurnsMax && heard < 3; ++turn) {
      if (b == nullptr)
        if (auto accepted = listener.value().accept(kFaultsAt)) {
          b = ControlChannel::accept(kFaultsAt, std::move(*accepted), sites_.wisconsin, kSmallCaps);
          b->send(kHelloType, kCriticalFlag, hello());
        }
      for (ControlChannel* channel : {a.get(), b.get()}) {
        if (channel == nullptr) continue;
        pollfd fd{channel->fd(), channel->wanted_events(), 0};
        if (fd.fd >= 0 && ::poll(&fd, 1, turn < 100 ? 0 : 1) > 0) channel->on_ready(kFaultsAt, fd.revents);
        while (auto frame = channel->receive()) {
          if (frame->type == kHelloType) channel->authorise();
          if (frame->type == kHelloType && channel == a.get()) a->send(3, 0, {});
          heard += 1;
        }
        if (channel->error()) return trouble(*channel->error());
      }
    }
    came.is_whole = heard == 3;
    return came;
  }
  // With the fault at call 1, 2, 3... until a run has fewer. Gives how many there were.
  uint64_t fail_everywhere(SocketFault::Kind kind) const {
    for (uint64_t at = 1; at < kCallsMax; ++at) {
      Came came;
      bool was_hit = false;
      {
        const SimSockets sockets({kind, at});
        came = meet();
        was_hit = sockets.was_hit();
      }
      if (!was_hit) {
        EXPECT_TRUE(came.is_whole) << (came.error ? came.error->what : "no end");
        return at - 1;
      }
      const bool may_fail = kind == SocketFault::Kind::kError;
      EXPECT_TRUE(came.is_whole || (may_fail && came.error)) << "call " << at << ": " << (came.error ? came.error->what : "no end");
      EXPECT_TRUE(!came.error || is_connection_trouble(*came.error)) << "call " << at << ": " << (came.error ? came.error->what : "");
      if (HasFailure()) return at;
    }
    ADD_FAILURE() << "no end of calls";
    return 0;
  }

  test::TwoSites sites_;
};

TEST_F(SocketFaults, EachCallThatFailsIsNamedOrBorneAndTheNextConnectionIsWhole) {
  EXPECT_GE(fail_everywhere(SocketFault::Kind::kError), 20U);
  EXPECT_TRUE(meet().is_whole);
}

TEST_F(SocketFaults, InterruptedCallsGoOn) { EXPECT_GE(fail_everywhere(SocketFault::Kind::kInterrupted), 8U); }

TEST_F(SocketFaults, CallsThatAreTooEarlyAreMadeAgain) { EXPECT_GE(fail_everywhere(SocketFault::Kind::kAgain), 8U); }

}  // namespace
}  // namespace tideway::session
