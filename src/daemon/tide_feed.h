// SPDX-License-Identifier: Apache-2.0
//
// The last minutes of the tide, for who watches it: whoever comes gets them first, and then each moment as it passes. They are
// kept in memory alone, because a plot of the past is of no use to the next start.
// Thread: control.
#pragma once
#include "http/exchange.h"
#include <tideway/time.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace tideway::daemon {

class TideFeed {
 public:
  static constexpr Duration kEvery = std::chrono::milliseconds(250), kKept = std::chrono::minutes(5);
  static constexpr size_t kMomentsKept = static_cast<size_t>(kKept / kEvery);
  static constexpr size_t kAheadMax = 64 << 10;  // of a reader, so that the past does not end its stream
  static constexpr Duration kReplayEvery = std::chrono::milliseconds(10), kCommentEvery = std::chrono::seconds(15);

  // Takes the exchange over. A reader who comes again names the last moment that it has (Last-Event-ID).
  void add(const std::shared_ptr<http::Exchange>& reader);
  // `at`: milliseconds since 1970. That is its id, or one more than the last, so that ids rise whatever the calendar does, and mostly
  // through a restart, too.
  void on_moment(uint64_t at, const std::string& json);
  void turn(Time now);
  Time next_deadline(Time now) const;
  size_t readers() const { return readers_.size(); }

 private:
  struct Moment {
    uint64_t id;
    std::string event;
  };
  struct Reader {
    std::shared_ptr<http::Exchange> exchange;
    uint64_t told = 0;  // the last moment
  };
  bool is_behind(const Reader& reader) const { return !moments_.empty() && reader.told < moments_.back().id; }

  std::deque<Moment> moments_;
  std::vector<Reader> readers_;
  Time next_comment_{};
};

}  // namespace tideway::daemon
