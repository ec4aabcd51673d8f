// SPDX-License-Identifier: Apache-2.0
//
// The open descriptors of a store's objects, at most kOpenMax objects at once; the one idle for longest closes first.
// An object with I/O at work stays open.
// Thread: io worker.
#pragma once
#include "storage/rooted_dir.h"
#include <tideway/ids.h>

#include <list>
#include <unordered_map>

namespace tideway::storage {

class DescriptorCache {
 public:
  static constexpr size_t kOpenMax = 256;  // four busy transfers stay below the usual limit of 1,024 descriptors each
  struct Open {
    ObjectId id;
    Descriptor buffered;
    Descriptor direct;  // opened when first needed
    uint32_t in_flight = 0;
    bool is_given_up = false;  // to be forgotten when nothing of it is at work any more
  };
  // The open object, now the one used last; nothing when it is not open.
  Open* find(ObjectId id);
  Open& add(ObjectId id, Descriptor buffered);
  void drop(ObjectId id);
  bool is_busy(ObjectId id) const;
  // The process has no descriptor left: closes what nothing is at work on, and keeps fewer open from now on. False: all are at work.
  bool make_do_with_less();

 private:
  static constexpr size_t kOpenLeast = 8;
  size_t open_max_ = kOpenMax;
  std::list<Open> opens_;  // used last in front
  std::unordered_map<ObjectId, std::list<Open>::iterator> places_;
};

}  // namespace tideway::storage
