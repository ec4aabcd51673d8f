// SPDX-License-Identifier: Apache-2.0
//
// Metrics in the text format of Prometheus (0.0.4).
// Thread: any. Pure.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tideway::daemon {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// Observations by the smallest bound that they do not exceed; those above all bounds are in `all` alone.
struct Histogram {
  std::vector<uint64_t> counts;  // one of each bound
  uint64_t all = 0;
  double sum = 0;
};

class MetricsText {
 public:
  enum class Type : uint8_t { kCounter, kGauge, kSummary, kHistogram };
  // A family; `name` without "tideway_". Its values follow.
  MetricsText& family(std::string_view name, Type type, std::string_view help);
  MetricsText& value(double value, const Labels& labels = {});
  // Of a summary: how often, and the sum.
  MetricsText& summary(uint64_t count, double sum);
  MetricsText& histogram(std::span<const double> bounds, const Histogram& histogram);

  const std::string& text() const { return text_; }

 private:
  void line(std::string_view suffix, double value, const Labels& labels);
  std::string text_, name_;
};

}  // namespace tideway::daemon
