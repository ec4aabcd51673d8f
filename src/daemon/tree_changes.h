// SPDX-License-Identifier: Apache-2.0
//
// Whether anything happened in a tree since somebody looked, by inotify, so that a large one need not be listed to find out. It is a hint:
// what other hosts write, and what is written through memory, it does not tell, so whoever uses it also looks without it now and then.
// Thread: checkpoints.
#pragma once
#include "base/descriptor.h"
#include "checkpoint/listing.h"

#include <cstdint>
#include <set>
#include <string>

namespace tideway::daemon {

class TreeChanges {
 public:
  static constexpr size_t kDirsMax = 1024;  // of one tree; a larger one always counts as changed

  enum class Source : uint8_t { kInotify, kNone };  // kNone: always counts as changed, and takes no descriptor
  explicit TreeChanges(Source source = Source::kInotify);

  // What a listing of `top`, a path of this host, has found is watched from now on. What happened in between counts as changed.
  void follow(const std::string& top, const checkpoint::Listing& listing);
  // Something happened since the last call, or it cannot tell.
  bool take();

 private:
  bool add(const std::string& path);

  const Descriptor inotify_;
  std::set<int> watched_;  // by the numbers that inotify gives
  bool is_blind_ = true;
};

}  // namespace tideway::daemon
