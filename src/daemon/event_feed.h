// SPDX-License-Identifier: Apache-2.0
//
// Tells readers of server-sent events what happens to jobs: `state` as it is noted in the table, with a number that rises and that
// a reader who comes again may name; `progress` of what runs each second, without one, because the next makes up for it.
// Thread: control.
#pragma once
#include "daemon/job_runner.h"
#include "http/exchange.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tideway::daemon {

class EventFeed {
 public:
  static constexpr Duration kProgressEvery = std::chrono::seconds(1), kCommentEvery = std::chrono::seconds(15);

  EventFeed(const JobTable& table, const JobRunner& runner) : table_(table), runner_(runner) {}

  struct Interest {
    std::optional<uint32_t> owner;  // whose jobs; nothing: everybody's
    job::JobId job;                 // empty: all of them
  };
  // Takes the exchange over. Events after Last-Event-ID come first, as far back as there are any.
  void add(const std::shared_ptr<http::Exchange>& reader, Interest interest);
  // To all who watch everybody's jobs or their own; without a number, as it is about no job.
  void tell(std::string_view type, std::string_view data);
  // `view_of` says of a job that runs how far it is, and what holds it up.
  void turn(Time now, const std::function<api::JobView(const job::Job&)>& view_of);
  Time next_deadline() const;
  size_t readers() const { return readers_.size(); }

 private:
  struct Reader {
    std::shared_ptr<http::Exchange> exchange;
    Interest interest;
    uint64_t told = 0;  // the number of the last event
  };
  void tell_states(Reader& reader) const;
  bool is_through(const Reader& reader) const;

  const JobTable& table_;
  const JobRunner& runner_;
  std::vector<Reader> readers_;
  Time next_progress_{}, next_comment_{};
  bool has_new_reader_ = false;  // since the last turn
};

}  // namespace tideway::daemon
