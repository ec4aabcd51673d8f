// SPDX-License-Identifier: Apache-2.0
//
// Finds checkpoints in a directory that a trainer fills: whatever has the number of its step in its name, and is complete. Each is
// told once.
// Thread: checkpoints; it blocks on the disk. The clock is an argument: a look takes as long as the disk does.
#pragma once
#include "daemon/checkpoint_look.h"
#include "daemon/holding.h"
#include "job/spec.h"
#include "session/roots.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tideway::daemon {

struct WatchConfig {
  std::string root;
  ObjectName dir;
  checkpoint::Format format;
  std::string series;
  std::vector<std::string> to;      // peer:root/path
  std::optional<std::chrono::milliseconds> rpo, deadline;  // deadline: from when it is found complete
  uint32_t keep = 0;                // at each of them, the newest; 0: all
  job::Class service = job::Class::kCheckpoint;
  uint32_t pins_max = 2;            // held at a time, or the oldest goes that is not being sent; 0: no limit
  Bytes pin_bytes_max = Bytes::max();
  Duration settle = checkpoint::kSettleDefault, poll = std::chrono::seconds(2);
  enum class Existing : uint8_t { kNewest, kAll, kNone } existing = Existing::kNewest;  // of what is there at the first look
};

struct FoundCheckpoint {
  std::string name;  // in the directory
  uint64_t step = 0;
};

class DirectoryWatch {
 public:
  static constexpr size_t kNamesMax = 10'000;  // in the directory; more are not looked at

  // `known`: names that have their job already.
  DirectoryWatch(WatchConfig config, session::RootPtr root, std::set<std::string> known)
      : config_(std::move(config)), root_(std::move(root)), known_(std::move(known)) {}
  const WatchConfig& config() const { return config_; }

  // Complete now and not told before, the oldest step first.
  std::vector<FoundCheckpoint> look(QuietTimes& quiet, const Clock& clock);
  // Its job ended without it: it is looked at again.
  void forget(const std::string& name) { known_.erase(name); }
  Time next_look() const { return next_; }
  // Something happened in the directory, or in what is incomplete in it.
  void hurry(Time now) { next_ = std::min(next_, std::max(now, looked_ + kLookMin)); }
  // What is there and not complete, with the reason; for people.
  const std::map<std::string, checkpoint::Incomplete>& incomplete() const { return incomplete_; }
  std::string dir_path(const std::string& root_path) const;  // on this host, for inotify

 private:
  using Names = std::map<uint64_t, std::vector<std::string>>;  // by step
  Result<Names> candidates() const;  // none: the directory is not there. Errors: it cannot be listed
  void leave_out(const Names& there);

  WatchConfig config_;
  session::RootPtr root_;
  std::set<std::string> known_;
  std::map<std::string, checkpoint::Incomplete> incomplete_;
  std::optional<Names> there_;  // at the look before
  Time looked_{}, next_{};
};

}  // namespace tideway::daemon
