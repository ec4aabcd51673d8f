// SPDX-License-Identifier: Apache-2.0
//
// What the paths to our peers carried in earlier sessions, so that the next one starts near it instead of finding it out
// again (after draft-ietf-tsvwg-careful-resume: a remembered rate counts only while the round trip looks the same, and the
// congestion controller starts at a share of it). Kept as lines of a small text file in the state folder; whatever is wrong
// with that file, there is less to remember and nothing else happens.
// Thread: control.
#pragma once
#include <tideway/units.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace tideway::session {

struct KnownPath {
  using UnixTime = std::chrono::sys_seconds;
  Rate rate;        // of all flows together, in UDP payload
  Duration rtt{};   // while it was measured, without a queue
  UnixTime seen{};
};

class PathMemory {
 public:
  static constexpr size_t kPathsMax = 256;                 // the oldest is forgotten
  static constexpr size_t kFileMax = 64 << 10;
  static constexpr size_t kNameMax = 200;
  static constexpr auto kValidFor = std::chrono::days(7);  // a leased line keeps its rate for months, a shared one for an evening

  // An empty name: nothing outlives the process.
  explicit PathMemory(std::string file);

  // From now on the file is written by whoever that hands it to, who may wait for a disk; empty: by ourselves.
  using Hand = std::function<void(std::function<void()> write)>;
  void write_by(Hand hand) { hand_ = std::move(hand); }

  // Nothing: never seen, too long ago, or the round trip says that it is another path by now.
  std::optional<Rate> recall(const std::string& peer, Duration rtt, KnownPath::UnixTime now) const;
  // Has the file written, too. A slower session halves what is known at most: perhaps it had little to send.
  void note(const std::string& peer, KnownPath path);

 private:
  void load();
  std::string text() const;

  const std::string file_;
  Hand hand_;
  std::map<std::string, KnownPath> paths_;
};

// The best second of a session, from a count that is looked at some times a second.
class BestSecond {
 public:
  static constexpr Duration kLookEvery = std::chrono::milliseconds(250);

  void on_total(Time now, Bytes delivered);  // since the session began; early looks do nothing
  Time next_look() const { return next_look_; }
  Rate rate() const { return best_; }        // zero: no second has passed

 private:
  Time next_look_{};
  Time begin_{};
  std::optional<Bytes> at_begin_;
  Rate best_;
};

}  // namespace tideway::session
