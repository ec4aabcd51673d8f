// SPDX-License-Identifier: Apache-2.0
//
// Any text as a rate, a size, a time or a share. What is accepted is within its bounds, and reads back from what we
// write of it as nearly the same.
#include "base/amounts.h"

#include <tideway/check.h>

#include <cmath>

namespace {

using namespace tideway;

// Three digits are written, so half of the last one may be lost; and a unit below one.
bool is_near(double a, double b, double unit) { return std::abs(a - b) <= 0.006 * std::max(a, b) + unit; }

void check_rate(std::string_view text) {
  const auto rate = parse_rate(text);
  if (!rate.ok()) return;
  TIDEWAY_CHECK(rate.value() > Rate());
  const auto again = parse_rate(to_string(rate.value()));
  TIDEWAY_CHECK(again.ok());
  TIDEWAY_CHECK(again.value().is_unlimited() == rate.value().is_unlimited());
  TIDEWAY_CHECK(is_near(again.value().bits_per_second(), rate.value().bits_per_second(), 8));
}

void check_size(std::string_view text) {
  const auto amount = parse_size(text);
  if (!amount.ok()) return;
  const auto again = parse_size(to_string(amount.value()));
  TIDEWAY_CHECK(again.ok());
  TIDEWAY_CHECK(is_near(static_cast<double>(again.value().count()), static_cast<double>(amount.value().count()), 1));
}

void check_duration(std::string_view text) {
  const auto time = parse_duration(text);
  if (!time.ok()) return;
  TIDEWAY_CHECK(time.value() >= Duration());
  const std::string written = to_string(time.value());
  if (time.value() >= std::chrono::minutes(1)) return;  // for people only
  const auto again = parse_duration(written);
  TIDEWAY_CHECK(again.ok());
  TIDEWAY_CHECK(is_near(static_cast<double>(again.value().count()), static_cast<double>(time.value().count()), 1));
}

void check_percent(std::string_view text) {
  const auto share = parse_percent(text);
  if (!share.ok()) return;
  TIDEWAY_CHECK(share.value() >= 0 && share.value() <= 1);
  const auto again = parse_percent(percent_to_string(share.value()));
  TIDEWAY_CHECK(again.ok() && is_near(again.value(), share.value(), 1e-6));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_rate(text);
  check_size(text);
  check_duration(text);
  check_percent(text);
  return 0;
}
