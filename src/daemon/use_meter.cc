// SPDX-License-Identifier: Apache-2.0
#include "daemon/use_meter.h"

#include <algorithm>

namespace tideway::daemon {

std::optional<UseMeter::Use> UseMeter::look(Sender sender, Time now, Bytes sent, const std::optional<GateTime>& gate) {
  const Begun next{now, sent, gate.value_or(GateTime{})};
  const auto [found, is_new] = begun_.try_emplace(sender, next);
  if (is_new) return std::nullopt;
  const Begun begun = found->second;
  if (sent < begun.sent) {  // another one in its place
    found->second = next;
    return std::nullopt;
  }
  const Duration passed = now - begun.at;
  if (passed < kLeast) return std::nullopt;
  const Duration open = next.gate.open - begun.gate.open, over = next.gate.over - begun.gate.over;
  if (gate && over > Duration::zero() && open < kOpenLeast && passed < kMost) return std::nullopt;
  found->second = next;
  Use use{Rate::of(sent - begun.sent, passed)};
  if (over > Duration::zero()) use.open_share = std::clamp(static_cast<double>(open.count()) / static_cast<double>(over.count()), 0.0, 1.0);
  return use;
}

void UseMeter::keep(const std::set<Sender>& senders) {
  std::erase_if(begun_, [&](const auto& one) { return !senders.contains(one.first); });
}

}  // namespace tideway::daemon
