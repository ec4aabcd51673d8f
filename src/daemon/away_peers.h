// SPDX-License-Identifier: Apache-2.0
//
// Peers that went away while jobs of theirs ran: when to dial each again, and which jobs go on once it is back. Jobs pause longer and
// longer by themselves, so that ten thousand of them do not write their states all the time; a peer is asked every few seconds for all
// of them, so that a link which comes back after an hour carries data within five seconds.
// Thread: control. Pure.
#pragma once
#include "base/random.h"
#include "job/job.h"
#include <tideway/time.h>

#include <map>
#include <string>
#include <vector>

namespace tideway::daemon {

class AwayPeers {
 public:
  // Between the end of an attempt and the next. An attempt itself may take session::kConnectTime, in which TCP asks after 1 and 3 s.
  static constexpr Duration kPauseFirst = std::chrono::milliseconds(500), kPauseMax = std::chrono::seconds(1);

  explicit AwayPeers(uint64_t seed) : random_(seed) {}

  void on_away(const std::string& peer, const job::JobId& job, Time now);  // the job waits for it
  void on_left(const job::JobId& job);                                     // it does not any more
  bool wants_dial(const std::string& peer, Time now) const;
  void on_dial(const std::string& peer);                                   // that has begun, and ends in one of the two below
  void on_dial_failed(const std::string& peer, Time now);
  std::vector<job::JobId> on_back(const std::string& peer);                // those that waited for it

  std::vector<std::string> peers() const;  // that are away
  Time next_deadline() const;
  void tidy();                             // forgets peers that nobody waits for any more

 private:
  struct Away {
    Time dials_at{};
    size_t jobs = 0;  // that wait for it
    Duration pause = kPauseFirst;
  };
  Random random_;
  std::map<std::string, Away> away_;
  std::map<job::JobId, std::string> jobs_;  // and the peer that each waits for
};

}  // namespace tideway::daemon
