// SPDX-License-Identifier: Apache-2.0
#include "engine/link_rates.h"

#include "engine/rate_shares.h"

#include <utility>

namespace tideway::engine {

std::vector<Rate> share_out_among(Rate total, WorkerOf worker, std::vector<Rate> wanted, const WishOf& wish_of) {
  wish_of(worker.index).set(wish_of_worker(total, wanted, worker.all).bytes_per_second());
  std::vector<Rate> of_workers;
  for (size_t one = 0; one < worker.all; ++one) of_workers.push_back(Rate::bytes_per_second(wish_of(one).get()));
  return share_out_with_standby(share_out_all(total, of_workers)[worker.index], std::move(wanted));
}

std::vector<Rate> share_out_links(Gates& gates, WorkerOf worker, std::span<const LaneOfLink> lanes) {
  std::vector<Rate> shares(lanes.size(), Rate::unlimited());
  for (size_t link = 0; link < gates.links(); ++link) {
    const Rate capacity = gates.traffic(link).capacity;
    if (capacity.is_unlimited()) continue;
    std::vector<size_t> here;
    std::vector<Rate> wanted;
    for (size_t lane = 0; lane < lanes.size(); ++lane)
      if (lanes[lane].link == link) here.push_back(lane), wanted.push_back(lanes[lane].wanted);
    const auto of_lanes = share_out_among(capacity * kOfCapacity, worker, std::move(wanted), [&](size_t one) -> Counter& { return gates.board(link, one).rate_wanted; });
    for (size_t k = 0; k < here.size(); ++k) shares[here[k]] = of_lanes[k];
  }
  return shares;
}

}  // namespace tideway::engine
