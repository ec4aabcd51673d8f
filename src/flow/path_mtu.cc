// SPDX-License-Identifier: Apache-2.0
#include "flow/path_mtu.h"

#include <algorithm>

namespace tideway::flow {
namespace {

// IPv6 minimum, tunnels, Ethernet, small jumbo frames, jumbo frames.
constexpr std::array kLadder = {1400_B, 1500_B, 4000_B, 9000_B};

}  // namespace

PathMtu::PathMtu(Bytes local_max) {
  for (const Bytes mtu : kLadder)
    if (mtu < local_max) rungs_[ladder_count_++].mtu = mtu;
  if (local_max > kBase) rungs_[ladder_count_++].mtu = local_max;
  rungs_count_ = ladder_count_;
}

PathMtu::Rung* PathMtu::find(Bytes mtu) {
  const auto rungs = std::span(rungs_).first(rungs_count_);
  const auto found = std::ranges::find(rungs, mtu, &Rung::mtu);
  return found == rungs.end() ? nullptr : &*found;
}

std::optional<Bytes> PathMtu::largest_probe() const {
  std::optional<Bytes> largest;
  if (!is_allowed_) return largest;
  for (const Rung& rung : std::span(rungs_).first(rungs_count_))
    if (rung.mtu > current_ && rung.state == RungState::kUntried) largest = std::max(largest.value_or(rung.mtu), rung.mtu);
  return largest;
}

size_t PathMtu::probes_waiting() const {
  if (!is_allowed_) return 0;
  size_t count = 0;
  for (const Rung& rung : std::span(rungs_).first(rungs_count_))
    if (rung.mtu > current_ && rung.state == RungState::kUntried) ++count;
  return count;
}

std::optional<Bytes> PathMtu::next_probe(Time now) {
  if (!is_allowed_) return std::nullopt;
  if (now >= raise_at_) restart();
  for (const Rung& rung : std::span(rungs_).first(rungs_count_))
    if (rung.mtu > current_ && rung.state == RungState::kUntried) return rung.mtu;
  return std::nullopt;
}

void PathMtu::on_probe_sent(Bytes mtu) {
  if (Rung* rung = find(mtu)) {
    rung->state = RungState::kInFlight;
    ++rung->tries;
  }
}

void PathMtu::on_probe_acked(Time now, Bytes mtu) {
  if (Rung* rung = find(mtu)) rung->state = RungState::kGood;
  if (mtu > current_) {
    current_ = mtu;
    full_unacked_since_ = kNever;
  }
  settle(now);
}

void PathMtu::on_probe_lost(Time now, Bytes mtu) {
  Rung* rung = find(mtu);
  if (rung == nullptr || rung->state != RungState::kInFlight) return;
  rung->state = rung->tries < kTriesMax ? RungState::kUntried : RungState::kBad;
  settle(now);
}

void PathMtu::settle(Time now) {
  Bytes bad = Bytes::max();
  for (const Rung& rung : std::span(rungs_).first(rungs_count_)) {
    if (rung.mtu <= current_) continue;
    if (rung.state != RungState::kBad) return;
    bad = std::min(bad, rung.mtu);
  }
  raise_at_ = bad == Bytes::max() ? kNever : now + kRaiseEvery;
  if (bad == Bytes::max() || rungs_count_ > ladder_count_) return;
  const Bytes between((current_.count() + bad.count()) / 2 / 16 * 16);
  if (between < current_ + Bytes(kStepMin)) return;
  raise_at_ = kNever;
  rungs_[rungs_count_++] = {.mtu = between};
}

void PathMtu::restart() {
  raise_at_ = kNever;
  rungs_count_ = ladder_count_;
  for (Rung& rung : rungs_) {
    rung.state = RungState::kUntried;
    rung.tries = 0;
  }
}

void PathMtu::on_full_sent(Time now) {
  if (full_unacked_since_ == kNever) full_unacked_since_ = now;
}

bool PathMtu::on_small_acked(Time now, Duration probe_timeout) {
  if (full_unacked_since_ == kNever || current_ == kBase || now - full_unacked_since_ < 2 * probe_timeout) return false;
  current_ = kBase;
  full_unacked_since_ = kNever;
  restart();
  return true;
}

}  // namespace tideway::flow
