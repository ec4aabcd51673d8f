// SPDX-License-Identifier: Apache-2.0
#include "schedule/fill.h"

#include <algorithm>
#include <array>

namespace tideway::schedule {
namespace {

struct Point { double level, share; };
using Curve = std::array<Point, 4>;  // the last point repeats where there are fewer

constexpr Curve kCurves[] = {
    {{{0, 0}, {0.25, 1}, {1, 1}, {1, 1}}},           // restore
    {{{0, 0}, {0.25, 0.05}, {0.5, 1}, {1, 1}}},      // checkpoint
    {{{0, 0}, {0.5, 0.05}, {0.75, 1}, {1, 1}}},      // staging
    {{{0, 0}, {0.75, 0.02}, {1, 1}, {1, 1}}},        // best-effort
};
constexpr size_t kClasses = std::size(kCurves);
constexpr int kHalvings = 50;  // more than a double of this size has

using Shares = std::array<double, kClasses>;

Shares shares_at(double level) {
  Shares shares;
  for (size_t i = 0; i < kClasses; ++i) shares[i] = share_at(static_cast<JobClass>(i), level);
  return shares;
}

double rate_of(const Wish& wish, const Shares& shares, double capacity) {
  const double wanted = shares[static_cast<size_t>(wish.job_class)] * std::max(wish.weight, 0.0) * capacity;
  return std::min(wanted, static_cast<double>(wish.most.bytes_per_second()));
}

}  // namespace

double share_at(JobClass job_class, double level) {
  const Curve& curve = kCurves[static_cast<size_t>(job_class)];
  for (size_t i = 1; i < curve.size(); ++i) {
    const Point &from = curve[i - 1], &to = curve[i];
    if (level > to.level || to.level == from.level) continue;
    return from.share + (to.share - from.share) * (level - from.level) / (to.level - from.level);
  }
  return curve.back().share;
}

std::vector<Rate> fill(std::span<const Wish> wishes, const Room& room) {
  const auto capacity = static_cast<double>(room.capacity.bytes_per_second());
  const auto available = static_cast<double>(room.available.bytes_per_second());
  const auto sum_at = [&](double level) {
    const Shares shares = shares_at(level);
    double sum = 0;
    for (const Wish& wish : wishes) sum += rate_of(wish, shares, capacity);
    return sum;
  };
  double low = 0, high = 1;
  if (sum_at(1) <= available) low = 1;
  for (int i = 0; i < kHalvings && low < 1; ++i) {
    const double middle = (low + high) / 2;
    (sum_at(middle) <= available ? low : high) = middle;
  }
  const Shares shares = shares_at(low);
  std::vector<Rate> rates;
  rates.reserve(wishes.size());
  for (const Wish& wish : wishes) rates.push_back(Rate::bytes_per_second(static_cast<uint64_t>(rate_of(wish, shares, capacity))));
  return rates;
}

}  // namespace tideway::schedule
