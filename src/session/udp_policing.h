// SPDX-License-Identifier: Apache-2.0
//
// Whether somebody on the way polices UDP: lets it pass up to a small rate and drops the rest, while TCP may pass freely. What a
// session's flows count tells when that is likely; whether TLS connections carry more only a trial of them can tell.
//
// Our controllers find such a rate in a second or two, and then lose next to nothing. So it looks like any slow path, and what tells
// is that the path was faster before. Where nothing is remembered only losses tell, and no more than the worst of them; and not on
// a link that trainings share with us: what gives way to their bursts loses much of the little that it still sends. Who has nothing to send but
// acknowledgements tells nothing.
// Thread: control. Pure.
#pragma once
#include "session/session_counts.h"
#include <tideway/time.h>

#include <deque>
#include <optional>

namespace tideway::session {

class UdpPolicing {
 public:
  static constexpr Duration kLookEvery = std::chrono::milliseconds(250);
  static constexpr Duration kWindow = std::chrono::seconds(5);  // long enough that no start and no burst of loss looks like it
  static constexpr double kLossMin = 0.1;          // no controller of ours causes that on a path that only is full
  static constexpr double kRememberedShare = 0.1;  // of what the path carried before
  static constexpr uint64_t kPacketsMin = 200;     // in the window; fewer say nothing

  enum class Path : uint8_t { kOurs, kShared };   // kShared: a link with a gate
  enum class Work : uint8_t { kScarce, kPiledUp };  // kScarce: not the network is what a transfer waits for
  struct Sending {
    Rate remembered;                    // of the path; zero: nothing is
    Rate allowed = Rate::unlimited();   // by ourselves
    Work work = Work::kPiledUp;
    Path path = Path::kOurs;
  };
  // Counts since the session began. Looks that come early do nothing.
  void on_traffic(Time now, const Traffic& traffic, const Sending& sending);

  bool is_likely() const { return is_likely_; }  // in the whole window
  Rate rate() const;       // that crossed in the window, one way or the other
  Rate rate_policed() const { return is_likely_ ? rate() : Rate(); }
  Rate rate_best() const { return best_; }  // of a second
  Duration watched() const { return looks_.empty() ? Duration() : looks_.back().at - looks_.front().at; }  // about a window at most
  Time next_look() const { return looks_.empty() ? Time{} : looks_.back().at + kLookEvery; }

 private:
  struct Look {
    Time at;
    Traffic traffic;
    std::optional<Rate> expected;  // nothing: there was too little to send, or too little was allowed; zero: nobody knows the path
  };
  static Rate crossed(const Look& from, const Look& to);
  std::deque<Look> looks_;  // of the window, the oldest first
  bool is_likely_ = false;
  Rate best_;
};

}  // namespace tideway::session
