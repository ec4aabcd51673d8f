// SPDX-License-Identifier: Apache-2.0
#include "ip/neighbour_table.h"

#include <algorithm>

namespace tideway::ip {

std::optional<NextHopId> NeighbourTable::hold(const IpAddress& address) {
  Entry* entry = find(address);
  if (entry == nullptr) {
    entry = place_for_new();
    if (entry == nullptr) return std::nullopt;
    const auto serial = static_cast<uint16_t>(entry->serial + 1);
    *entry = {.address = address, .serial = serial == 0 ? uint16_t{1} : serial};
  }
  if (entry->holds++ == 0) {
    entry->ask_at = Time{};  // at once, also for one that was known: its MAC is as old as its last hold
    update_deadline();
  }
  const auto place = static_cast<uint32_t>(entry - entries_.data());
  return NextHopId(uint32_t{entry->serial} << 16 | place);
}

void NeighbourTable::release(NextHopId id) {
  const Entry* found = find(id);
  TIDEWAY_CHECK(found != nullptr && found->holds > 0);
  Entry& entry = entries_[static_cast<size_t>(found - entries_.data())];
  if (--entry.holds > 0) return;
  entry.released = ++releases_;
  entry.asks = 0;
  update_deadline();
}

void NeighbourTable::on_answer(Time now, const NeighbourClaim& claim) {
  Entry* entry = find(claim.address);
  if (entry == nullptr || entry->holds == 0) return;
  if (entry->asks == 0) return on_hint(now, claim);  // a second answer, or one to somebody else's question
  const bool differs = entry->mac && *entry->mac != claim.mac;
  if (differs && !claim.may_replace) return;
  ++stats_.answers_received;
  if (differs) ++stats_.mac_changes;
  if (differs || !entry->mac) ++generation_;
  entry->mac = claim.mac;
  entry->asks = 0;
  entry->asks_everybody = false;
  entry->ask_at = now + kRefreshInterval;
  update_deadline();
}

void NeighbourTable::on_hint(Time now, const NeighbourClaim& claim) {
  Entry* entry = find(claim.address);
  if (entry == nullptr || entry->holds == 0 || entry->mac == claim.mac) return;
  ++stats_.hints_received;
  entry->asks_everybody = true;
  const Time earliest = entry->asked_at ? std::max(now, *entry->asked_at + kHintInterval) : now;
  entry->ask_at = std::min(entry->ask_at, earliest);
  update_deadline();
}

void NeighbourTable::on_link_up(Time now) {
  for (Entry& entry : entries_) {
    entry.ask_at = now;
    entry.asks = 0;
    entry.asks_everybody = true;
  }
  update_deadline();
}

std::optional<NeighbourAsk> NeighbourTable::next_ask(Time now) {
  if (now < deadline_) return std::nullopt;
  const auto is_due = [&](const Entry& entry) { return entry.holds > 0 && entry.ask_at == deadline_; };
  Entry& entry = *std::ranges::find_if(entries_, is_due);
  ++stats_.asks_sent;
  if (entry.asks == kAsksBeforeFailure && entry.mac) ++stats_.refreshes_failed;
  NeighbourAsk ask{.address = entry.address, .mac = {}};
  if (entry.asks == 0 && !entry.asks_everybody) ask.mac = entry.mac;
  const uint32_t doublings = std::min(entry.asks, 8U);
  entry.ask_at = now + std::min(kAskAgainFirst * (1U << doublings), kAskAgainMax);
  entry.asked_at = now;
  ++entry.asks;
  update_deadline();
  return ask;
}

std::optional<MacAddress> NeighbourTable::mac_of(NextHopId id) const {
  const Entry* entry = find(id);
  return entry == nullptr ? std::nullopt : entry->mac;
}

NeighbourTable::Entry* NeighbourTable::find(const IpAddress& address) {
  const auto is_it = [&](const Entry& entry) { return entry.serial != 0 && entry.address == address; };
  const auto found = std::ranges::find_if(entries_, is_it);
  return found == entries_.end() ? nullptr : &*found;
}

const NeighbourTable::Entry* NeighbourTable::find(NextHopId id) const {
  const size_t place = id.value() & 0xFFFF;
  const uint32_t serial = id.value() >> 16;
  if (place >= entries_.size() || serial == 0 || entries_[place].serial != serial) return nullptr;
  return &entries_[place];
}

NeighbourTable::Entry* NeighbourTable::place_for_new() {
  Entry* oldest = nullptr;
  for (Entry& entry : entries_) {
    if (entry.serial == 0) return &entry;
    if (entry.holds == 0 && (oldest == nullptr || entry.released < oldest->released)) oldest = &entry;
  }
  if (oldest != nullptr) ++stats_.evictions;
  return oldest;
}

void NeighbourTable::update_deadline() {
  deadline_ = kNever;
  for (const Entry& entry : entries_)
    if (entry.holds > 0) deadline_ = std::min(deadline_, entry.ask_at);
}

}  // namespace tideway::ip
