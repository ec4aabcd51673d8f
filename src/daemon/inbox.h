// SPDX-License-Identifier: Apache-2.0
//
// Requests as files in ROOT/.tideway/inbox, for trainers that share a file system with the gateway and not its socket, and for the time
// when it is down: <submission_id>.json is the body of POST /v1/checkpoints, /v1/jobs or /v1/restore, its owner is who asks, and the answer appears
// as <submission_id>.status.json. The request goes when it is answered.
// Thread: checkpoints; it blocks on the disk.
#pragma once
#include "http/exchange.h"
#include "session/roots.h"

#include <set>
#include <string>
#include <vector>

namespace tideway::daemon {

struct InboxRequest {
  std::string root;           // below which the inbox is
  std::string submission_id;  // by the name of the file
  std::string body;
  http::Caller caller;        // the owner of the file
};

class Inbox {
 public:
  static constexpr Bytes kRequestMax = 64_KiB;
  static constexpr size_t kBatchMax = 64;                                  // in one look; the rest has its turn in the next one
  static constexpr Duration kAnswersKept = std::chrono::hours(7 * 24);

  Inbox(std::string root_name, session::RootPtr root) : name_(std::move(root_name)), root_(std::move(root)) {}
  const std::string& root_name() const { return name_; }

  // New ones; each is given once, until it is answered. What is none is answered here. `wall_ns`: for old answers, which go.
  std::vector<InboxRequest> look(int64_t wall_ns);
  void answer(const std::string& submission_id, const std::string& text);
  size_t pending() const { return taken_.size(); }

 private:
  Result<InboxRequest> read(const std::string& submission_id) const;
  void tidy(const std::string& name, int64_t wall_ns) const;

  std::string name_;
  session::RootPtr root_;
  std::set<std::string> taken_;  // given out and not answered
};

}  // namespace tideway::daemon
