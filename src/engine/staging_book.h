// SPDX-License-Identifier: Apache-2.0
//
// What the live transfers of each peer are about to stage below each root, as far as their lists are known. What is left of
// transfers that died is looked up on the disk (storage/sweep.h), and makes room for these.
// Thread: io worker.
#pragma once
#include "engine/commands.h"

#include <map>
#include <string>

namespace tideway::engine {

class StagingBook {
 public:
  struct Line {
    std::string owner;
    const storage::RootedDir* root = nullptr;
    Bytes bytes;  // that are or will be staged
  };
  void set(TransferHandle transfer, Line line) { lines_[transfer] = std::move(line); }
  void drop(TransferHandle transfer) { lines_.erase(transfer); }
  // Of the same owner below the same root, all transfers together.
  Bytes sum_of(const Line& like) const {
    Bytes sum;
    for (const auto& [transfer, line] : lines_)
      if (line.owner == like.owner && line.root == like.root) sum += line.bytes;
    return sum;
  }

 private:
  std::map<TransferHandle, Line> lines_;
};

}  // namespace tideway::engine
