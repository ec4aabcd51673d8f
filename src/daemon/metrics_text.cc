// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics_text.h"

#include <cmath>
#include <cstdio>

namespace tideway::daemon {
namespace {

constexpr std::string_view kTypes[] = {"counter", "gauge", "summary"};

std::string escaped(const std::string& value) {
  std::string text;
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    if (c == '\n') text += "\\n";
    else text += c;
  }
  return text;
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
  char number[40];
  // Counters of bytes stay whole as far as a double is.
  std::snprintf(number, sizeof number, std::isinf(value) ? " +Inf\n" : value == std::floor(value) ? " %.0f\n" : " %.15g\n", value);
  text_ += number;
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

}  // namespace tideway::daemon
