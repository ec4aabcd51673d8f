// SPDX-License-Identifier: Apache-2.0
#include "base/amounts.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <span>

namespace tideway {
namespace {

// Above this a double no longer holds each integer of ours and an int64 of nanoseconds ends.
constexpr double kAmountMax = 9.0e18;
constexpr size_t kShownMax = 64;  // of a text that was refused; a wrong file may hold megabytes on a line

struct NamedUnit {
  std::string_view name;
  double factor;
};

constexpr NamedUnit kByteUnits[] = {
    {"B", 1},          {"kB", 1e3},         {"KB", 1e3},         {"MB", 1e6},          {"GB", 1e9},
    {"TB", 1e12},      {"PB", 1e15},        {"KiB", 0x1p10},     {"MiB", 0x1p20},      {"GiB", 0x1p30},
    {"TiB", 0x1p40},   {"PiB", 0x1p50},
};
constexpr NamedUnit kBitUnits[] = {
    {"bit", 1}, {"kbit", 1e3}, {"Kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}, {"Tbit", 1e12},
};
constexpr NamedUnit kTimeUnits[] = {
    {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9},
};

std::string quoted(std::string_view text) { return '"' + std::string(text.substr(0, kShownMax)) + '"'; }

struct Amount {
  double number;
  std::string_view digits, unit;
};

// A decimal number without sign or exponent, at most one space, and a unit that may be empty.
std::optional<Amount> split(std::string_view text) {
  size_t end = 0;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) ++end;
  double number = 0;
  const auto [stop, failure] = std::from_chars(text.data(), text.data() + end, number, std::chars_format::fixed);
  if (failure != std::errc() || stop != text.data() + end) return std::nullopt;
  Amount amount{number, text.substr(0, end), text.substr(end)};
  if (amount.unit.starts_with(' ')) amount.unit.remove_prefix(1);
  return amount;
}

std::optional<double> factor_of(std::string_view unit, std::span<const NamedUnit> units) {
  for (const NamedUnit& known : units)
    if (known.name == unit) return known.factor;
  return std::nullopt;
}

Error refused(std::string_view text, std::string why, std::string next) {
  return {Fault::kUsage, quoted(text) + ' ' + std::move(why), std::move(next)};
}

// Three significant digits, no trailing zeros, no exponent.
std::string short_number(double value) {
  char text[64];
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  std::string number = text;
  if (number.find('.') == number.npos) return number;
  while (number.back() == '0') number.pop_back();
  if (number.back() == '.') number.pop_back();
  return number;
}

// `value` in steps of `step`, with the name of the step it ends on.
std::string scaled(double value, double step, std::span<const std::string_view> names) {
  size_t i = 0;
  // 999.5 would show as 1000 of the smaller unit.
  while (i + 1 < names.size() && value >= step - 0.5) {
    value /= step;
    ++i;
  }
  return short_number(value) + ' ' + std::string(names[i]);
}

std::string bits_text(double bits) {
  static constexpr std::string_view kNames[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
  return scaled(bits, 1000, kNames);
}

std::string bytes_text(double bytes) {
  static constexpr std::string_view kNames[] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"};
  return scaled(bytes, 1000, kNames);
}

// What a rate without a usable unit could have meant.
std::string rate_readings(const Amount& amount) {
  std::string digits(amount.digits.substr(0, kShownMax));
  double scale = 1e9;
  std::string prefix = "G";
  if (const char c = amount.unit.empty() ? 'G' : amount.unit.front(); c == 'k' || c == 'K') {
    scale = 1e3, prefix = "k";
  } else if (c == 'M' || c == 'm') {
    scale = 1e6, prefix = "M";
  } else if (c == 'T' || c == 't') {
    scale = 1e12, prefix = "T";
  }
  return "write " + digits + prefix + "bit (" + bytes_text(amount.number * scale / 8) + ") or " + digits + prefix +
         "B (" + bits_text(amount.number * scale * 8) + ')';
}

}  // namespace

Result<Rate> parse_rate(std::string_view text) {
  if (text == "off") return Rate::unlimited();
  const auto amount = split(text);
  if (!amount) return refused(text, "is not a rate", "write a number and a unit, such as 10Gbit or 1.2GB, or off");
  std::string_view unit = amount->unit;
  if (unit.ends_with("/s")) unit.remove_suffix(2);
  double per_second = 0;
  if (const auto bits = factor_of(unit, kBitUnits)) {
    per_second = amount->number * *bits / 8;
  } else if (const auto bytes = factor_of(unit, kByteUnits)) {
    per_second = amount->number * *bytes;
  } else {
    return refused(text, unit.empty() ? "has no unit" : "has a unit that is not bit or B with a prefix",
                   rate_readings(*amount));
  }
  if (per_second < 1) return refused(text, "is no rate at all", "write at least 8bit, or off for no limit");
  if (per_second > kAmountMax) return refused(text, "is more than can be counted", "write off for no limit");
  return Rate::bytes_per_second(static_cast<uint64_t>(std::llround(per_second)));
}

Result<Bytes> parse_size(std::string_view text) {
  const auto amount = split(text);
  if (!amount) return refused(text, "is not a size", "write a number and a unit, such as 64KiB or 1.5GB");
  const auto factor = factor_of(amount->unit, kByteUnits);
  if (!factor) {
    const std::string digits(amount->digits.substr(0, kShownMax));
    return refused(text, amount->unit.empty() ? "has no unit" : "has a unit that is not B with a prefix",
                   "write " + digits + "GB (" + to_string(Bytes(static_cast<uint64_t>(
                       std::min(amount->number * 1e9, kAmountMax)))) + ") or " + digits + "GiB, " + digits + "MiB, " +
                       digits + "KiB, " + digits + 'B');
  }
  const double bytes = amount->number * *factor;
  if (bytes > kAmountMax) return refused(text, "is more than can be counted", "write a smaller size");
  return Bytes(static_cast<uint64_t>(std::llround(bytes)));
}

Result<Duration> parse_duration(std::string_view text) {
  const auto amount = split(text);
  if (!amount) return refused(text, "is not a time", "write a number and a unit, such as 25ms or 2h");
  if (amount->unit.empty() && amount->number == 0) return Duration(0);
  const auto factor = factor_of(amount->unit, kTimeUnits);
  if (!factor) {
    const std::string digits(amount->digits.substr(0, kShownMax));
    return refused(text, amount->unit.empty() ? "has no unit" : "has a unit that is not one of ns us ms s m h d",
                   "write " + digits + "ms or " + digits + "s (m is a minute, h an hour, d a day)");
  }
  const double ns = amount->number * *factor;
  if (ns > kAmountMax) return refused(text, "is more than can be counted", "write a shorter time");
  return Duration(std::llround(ns));
}

Result<double> parse_percent(std::string_view text) {
  if (text == "off" || text == "0") return 0.0;
  const auto amount = split(text);
  if (!amount) return refused(text, "is not a share", "write a number with a percent sign, such as 0.1%");
  if (amount->unit != "%") {
    const std::string digits(amount->digits.substr(0, kShownMax));
    return refused(text, amount->unit.empty() ? "has no unit" : "has a unit that is not %",
                   "write " + digits + "% or " + percent_to_string(amount->number));
  }
  if (amount->number > 100) return refused(text, "is more than all", "write at most 100%");
  return amount->number / 100;
}

std::string to_string(Rate rate) { return rate.is_unlimited() ? "off" : bits_text(rate.bits_per_second()); }

std::string to_string(Bytes size) {
  static constexpr std::string_view kNames[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  return scaled(static_cast<double>(size.count()), 1024, kNames);
}

std::string exact_to_string(Bytes size) {
  return size < 1_KiB ? to_string(size) : to_string(size) + " (" + std::to_string(size.count()) + " bytes)";
}

std::string to_string(Duration time) {
  const int64_t seconds = time.count() / 1'000'000'000;
  if (seconds < 60) {
    static constexpr std::string_view kNames[] = {"ns", "us", "ms", "s"};
    return scaled(static_cast<double>(time.count()), 1000, kNames);
  }
  char text[64];
  if (seconds < 3600) {
    std::snprintf(text, sizeof text, "%dm%02ds", static_cast<int>(seconds / 60), static_cast<int>(seconds % 60));
  } else if (seconds < 86400) {
    std::snprintf(text, sizeof text, "%dh%02dm", static_cast<int>(seconds / 3600),
                  static_cast<int>(seconds % 3600 / 60));
  } else {
    std::snprintf(text, sizeof text, "%lldd%dh", static_cast<long long>(seconds / 86400),
                  static_cast<int>(seconds % 86400 / 3600));
  }
  return text;
}

std::string percent_to_string(double share) {
  constexpr double kLeast = 1e-4;  // below, %g writes an exponent, which parse_percent does not read
  const double percent = share * 100;
  char text[64];
  std::snprintf(text, sizeof text, "%.4g%%", percent < kLeast ? 0 : percent);
  return text;
}

}  // namespace tideway
