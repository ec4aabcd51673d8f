// SPDX-License-Identifier: Apache-2.0
//
// What somebody asked for: from where to where, how, and when. Words that only the session understands (compress, verify,
// publish) stay words here; whoever takes the job in has them checked.
// Thread: any; a value. Pure.
#pragma once
#include <tideway/time.h>
#include <tideway/units.h>

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::job {

// Of the calendar, because jobs outlive a process. It may jump, so nothing but `every` and what people read hangs on it.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

enum class Class : uint8_t { kRestore, kCheckpoint, kStaging, kBestEffort };  // in the order in which they start
std::string_view to_string(Class one);
std::optional<Class> class_named(std::string_view name);

// What happens when the job cannot go on by itself. kJob: it stays in the queue and says what it waits for. kCommand:
// somebody sits before it, and it ends as a copy without a daemon would.
enum class Patience : uint8_t { kJob, kCommand };

struct Filter {
  enum class Kind : uint8_t { kInclude, kExclude } kind = Kind::kInclude;
  std::string pattern;
  bool operator==(const Filter&) const = default;
};

// Of a job that brings a trainer's checkpoint to another site, or a pointer to the newest one beside it.
struct Checkpoint {
  std::string format = "auto", path;                 // the word; where the trainer put it, as root:path
  uint32_t world = 0;                                // processes that save; 0: not known
  std::string pin;                                   // that the trainer made; empty: none
  std::vector<std::string> pointers;                 // names of files beside it; empty: those of its format
  enum class Supersede : uint8_t { kLatest, kAll } supersede = Supersede::kLatest;
  std::chrono::milliseconds settle = std::chrono::seconds(2);
  uint32_t keep = 0;                                 // of the series at the destination, the newest; 0: all
  bool operator==(const Checkpoint&) const = default;
};

struct Spec {
  std::vector<std::string> sources;  // `root:path` here or `peer:root/path`, all on one side
  std::string destination;           // the same, on the other side
  std::string compress = "auto", verify = "memory", publish = "auto";
  std::vector<std::string> last;
  std::vector<Filter> filters;
  std::optional<std::vector<std::string>> only;
  Rate rate_max = Rate::unlimited();
  Class service = Class::kBestEffort;
  Patience patience = Patience::kJob;
  std::vector<std::string> alternatives;   // of a restore: where else the one source may be had, the best first
  std::string older;                       // of a restore: the newest checkpoint before its own, when it was asked for; empty: none is known
  std::string overwrite = "never";         // or "if-older", of a single file; or "always"
  std::string resume_verify = "auto";      // or "all", "none": what of an earlier run is hashed again
  std::optional<Checkpoint> checkpoint;    // with series and maybe step
  std::string submission_id;               // empty: a repeated request is another job
  std::optional<std::chrono::milliseconds> every;

  // Of checkpoints and restores.
  std::string series;
  std::optional<uint64_t> step;
  std::map<std::string, std::string> labels;

  // What it is planned by.
  std::optional<std::chrono::milliseconds> rpo;  // how old the newest copy of a series may get
  std::optional<WallTime> deadline;              // when it has to be published
  Bytes bytes;                                   // how much there is, as far as is known; zero: nothing is
  std::optional<uint32_t> weight;
  std::optional<double> hurt_max;                // of the link during bursts, if the deadline needs it: as far as the link's owner allows

  // Part of the record from its first version on. Nothing enforces them yet, so check() refuses one that is set.
  std::vector<std::string> sites;
  std::optional<uint32_t> replicas;
  bool relay_ok = false;
  std::string energy;

  bool operator==(const Spec&) const = default;
};

// In which order jobs start: restores, then what has a deadline, the earliest first, then by class.
struct Turn {
  enum class Group : uint8_t { kRestore, kDeadline, kOther } group = Group::kOther;
  WallTime deadline{};  // of kDeadline
  Class service = Class::kBestEffort;
  auto operator<=>(const Turn&) const = default;
};
Turn turn_of(const Spec& spec);

}  // namespace tideway::job
