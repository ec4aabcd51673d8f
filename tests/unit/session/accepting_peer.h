// SPDX-License-Identifier: Apache-2.0
//
// The accepting side of one session, with a right certificate: it greets and opens a lane as every gateway does, and what else it says is up
// to the test.
#pragma once
#include "session/hello.h"
#include "session/listener.h"
#include "session/session.h"

#include <poll.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tideway::session {

class AcceptingPeer {
 public:
  using OnFrame = std::function<void(AcceptingPeer& self, const Frame& frame)>;
  AcceptingPeer(const crypto::TlsContext& tls, OnFrame on_frame)
      : tls_(tls), on_frame_(std::move(on_frame)), listener_(Listener::open(Endpoint::parse("127.0.0.1:0").value()).value()) {}

  Endpoint endpoint() const { return listener_.local_endpoint(); }
  // To whom the turn is at.
  template <typename Message>
  void say(const Message& message) {
    links_[at_].to_say.emplace_back(static_cast<uint16_t>(messages::type_of(message)), messages::serialize(message));
  }
  void turn() {
    if (auto accepted = listener_.accept(kNow)) links_.push_back({ControlChannel::accept(kNow, *std::move(accepted), tls_, kCaps)});
    for (at_ = 0; at_ < links_.size(); ++at_) look(links_[at_]);
  }

 private:
  static constexpr BodyCap kCaps[] = {{kManifestPageType, kBodyMax}};
  static constexpr Time kNow = Time(std::chrono::seconds(100));
  struct Link {
    std::unique_ptr<ControlChannel> channel;
    bool has_greeted = false;
    std::deque<std::pair<uint16_t, std::string>> to_say = {};
  };

  void look(Link& link) {
    ControlChannel& channel = *link.channel;
    pollfd fd{channel.fd(), channel.wanted_events(), 0};
    if (fd.fd >= 0) ::poll(&fd, 1, 0);
    channel.on_ready(kNow, fd.revents);
    if (channel.state() == ChannelState::kUp && !std::exchange(link.has_greeted, true)) say(make_hello({}, {.buffers_receiving = 8}));
    while (const auto frame = channel.receive()) {
      if (frame->type == kHelloType) channel.authorise();
      if (frame->type == static_cast<uint16_t>(messages::MessageType::kLanes)) answer(messages::parse_lanes(frame->body).value());
      on_frame_(*this, *frame);
    }
    const auto& next = link.to_say;
    while (!next.empty() && channel.send(next.front().first, 0, std::as_bytes(std::span(next.front().second)))) link.to_say.pop_front();
  }
  // Packets to it go nowhere.
  void answer(messages::Lanes offered) {
    for (messages::LaneOffer& lane : offered.lanes)
      for (messages::FlowOffer& flow : lane.flows) flow.address = {{}, 9};
    say(offered);
  }

  const crypto::TlsContext& tls_;
  const OnFrame on_frame_;
  Listener listener_;
  std::vector<Link> links_;
  size_t at_ = 0;
};

}  // namespace tideway::session
