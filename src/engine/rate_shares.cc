// SPDX-License-Identifier: Apache-2.0
#include "engine/rate_shares.h"

#include <algorithm>
#include <numeric>

namespace tideway::engine {

std::vector<Rate> share_out(Rate total, std::span<const Rate> wanted) {
  std::vector<Rate> shares(wanted.begin(), wanted.end());
  if (total.is_unlimited()) return shares;
  std::vector<size_t> by_wish(wanted.size());
  std::iota(by_wish.begin(), by_wish.end(), size_t{0});
  std::ranges::sort(by_wish, {}, [&](size_t i) { return wanted[i]; });
  uint64_t left = total.bytes_per_second();
  for (size_t served = 0; served < by_wish.size(); ++served) {  // the modest first: what they leave is for the others
    Rate& share = shares[by_wish[served]];
    share = std::min(share, Rate::bytes_per_second(left / (by_wish.size() - served)));
    left -= share.bytes_per_second();
  }
  return shares;
}

Rate standby_share(Rate total, size_t count) {
  constexpr double kStandby = 0.25;
  return total * (kStandby / static_cast<double>(std::max<size_t>(1, count)));
}

Rate wish_of_worker(Rate total, std::span<const Rate> wanted, size_t workers) {
  if (wanted.empty()) return Rate();
  Rate sum;
  for (const Rate one : wanted) sum = sum + one;
  return std::max(sum, standby_share(total, workers));
}

std::vector<Rate> share_out_all(Rate total, std::span<const Rate> wanted) {
  std::vector<Rate> shares = share_out(total, wanted);
  if (total.is_unlimited() || shares.empty()) return shares;
  uint64_t spare = total.bytes_per_second();
  for (const Rate share : shares) spare -= share.bytes_per_second();
  for (Rate& share : shares) share = share + Rate::bytes_per_second(spare / shares.size());
  return shares;
}

std::vector<Rate> share_out_with_standby(Rate total, std::vector<Rate> wanted) {
  const Rate least = standby_share(total, wanted.size());
  for (Rate& wish : wanted) wish = std::max(wish, least);
  return share_out_all(total, wanted);
}

}  // namespace tideway::engine
