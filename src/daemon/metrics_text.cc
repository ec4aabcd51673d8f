// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics_text.h"

#include <cmath>
#include <cstdio>
#include <limits>

namespace tideway::daemon {
namespace {

constexpr std::string_view kTypes[] = {"counter", "gauge", "summary", "histogram"};

std::string escaped(const std::string& value) {
  std::string text;
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    if (c == '\n') text += "\\n";
    else text += c;
  }
  return text;
}

// Counters of bytes stay whole as far as a double is.
std::string text_of(double value) {
  char number[40];
  std::snprintf(number, sizeof number, std::isinf(value) ? "+Inf" : value == std::floor(value) ? "%.0f" : "%.15g", value);
  return number;
}

}  // namespace

MetricsText& MetricsText::family(std::string_view name, Type type, std::string_view help) {
  name_ = "tideway_" + std::string(name);
  text_ += "# HELP " + name_ + ' ' + std::string(help) + "\n# TYPE " + name_ + ' ' + std::string(kTypes[static_cast<size_t>(type)]) + '\n';
  return *this;
}

void MetricsText::line(std::string_view suffix, double value, const Labels& labels) {
  text_ += name_;
  text_ += suffix;
  for (size_t i = 0; i < labels.size(); ++i) {
    text_ += i == 0 ? '{' : ',';
    text_.append(labels[i].first).append("=\"").append(escaped(labels[i].second)).append("\"");
  }
  if (!labels.empty()) text_ += '}';
  text_ += ' ' + text_of(value) + '\n';
}

MetricsText& MetricsText::value(double value, const Labels& labels) {
  line("", value, labels);
  return *this;
}

MetricsText& MetricsText::summary(uint64_t count, double sum) {
  line("_count", static_cast<double>(count), {});
  line("_sum", sum, {});
  return *this;
}

MetricsText& MetricsText::histogram(std::span<const double> bounds, const Histogram& histogram) {
  uint64_t below = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    below += histogram.counts[i];
    line("_bucket", static_cast<double>(below), {{"le", text_of(bounds[i])}});
  }
  line("_bucket", static_cast<double>(histogram.all), {{"le", text_of(std::numeric_limits<double>::infinity())}});
  return summary(histogram.all, histogram.sum);
}

}  // namespace tideway::daemon
