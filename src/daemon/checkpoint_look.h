// SPDX-License-Identifier: Apache-2.0
//
// Looks at a checkpoint on disk for the rules of checkpoint/: its files, and the parts of them that a rule reads.
// Thread: any; it blocks.
#pragma once
#include "checkpoint/assess.h"
#include "storage/rooted_dir.h"

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace tideway::daemon {

// Of a checkpoint, or of a pin that stands for it.
struct Spot {
  const storage::RootedDir& root;
  ObjectName at;        // what is looked at
  ObjectName original;  // where the trainer put it, for its name and for what lies beside it
};

inline constexpr std::string_view kChanging = "changing";  // the reason of what only has to stay as it is
inline constexpr Bytes kPiecesMax = 256_MiB;  // of one checkpoint, in memory for a moment

// Errors: source_missing, source_io; unsupported: more than kFilesMax files.
Result<checkpoint::Listing> list_checkpoint(const Spot& spot);
// What cannot be read, or is beyond kPiecesMax, is left out: then the rule does not hold.
checkpoint::Pieces read_pieces(const Spot& spot, const checkpoint::Listing& listing);

// What the rule says of it, which has not changed for so long. Where it would only have to go on not changing, it is enough that no process
// of this host has any of its files open to write: a lease on each would be refused else, as where the file system or the owner of
// the file allows none.
struct Waiting {
  const checkpoint::Format& format;
  Duration unchanged, settle;
  std::span<const uint32_t> came = {};  // see checkpoint::Seen
};
Result<checkpoint::Assessment> assess_there(const Spot& spot, const checkpoint::Listing& listing, const Waiting& waiting);

using Clock = std::function<Time()>;

// When a checkpoint was listed, which may take long.
struct Listed { Time begun, ended; };

// Since when a checkpoint is what it is, over several looks: from the end of one to the begin of a later one, since that is all that
// both have seen.
class QuietTimes {
 public:
  struct Record {
    Duration unchanged{};            // how long its listing has been this one
    std::span<const uint32_t> came;  // see checkpoint::Seen; until the next call
  };
  // kSeen: at the look before there was nothing under its name.
  enum class Arrival : uint8_t { kUnknown, kSeen };
  // `key` names the checkpoint among those looked at.
  Record take(const std::string& key, const checkpoint::Listing& listing, const Listed& listed, Arrival arrival = Arrival::kUnknown);
  void forget(const std::string& key) { seen_.erase(key); }

 private:
  struct Seen {
    checkpoint::Listing listing;
    std::vector<uint32_t> came;
    uint32_t look = 0;  // the last one that found it changed
    Time since{};
  };
  std::map<std::string, Seen> seen_;  // of what is not complete yet: a few
};

}  // namespace tideway::daemon
