// SPDX-License-Identifier: Apache-2.0
#include "session/listener.h"

#include <cerrno>
#include <cstring>
#include <string>

namespace tideway::session {
namespace {

constexpr int kRefusalsPerTurn = 64;  // a flood of refused connections leaves time for the others of the loop
constexpr Duration kPause = std::chrono::milliseconds(100);

bool is_exhausted(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

}  // namespace

Result<Listener> Listener::open(const Endpoint& local, const AdmissionLimits& limits) {
  auto socket = listen_on(local);
  if (!socket.ok()) return std::move(socket).error();
  return Listener(std::move(socket).value(), limits);
}

std::optional<Accepted> Listener::accept(Time now) {
  if (!wants_events(now)) return std::nullopt;
  for (int turn = 0; turn < kRefusalsPerTurn; ++turn) {
    AcceptedSocket accepted = accept_from(socket_);
    if (is_exhausted(accepted.error)) {
      paused_until_ = now + kPause;
      refusals_.emplace_back(local_endpoint(), Error{Fault::kNoMemory, std::string("no connection can be taken: ") + std::strerror(accepted.error), "raise the limit of open files"});
      return std::nullopt;
    }
    if (accepted.error == EAGAIN) return std::nullopt;
    if (accepted.error != 0) continue;  // that connection died in the queue; the next may be fine
    auto admission = table_.admit(accepted.remote);
    if (!admission) {
      refusals_.emplace_back(accepted.remote, Error{Fault::kOverloaded, "too many connections that are not authorised yet, from there or in all", ""});
      continue;
    }
    tune_control_socket(accepted.socket);
    return Accepted{std::move(accepted.socket), accepted.remote, *std::move(admission)};
  }
  return std::nullopt;
}

}  // namespace tideway::session
