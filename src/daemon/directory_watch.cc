// SPDX-License-Identifier: Apache-2.0
#include "daemon/directory_watch.h"

#include "base/log.h"
#include "checkpoint/tracker.h"
#include "storage/scan.h"

#include <algorithm>

namespace tideway::daemon {

std::string DirectoryWatch::dir_path(const std::string& root_path) const {
  std::string path = root_path;
  for (const std::string& component : config_.dir.components()) path += '/' + component;
  return path;
}

// Several names may have one step, and each is a checkpoint.
Result<DirectoryWatch::Names> DirectoryWatch::candidates() const {
  Names there;
  auto dir = root_->open_dir(config_.dir);
  if (!dir.ok() && dir.error().fault == Fault::kSourceMissing) return there;  // the trainer has not made it yet
  if (!dir.ok()) return std::move(dir).error();
  size_t count = 0;
  const Status listed = dir.value().for_each_name([&](std::string_view name) {
    const auto step = checkpoint::step_in(name);
    if (step && name.front() != '.' && count++ < kNamesMax) there[*step].emplace_back(name);
  });
  return listed.ok() ? Result<Names>(std::move(there)) : listed.error();
}

void DirectoryWatch::leave_out(const Names& there) {
  if (config_.existing == WatchConfig::Existing::kAll) return;
  for (const auto& [step, names] : there) {
    const bool is_newest = step == there.rbegin()->first;
    if (config_.existing == WatchConfig::Existing::kNewest && is_newest) continue;
    known_.insert(names.begin(), names.end());
  }
}

std::vector<FoundCheckpoint> DirectoryWatch::look(QuietTimes& quiet, const Clock& clock) {
  const Time now = clock();
  looked_ = now;
  next_ = now + config_.poll;
  const auto listed = candidates();
  if (!listed.ok()) return {};  // what a disk or a server does not tell now has neither gone nor come anew
  const Names& there = listed.value();
  if (!there_) leave_out(there);
  const auto arrival_of = [&](uint64_t step, const std::string& name) {
    const auto before = there_ ? there_->find(step) : Names::iterator();
    const bool is_new = there_ && (before == there_->end() || std::ranges::count(before->second, name) == 0);
    return is_new ? QuietTimes::Arrival::kSeen : QuietTimes::Arrival::kUnknown;
  };
  std::map<std::string, checkpoint::Incomplete> incomplete;
  std::vector<FoundCheckpoint> found;
  Duration settles = config_.poll;  // until the next one has been as it is for long enough
  for (const auto& [step, names] : there) {
    for (const std::string& name : names) {
      if (known_.contains(name)) continue;
      const auto place = config_.dir.child(name);
      if (!place.ok()) continue;
      const Spot spot{*root_, place.value(), place.value()};
      const Time begun = clock();  // of this one: those before it may have taken longer than it has to stand still
      const auto listing = list_checkpoint(spot);
      if (!listing.ok()) continue;
      const auto [unchanged, came] = quiet.take(key_of(config_.root, place.value()), listing.value(), {begun, clock()}, arrival_of(step, name));
      const auto assessed = assess_there(spot, listing.value(), {config_.format, unchanged, config_.settle, came});
      const auto* why = assessed.ok() ? std::get_if<checkpoint::Incomplete>(&assessed.value()) : nullptr;
      if (why != nullptr && why->reason == kChanging) settles = std::min(settles, config_.settle - unchanged);
      if (why != nullptr) incomplete.emplace(name, *why);
      else if (!assessed.ok()) incomplete.emplace(name, checkpoint::Incomplete{"ambiguous", assessed.error().what});
      else found.push_back({name, step});
    }
  }
  for (const auto& [name, why] : incomplete)
    if (const auto before = incomplete_.find(name); before == incomplete_.end() || before->second.reason != why.reason)
      log::info("checkpoint_incomplete", "series=" + to_display(config_.series) + " name=\"" + to_display(name) + "\" reason=" + why.reason + " why=\"" + why.detail + '"');
  incomplete_ = std::move(incomplete);
  for (const FoundCheckpoint& one : found) known_.insert(one.name);
  there_ = there;
  if (!incomplete_.empty()) next_ = now + std::min({config_.poll, std::max(config_.settle / 4, kLookMin), std::max(settles, kLookMin)});
  return found;
}

}  // namespace tideway::daemon
