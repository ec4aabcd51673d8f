// SPDX-License-Identifier: Apache-2.0
//
// What the lanes of links whose capacity is known may send: among the net workers by what all of them want, and then among the lanes of
// one. Each worker works out the same.
// Thread: net worker.
#pragma once
#include "engine/gates.h"
#include <tideway/units.h>

#include <optional>
#include <span>
#include <vector>

namespace tideway::engine {

struct WorkerOf {
  size_t index = 0, all = 1;
};

struct LaneOfLink {
  std::optional<size_t> link;  // none: no gate stands before it
  Rate wanted;
};

constexpr double kOfCapacity = 0.98;  // a queue that was there drains, and none comes

// By lane of this worker; unlimited where the link says nothing. Tells the other workers what these want.
std::vector<Rate> share_out_links(Gates& gates, WorkerOf worker, std::span<const LaneOfLink> lanes);

}  // namespace tideway::engine
