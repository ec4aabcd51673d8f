// SPDX-License-Identifier: Apache-2.0
#include "session/replicas.h"

#include "checkpoint/tracker.h"
#include "storage/scan.h"

#include <algorithm>

namespace tideway::session {

Duration expected(Rate remembered, Duration rtt) {
  constexpr int kTripsToSpeed = 16;  // of a session that starts, until it is as fast as its path
  return kTripsToSpeed * rtt + (remembered > Rate() ? remembered : kRateUnknown).time_for(1_GiB);
}

Status ReplicaList::add(const ManifestEntry& entry) {
  if (entry.number == entry.parent) return success();
  if (entry.parent == ObjectId(0)) {
    if (children_.size() >= kReplicaChildrenMax)
      return Error{Fault::kLimitExceeded, above_ + " has more than " + std::to_string(kReplicaChildrenMax) + " files and directories", "name a run, and not what holds many"};
    children_[entry.number] = {entry.name, entry.type == EntryType::kFile, false, entry.size};
    return success();
  }
  const auto child = children_.find(entry.parent);
  if (child == children_.end()) return success();
  if (entry.name == storage::kTreeManifestName) {
    child->second.is_whole = true;
    return success();
  }
  child->second.has_directories |= entry.type == EntryType::kDirectory;
  child->second.bytes += entry.size;
  return success();
}

std::vector<Replica> ReplicaList::replicas() const {
  std::vector<Replica> found;
  for (const auto& [number, child] : children_)
    if (const auto step = checkpoint::step_in(child.name); step && child.is_whole) found.push_back({above_ + '/' + child.name, *step, {}, child.has_directories ? 0_B : child.bytes});
  return found;
}

std::vector<Replica> choose(std::vector<Replica> replicas, const ReplicaWish& wish) {
  uint64_t newest = 0;
  for (const Replica& replica : replicas) newest = std::max(newest, replica.step);
  const uint64_t top = wish.step.value_or(newest);
  std::erase_if(replicas, [&](const Replica& replica) { return wish.older == OlderToo::kYes ? replica.step > top : replica.step != top; });
  std::ranges::stable_sort(replicas, [](const Replica& a, const Replica& b) { return a.step != b.step ? a.step > b.step : a.far < b.far; });
  return replicas;
}

std::string source_before(std::vector<Replica> replicas, uint64_t step) {
  std::erase_if(replicas, [&](const Replica& replica) { return replica.step >= step; });
  const std::vector<Replica> newest = choose(std::move(replicas), {});
  return newest.empty() ? std::string() : newest.front().source;
}

}  // namespace tideway::session
