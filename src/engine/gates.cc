// SPDX-License-Identifier: Apache-2.0
#include "engine/gates.h"

#include <bit>

namespace tideway::engine {
namespace {

uint64_t pack(Time time) { return static_cast<uint64_t>(time.time_since_epoch().count()); }
Time unpack(uint64_t field) { return Time(Duration(static_cast<int64_t>(field))); }

}  // namespace

void GateWord::write(const GateNews& news) {
  const gate::GateSignal& signal = news.signal;
  const uint64_t version = version_.load(std::memory_order_relaxed) & ~uint64_t{1};
  version_.store(version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  const auto set = [this](size_t i, uint64_t value) { fields_[i].store(value, std::memory_order_relaxed); };
  set(0, pack(signal.closed_until));
  set(1, pack(signal.guard_from));
  set(2, pack(signal.guard_until));
  const auto period_us = static_cast<uint32_t>(signal.period / std::chrono::microseconds(1));
  set(3, uint64_t{period_us} << 32 | static_cast<uint64_t>(signal.backoffs) << 24 | uint64_t{signal.training} << 8 | static_cast<uint64_t>(signal.reason));
  set(4, news.board_slots);
  const auto queue_us = static_cast<uint32_t>(news.queue_target / std::chrono::microseconds(1));
  set(5, uint64_t{queue_us} << 32 | std::bit_cast<uint32_t>(static_cast<float>(news.trickle)));
  version_.store(version + 2, std::memory_order_release);
}

std::optional<GateNews> GateWord::read() const {
  const uint64_t version = version_.load(std::memory_order_acquire);
  const auto get = [this](size_t i) { return fields_[i].load(std::memory_order_relaxed); };
  GateNews news;
  news.signal.closed_until = unpack(get(0));
  news.signal.guard_from = unpack(get(1));
  news.signal.guard_until = unpack(get(2));
  const uint64_t rest = get(3);
  news.board_slots = get(4);
  const uint64_t tightness = get(5);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (version % 2 != 0 || version_.load(std::memory_order_relaxed) != version) return std::nullopt;
  news.signal.period = std::chrono::microseconds(rest >> 32);
  news.signal.backoffs = static_cast<gate::GateSignal::BackOffs>(rest >> 24 & 1);
  news.signal.training = static_cast<uint16_t>(rest >> 8);
  news.signal.reason = static_cast<gate::GateReason>(rest & 0xFF);
  news.trickle = static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(tightness)));
  news.queue_target = std::chrono::microseconds(tightness >> 32);
  return news;
}

}  // namespace tideway::engine
