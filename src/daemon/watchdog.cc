// SPDX-License-Identifier: Apache-2.0
#include "daemon/watchdog.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace tideway::daemon {
namespace {

std::optional<int64_t> positive(std::string_view text) {
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value <= 0) return std::nullopt;
  return value;
}

}  // namespace

Duration Watchdog::patience(const char* microseconds, const char* process, int64_t own_process) {
  if (microseconds == nullptr || (process != nullptr && positive(process) != own_process)) return {};
  constexpr int64_t kDay = 86'400'000'000;
  return std::chrono::microseconds(std::min(positive(microseconds).value_or(0), kDay));
}

bool Watchdog::beat(Time now, Time workers) {
  if (now < next_) return false;
  if (now - workers > kStill) {
    next_ = now + kStill / 10;  // it may only have been busy for long
    return false;
  }
  next_ = now + every_;
  return true;
}

}  // namespace tideway::daemon
