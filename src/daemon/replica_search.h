// SPDX-License-Identifier: Apache-2.0
//
// Asks peers which checkpoints of a run they have whole.
// Thread: control.
#pragma once
#include "daemon/peer_sessions.h"
#include "session/address.h"
#include "session/replicas.h"

#include <functional>
#include <list>
#include <memory>
#include <vector>

namespace tideway::daemon {

class ReplicaSearch {
 public:
  static constexpr Duration kAnswerMax = std::chrono::seconds(10);  // of a peer that does not answer
  // What was found, and of peers that could not be asked the last reason.
  struct Result {
    std::vector<session::Replica> replicas;
    std::optional<Error> trouble;
  };
  using Done = std::function<void(Result)>;

  explicit ReplicaSearch(PeerSessions& peers) : peers_(peers) {}
  ~ReplicaSearch();
  // `run` of the peer it names, or of each configured one when that is "any".
  void ask(const session::RemoteAddress& run, Time now, Done done);
  void turn(Time now);
  Time next_deadline() const;

 private:
  struct Question {
    session::Session* session = nullptr;
    std::shared_ptr<session::Transfer> transfer;
    session::ReplicaList list;
    std::optional<Error> cut;  // it lists more than it may
    bool is_through = false;
  };
  struct Search {
    std::list<Question> questions;  // callbacks of transfers point into it
    Result result;
    Time ends_at{};
    Done done;
  };
  void ask_peer(Search& search, const session::RemoteAddress& run, Time now);
  void end(Search& search, Question& question, Time now);

  PeerSessions& peers_;
  std::list<Search> searches_;
};

}  // namespace tideway::daemon
