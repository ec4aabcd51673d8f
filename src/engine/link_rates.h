// SPDX-License-Identifier: Apache-2.0
//
// What the lanes of a net worker may send of a rate that all workers share, the gateway's or that of a link whose capacity is known: it goes
// among the workers by what all of them want, and then among the lanes of one. Each worker works out the same.
// Thread: net worker.
#pragma once
#include "engine/gates.h"
#include <tideway/units.h>

#include <functional>
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

// Where a worker tells the others what its lanes want, by index.
using WishOf = std::function<Counter&(size_t worker)>;
std::vector<Rate> share_out_among(Rate total, WorkerOf worker, std::vector<Rate> wanted, const WishOf& wish_of);

constexpr double kOfCapacity = 0.98;  // a queue that was there drains, and none comes

// By lane of this worker; unlimited where the link says nothing. Tells the other workers what these want.
std::vector<Rate> share_out_links(Gates& gates, WorkerOf worker, std::span<const LaneOfLink> lanes);

}  // namespace tideway::engine
