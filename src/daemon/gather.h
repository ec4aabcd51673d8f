// SPDX-License-Identifier: Apache-2.0
//
// Brings a checkpoint from several replicas at once into the staging of the job that restores it, before the job's own pull
// (engine/gather_path.h). It keeps transfers from each source open, a batch in each, until nothing is left, or until one source at most is:
// then the pull, which finds what is there, brings the rest and publishes. It is help and no duty: whatever goes wrong here, the job goes on.
// Thread: control.
#pragma once
#include "api/job_view.h"
#include "daemon/job_request.h"
#include "job/job.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tideway::daemon {

class Gather {
 public:
  static constexpr size_t kTransfersOfEach = 2;     // one is being brought while the other is opened
  static constexpr Bytes kBytesMin = 64_MiB;        // of what is gathered; less takes no longer than it takes to begin

  struct Parts {
    session::Gateway& gateway;
    PeerSessions& peers;
  };
  // Where a job's checkpoint is to be had at several peers, the best first. Nothing: it comes from one source, because there is but one, it
  // is small, or it is asked for in a way that has to do with one transfer alone: a part of it, a rate, a check of its own.
  static std::vector<session::RemoteAddress> sources_of(const job::Job& job, const Parts& parts);

  Gather(const Parts& parts, const job::Job& job, std::vector<session::RemoteAddress> sources, session::Manners manners);
  ~Gather();
  Gather(const Gather&) = delete;
  Gather& operator=(const Gather&) = delete;
  void turn(Time now);
  bool is_over() const { return is_over_; }
  void leave(Time now);  // nothing of it is at work behind this
  using LinkIsClosed = std::function<bool(const std::string& peer)>;
  void leave_closed(const LinkIsClosed& is_closed, Time now);  // sources that nothing may come from now

  struct Best { std::string source, peer; };
  // Of those that still work, the one that brought most, if it kept nobody waiting. Nothing: the job keeps to its own order, because none
  // works any more, or because they have different trees, and nobody knows which one is meant.
  std::optional<Best> best() const;
  std::vector<job::SourceShare> shares() const;
  api::Progress progress() const;

 private:
  struct Source {
    session::RemoteAddress at;
    session::Session* session = nullptr;
    std::vector<std::shared_ptr<session::Transfer>> transfers;
    std::optional<Error> trouble;  // it is not asked any more
  };
  void turn(Source& source, Time now);
  bool is_listed() const { return board_->bytes_listed.get() > 0; }
  const Source* first() const;
  Status open(Source& source, Time now);
  void give_up(Source& source, const Error& why, Time now);
  void let_go(Source& source, Time now);
  uint32_t number_of(const Source& source) const { return static_cast<uint32_t>(&source - sources_.data()); }

  Parts parts_;
  job::JobId job_;
  job::Spec spec_;
  TransferId staging_{};
  PeerSessions::Use use_;
  engine::GatherHandle handle_;
  std::shared_ptr<engine::GatherBoard> board_ = std::make_shared<engine::GatherBoard>();
  std::vector<Source> sources_;
  bool is_over_ = false, has_left_ = false;
  bool is_disputed_ = false;  // they have different trees
};

}  // namespace tideway::daemon
