// SPDX-License-Identifier: Apache-2.0
//
// The TLS connections that carry packets of a gateway's sessions where UDP is blocked (docs/protocol.md), until they are up: those
// that sessions want are dialled, one per flow; those that peers dialled come to the listener like any other and are told
// apart by ALPN. Then each goes to its session, and by way of it to a net worker.
// Thread: control.
#pragma once
#include "session/session.h"

#include <poll.h>

#include <memory>
#include <span>
#include <vector>

namespace tideway::session {

class DataConnections {
 public:
  explicit DataConnections(std::span<const BodyCap> caps) : caps_(caps) {}

  // Begins what the session wants.
  void dial(Time now, Session& session, const crypto::TlsContext& tls);
  void drop(const Session& session);  // it is over

  // For poll(): what to wait for, and then the same in the same order.
  void add_to(std::vector<pollfd>& fds, Time& until) const;
  void on_ready(Time now, std::span<const pollfd> fds);

  // One that a peer dialled is up: to the session it names, if that is of the same peer. False: there is none.
  static bool deliver(ControlChannel& channel, std::span<const std::unique_ptr<Session>> sessions);

 private:
  struct Dial {
    Session* session;
    std::unique_ptr<ControlChannel> channel;
  };
  const std::span<const BodyCap> caps_;
  std::vector<Dial> dials_;
};

}  // namespace tideway::session
