// SPDX-License-Identifier: Apache-2.0
#include "session/data_connections.h"

#include "packet_io/tls_stream.h"

#include <algorithm>

namespace tideway::session {
namespace {


void hand_over(ControlChannel& channel, Session& session) {
  const FlowId flow = channel.data_preface().flow;
  DataConnection connection = channel.release();
  session.attach(flow, std::make_unique<packet_io::TlsStream>(connection.socket.release(), std::move(connection.tls)));
}

}  // namespace

void DataConnections::dial(Time now, Session& session, const crypto::TlsContext& tls) {
  for (const DataPreface& preface : session.take_wanted_connections()) {
    Endpoint local = session.channel().local_endpoint();
    local.port = 0;
    const DialOrder order{.remote = session.channel().remote_endpoint(), .local = local,
                          .expected = crypto::IdentityPattern::exactly(session.channel().peer().identity),
                          .connect_deadline = now + kConnectTime, .data = preface};
    auto channel = ControlChannel::dial(now, order, tls, caps_);
    if (!channel.ok()) return session.on_connection_failed(channel.error());
    dials_.push_back({&session, std::move(channel).value()});
  }
}

void DataConnections::drop(const Session& session) {
  std::erase_if(dials_, [&](const Dial& dial) { return dial.session == &session; });
}

void DataConnections::add_to(std::vector<pollfd>& fds, Time& until) const {
  for (const Dial& dial : dials_) {
    fds.push_back({dial.channel->fd(), dial.channel->wanted_events(), 0});
    until = std::min(until, dial.channel->next_deadline());
  }
}

void DataConnections::on_ready(Time now, std::span<const pollfd> fds) {
  for (size_t i = 0; i < dials_.size(); ++i) {
    ControlChannel& channel = *dials_[i].channel;
    if (fds[i].revents != 0 || now >= channel.next_deadline()) channel.on_ready(now, fds[i].revents);
    if (channel.state() == ChannelState::kData) hand_over(channel, *dials_[i].session);
    else if (channel.error()) dials_[i].session->on_connection_failed(*channel.error());
  }
  std::erase_if(dials_, [](const Dial& dial) {
    return dial.channel->state() == ChannelState::kDone || dial.channel->error();
  });
}

bool DataConnections::deliver(ControlChannel& channel, std::span<const std::unique_ptr<Session>> sessions) {
  const DataPreface preface = channel.data_preface();
  const auto found = std::ranges::find_if(sessions, [&](const auto& session) {
    return session->expects(preface) && session->channel().peer().identity == channel.peer().identity;
  });
  if (found == sessions.end()) return false;
  hand_over(channel, **found);
  return true;
}

}  // namespace tideway::session
