// SPDX-License-Identifier: Apache-2.0
//
// What trainings left of each link, kept for the next start: a small text file in the state folder, with a sum at its end. Of a
// file that is damaged nothing is taken, and what it said is seen again in three days; nothing else happens.
// Thread: control at the start; save() blocks on the disk, and is called by the thread of the job store.
#pragma once
#include "planner/leftover_history.h"

#include <map>
#include <string>

namespace tideway::daemon {

using LeftoverHistories = std::map<std::string, planner::LeftoverHistory, std::less<>>;  // by peer

class LeftoverFile {
 public:
  static constexpr size_t kFileMax = 4 << 20;  // of some hundred links
  static constexpr size_t kLinksMax = 256;

  // An empty name: nothing outlives the process.
  explicit LeftoverFile(std::string file) : file_(std::move(file)) {}

  LeftoverHistories load() const;
  // Written whole beside it and put in its place.
  void save(const LeftoverHistories& histories) const;

 private:
  std::string file_;
};

// The file's text. Nothing: it is damaged, or of another version.
std::string to_text(const LeftoverHistories& histories);
std::optional<LeftoverHistories> parse_histories(std::string_view text);

}  // namespace tideway::daemon
