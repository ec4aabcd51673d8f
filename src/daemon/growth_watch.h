// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint that is still being written: which whole leaves of its files are final, as far as anybody knows. Of a file with declared
// ranges those that lie in them; of any other, which counts as one that only grows, those that have one whole leaf behind them. Nobody has
// to be right: what goes ahead is compared by hash with what the files are in the end.
// Its tree is listed when inotify tells of a change in it, and without one now and then.
// Thread: checkpoints; it blocks on the disk. Time is an argument.
#pragma once
#include "checkpoint/listing.h"
#include "daemon/tree_changes.h"
#include "engine/commands.h"
#include "flow/interval_set.h"
#include "session/roots.h"
#include <tideway/time.h>

#include <map>
#include <string>
#include <vector>

namespace tideway::daemon {

// What of a growing checkpoint has not been told yet. Pure.
class GrowingFiles {
 public:
  static constexpr uint32_t kPartLeavesMax = 64;   // 256 MiB, so that what is lost by one change is bounded
  static constexpr size_t kPartsMax = 60'000;      // of one checkpoint, fewer than a sink looks at; what is beyond goes at the end
  static constexpr size_t kRangesMax = 4096;       // of one file, that do not touch each other

  static constexpr size_t kPathMax = 4096;
  static constexpr size_t kFilesMax = 100'000;     // of which somebody said something

  void declare(const std::string& path, flow::Interval bytes);
  std::vector<engine::GrownPart> take(const checkpoint::Listing& listing);

 private:
  struct File {
    flow::IntervalSet declared, told;  // bytes; leaves
  };
  static flow::IntervalSet final_leaves(const File& file, Bytes size);
  std::map<std::string, File> files_;
  size_t parts_ = 0;
};

struct Growth {
  std::vector<engine::GrownPart> parts;
  bool is_silent = false;  // nothing was written or declared for kSilentMax
};

class GrowthWatch {
 public:
  static constexpr Duration kEvery = std::chrono::milliseconds(250);
  static constexpr Duration kListedEvery = std::chrono::seconds(1);  // also when nothing tells of a change
  static constexpr Duration kSilentMax = std::chrono::minutes(10);

  struct Place {
    session::RootPtr root;
    ObjectName name;   // below it
    std::string path;  // of the same on this host, for inotify; empty: it is looked at without
  };
  GrowthWatch(Place place, Time now) : place_(std::move(place)), changes_(uses_inotify() ? TreeChanges::Source::kInotify : TreeChanges::Source::kNone), changed_(now) {}
  void declare(const std::string& path, flow::Interval bytes, Time now);
  Growth look(Time now);
  Time next_look() const { return next_; }
  bool uses_inotify() const { return !place_.path.empty(); }

 private:
  void list(Time now);

  const Place place_;
  TreeChanges changes_;
  GrowingFiles files_;
  checkpoint::Listing seen_;
  bool has_news_ = false;  // of files or of ranges, since the last look
  Time changed_, next_{}, listed_{};
};

}  // namespace tideway::daemon
