// SPDX-License-Identifier: Apache-2.0
//
// The door of the control channel: accepts TCP connections as long as the limits before authorisation allow, and shuts
// the others at once, before any TLS code sees them.
// Thread: control.
#pragma once
#include "session/admission.h"
#include "session/tcp_socket.h"

#include <tideway/result.h>
#include <tideway/time.h>

#include <optional>
#include <utility>
#include <vector>

namespace tideway::session {

struct Accepted {
  Socket socket;
  Endpoint remote;
  Admission admission;
};

class Listener {
 public:
  // Errors: config_invalid.
  static Result<Listener> open(const Endpoint& local, const AdmissionLimits& limits = {});

  // The next connection that is let in; call until nothing comes.
  std::optional<Accepted> accept(Time now);

  int fd() const { return socket_.get(); }
  // False for a moment after descriptors or memory ran out: the waiting connection would keep the socket readable and
  // the loop busy. Ask again at next_deadline().
  bool wants_events(Time now) const { return now >= paused_until_; }
  Time next_deadline(Time now) const { return wants_events(now) ? kNever : paused_until_; }
  Endpoint local_endpoint() const { return local_endpoint_of(socket_); }
  // Connections that accept() shut, or could not take, since the last call: where from, and why.
  std::vector<std::pair<Endpoint, Error>> take_refusals() { return std::exchange(refusals_, {}); }
  size_t waiting() const { return table_.count(); }          // connections not yet authorised

 private:
  Listener(Socket socket, const AdmissionLimits& limits) : socket_(std::move(socket)), table_(limits) {}

  Socket socket_;
  AdmissionTable table_;
  Time paused_until_{};
  std::vector<std::pair<Endpoint, Error>> refusals_;  // of one turn: kRefusalsPerTurn at most
};

}  // namespace tideway::session
