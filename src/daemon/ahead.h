// SPDX-License-Identifier: Apache-2.0
//
// Sends ahead what of a growing checkpoint is final, in a transfer beside its job's that never ends (transfer/ahead_name.h). It makes
// room for trainings as jobs of its class do, on their session, keeps to what they leave of the limits, and rests while its job is
// paused. When the peer is lost it begins anew after a while, and the
// sink has what came before. It is help and no duty: what it does not bring the job sends.
// Thread: control.
#pragma once
#include "daemon/job_runner.h"
#include "engine/commands.h"

#include <list>
#include <memory>
#include <string>
#include <vector>

namespace tideway::daemon {

class Ahead {
 public:
  static constexpr Duration kRetry = std::chrono::seconds(5);
  static constexpr Duration kRetryFull = std::chrono::minutes(1);  // the destination has no room for it and the whole

  struct Parts {
    const session::Roots& roots;
    PeerSessions& peers;
    JobTable& table;
    JobRunner& runner;
  };
  explicit Ahead(const Parts& parts) : parts_(parts) {}
  void begin(const job::Job& job);
  void on_grown(const std::string& pin, const std::vector<engine::GrownPart>& parts);
  void end(const std::string& pin, Time now);  // of all jobs of that checkpoint; none is fine
  void turn(Time now, job::WallTime wall);
  void stop(Time now);  // nothing ends by itself
  Time next_deadline() const;

 private:
  struct Stream {
    job::JobId job;
    std::string pin;
    std::vector<engine::GrownPart> grown = {};  // all of them, so that the list is the same when it begins anew
    size_t told = 0;                            // of them, to this transfer
    session::Session* session = nullptr;
    std::shared_ptr<session::Transfer> transfer = {};
    Rate rate = Rate::unlimited();
    Time retry_at{};
  };
  Status start(Stream& stream, Time now);
  void leave(Stream& stream, Time now);

  Parts parts_;
  std::list<Stream> streams_;
};

}  // namespace tideway::daemon
