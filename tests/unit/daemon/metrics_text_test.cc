// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace tideway::daemon {
namespace {

TEST(MetricsText, IsWhatAPrometheusServerReads) {
  MetricsText out;
  out.family("jobs_finished_total", MetricsText::Type::kCounter, "jobs that ended").value(3, {{"result", "published"}}).value(1, {{"result", "a \"b\"\\\n"}});
  out.family("bwlimit_bytes_per_second", MetricsText::Type::kGauge, "ceiling").value(std::numeric_limits<double>::infinity());
  out.family("store_duration_seconds", MetricsText::Type::kSummary, "writing").summary(2, 0.25);
  const double bounds[] = {0.001, 0.02, 1};
  out.family("flow_rtt_seconds", MetricsText::Type::kHistogram, "round trips").histogram(bounds, {{2, 3, 0}, 6, 1.5});
  EXPECT_EQ(out.text(),
            "# HELP tideway_jobs_finished_total jobs that ended\n# TYPE tideway_jobs_finished_total counter\n"
            "tideway_jobs_finished_total{result=\"published\"} 3\ntideway_jobs_finished_total{result=\"a \\\"b\\\"\\\\\\n\"} 1\n"
            "# HELP tideway_bwlimit_bytes_per_second ceiling\n# TYPE tideway_bwlimit_bytes_per_second gauge\ntideway_bwlimit_bytes_per_second +Inf\n"
            "# HELP tideway_store_duration_seconds writing\n# TYPE tideway_store_duration_seconds summary\n"
            "tideway_store_duration_seconds_count 2\ntideway_store_duration_seconds_sum 0.25\n"
            "# HELP tideway_flow_rtt_seconds round trips\n# TYPE tideway_flow_rtt_seconds histogram\n"
            "tideway_flow_rtt_seconds_bucket{le=\"0.001\"} 2\ntideway_flow_rtt_seconds_bucket{le=\"0.02\"} 5\n"
            "tideway_flow_rtt_seconds_bucket{le=\"1\"} 5\ntideway_flow_rtt_seconds_bucket{le=\"+Inf\"} 6\n"
            "tideway_flow_rtt_seconds_count 6\ntideway_flow_rtt_seconds_sum 1.5\n");
}

}  // namespace
}  // namespace tideway::daemon
