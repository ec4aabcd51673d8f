// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of a run that a peer has whole, out of a list of what lies below the run: a directory is one when Tideway has
// published it (its manifest lies in it), a file when its name has a step, since files appear whole.
// Thread: any; values. Pure.
#pragma once
#include <tideway/object_store.h>
#include <tideway/result.h>
#include <tideway/time.h>
#include <tideway/units.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tideway::session {

inline constexpr uint32_t kReplicaDepth = 2;  // levels that must be listed
// What one peer may tell of one run: a checkpoint each hour of seven years, and a thousand files in each of a thousand.
inline constexpr size_t kReplicaChildrenMax = 65'536;
inline constexpr uint64_t kReplicaEntriesMax = 1'000'000;

// How long the first gigabyte of a restore takes from there, as far as that is known beforehand: a slow path is further than a long one.
inline constexpr Rate kRateUnknown = 1_Gbit;
Duration expected(Rate remembered, Duration rtt);  // remembered: none is zero

struct Replica {
  std::string source;  // peer:root/path
  uint64_t step = 0;
  Duration far{};      // see expected()
  Bytes bytes{};       // zero: not known
  bool operator==(const Replica&) const = default;
};

class ReplicaList {
 public:
  // `above`: peer:root/run.
  explicit ReplicaList(std::string above) : above_(std::move(above)) {}
  // In the order of the manifest. Errors: limit_exceeded, by more than kReplicaChildrenMax.
  Status add(const ManifestEntry& entry);
  std::vector<Replica> replicas() const;

 private:
  struct Child {
    std::string name;
    bool is_whole = false;
    bool has_directories = false;  // whose files are not listed
    Bytes bytes{};
  };
  std::string above_;
  std::map<ObjectId, Child> children_;
};

// Those of the newest step, or of `step`, the nearest first; then, where older ones will do, those of the steps before.
enum class OlderToo : uint8_t { kNo, kYes };
struct ReplicaWish {
  std::optional<uint64_t> step = {};
  OlderToo older = OlderToo::kNo;
};
std::vector<Replica> choose(std::vector<Replica> replicas, const ReplicaWish& wish);
// The nearest of the newest step before `step`, for whoever cannot have that one; empty: there is none.
std::string source_before(std::vector<Replica> replicas, uint64_t step);

}  // namespace tideway::session
