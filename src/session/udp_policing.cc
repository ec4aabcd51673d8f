// SPDX-License-Identifier: Apache-2.0
#include "session/udp_policing.h"

#include <algorithm>

namespace tideway::session {
namespace {

double loss_of(const Traffic& from, const Traffic& to) {
  const uint64_t sent = to.packets_sent - from.packets_sent;
  const uint64_t lost = to.packets_lost - std::min(to.packets_lost, from.packets_lost);
  return sent == 0 ? 0 : std::min(1.0, static_cast<double>(lost) / static_cast<double>(sent));
}

}  // namespace

Rate UdpPolicing::crossed(const Look& from, const Look& to) {
  const Duration time = to.at - from.at;
  const Rate sent = Rate::of(to.traffic.sent - from.traffic.sent, time) * (1 - loss_of(from.traffic, to.traffic));
  return std::max(sent, Rate::of(to.traffic.received - from.traffic.received, time));
}

void UdpPolicing::on_traffic(Time now, const Traffic& traffic, const Sending& sending) {
  if (now < next_look()) return;
  const bool could_send = sending.work == Work::kPiledUp && sending.allowed >= sending.remembered * kRememberedShare;
  looks_.push_back({now, traffic, could_send ? std::optional(sending.remembered) : std::nullopt});
  while (looks_.size() > 2 && now - looks_[1].at >= kWindow) looks_.pop_front();
  const auto second_ago = std::ranges::find_if(looks_.rbegin(), looks_.rend(), [&](const Look& look) { return now - look.at >= std::chrono::seconds(1); });
  if (second_ago != looks_.rend()) best_ = std::max(best_, crossed(*second_ago, looks_.back()));
  const Traffic& before = looks_.front().traffic;
  const std::optional<Rate> expected = std::ranges::min(looks_, {}, &Look::expected).expected;
  const bool is_lossy = sending.path == Path::kOurs && loss_of(before, traffic) >= kLossMin;
  const bool is_slow = expected && (sending.remembered == Rate() ? is_lossy : rate() < *expected * kRememberedShare);
  is_likely_ = is_slow && watched() >= kWindow && traffic.packets_sent - before.packets_sent >= kPacketsMin;
}

Rate UdpPolicing::rate() const { return looks_.size() < 2 ? Rate() : crossed(looks_.front(), looks_.back()); }

}  // namespace tideway::session
