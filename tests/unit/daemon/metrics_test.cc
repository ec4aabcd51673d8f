// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics.h"

#include "crypto/sha256.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

TEST(Metrics, WhatWasSentIsSaidByPeerAndClass) {
  session::Traffic traffic;
  traffic.sent_of = {Bytes(5), Bytes(0), Bytes(40), Bytes(0), Bytes(300)};
  MetricsText out;
  add_sent(out, {{"wisconsin", traffic}});
  const std::string series = "\ntideway_sent_bytes_total{peer=\"wisconsin\",class=";
  for (const char* one : {"\"other\"} 5\n", "\"restore\"} 0\n", "\"checkpoint\"} 40\n", "\"staging\"} 0\n", "\"best-effort\"} 300\n"})
    EXPECT_NE(out.text().find(series + one), std::string::npos) << one << out.text();
}

TEST(Metrics, TheEndOfTheAuditLogIsWhatVerifyTakes) {
  ChainEnd end;
  next_line(end, "2026-11-26T02:50:00.123Z", "\"event\":\"started\"");
  MetricsText out;
  add_audit_end(out, end);
  const size_t at = out.text().find("\ntideway_audit_last_hash_info{seq=\"1\",hash=\"" + crypto::to_sha256_text(end.hash) + "\"} 1\n");
  EXPECT_NE(at, std::string::npos) << out.text();
  EXPECT_EQ(crypto::to_sha256_text(end.hash).size(), std::string("sha256:").size() + 64);
}

TEST(Metrics, WhereNoAuditLogIsWrittenNoneIsSaid) {
  MetricsText out;
  add_audit_end(out, {});
  add_audit_end(out, ChainEnd{});
  EXPECT_EQ(out.text(), "");
}

}  // namespace
}  // namespace tideway::daemon
