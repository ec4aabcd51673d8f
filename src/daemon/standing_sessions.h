// SPDX-License-Identifier: Apache-2.0
//
// Sessions with the peers that jobs are to go to again and again: dialled before the first of those jobs, held while none runs, dialled
// again when they are lost, and anew when they are too old to take more. What a watch finds crosses at once then, without a handshake.
// Thread: control.
#pragma once
#include "base/random.h"
#include "daemon/peer_sessions.h"

#include <compare>
#include <map>
#include <set>
#include <string>

namespace tideway::daemon {

class StandingSessions {
 public:
  // Between the end of an attempt and the next, doubled each time until packets come through. Of a peer that a job waits for, that job asks more often (away_peers.h).
  static constexpr Duration kPauseFirst = std::chrono::seconds(1), kPauseMax = std::chrono::seconds(60);

  // What the jobs of one kind share with a peer.
  struct Line {
    std::string peer;
    job::Class service = job::Class::kCheckpoint;
    session::Manners manners = session::Manners::kYields;
    auto operator<=>(const Line&) const = default;
  };

  StandingSessions(PeerSessions& peers, uint64_t seed) : peers_(peers), random_(seed) {}
  // `wanted`: all that are to stand from now on.
  void turn(Time now, const std::set<Line>& wanted);
  Time next_deadline() const;

 private:
  struct Held {
    session::Session* session = nullptr;
    Time dials_at{};  // while there is none
    Duration pause = kPauseFirst;
  };
  void look(const Line& line, Held& held, Time now);
  void on_lost(const Line& line, Held& held, Time now);
  void put_off(Held& held, Time now);

  PeerSessions& peers_;
  Random random_;
  std::map<Line, Held> held_;
};

}  // namespace tideway::daemon
