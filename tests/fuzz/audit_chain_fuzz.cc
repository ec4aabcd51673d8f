// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as lines of an audit log, as they are and behind a line of ours. What the check accepts ends with the hash of its
// last line, and the next line that we write goes on from there.
#include "daemon/audit_chain.h"

#include <tideway/check.h>

namespace {

using namespace tideway::daemon;

void check_chain(std::string_view text) {
  ChainCheck check;
  std::string_view last;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!check.take("audit.jsonl", line).ok()) return;
    last = line;
  }
  if (check.lines() == 0) return;
  const auto at = end_at(last);
  TIDEWAY_CHECK(at && *at == check.end());
  if (check.end().sequence == UINT64_MAX) return;
  ChainEnd end = check.end();
  const std::string next = next_line(end, "2026-11-26T00:00:00.000Z", "\"event\":\"started\"");
  TIDEWAY_CHECK(check.take("audit.jsonl", next).ok() && check.end() == end);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_chain(text);
  ChainEnd end;
  const std::string first = next_line(end, "2026-11-26T00:00:00.000Z", "\"event\":\"started\"");
  check_chain(first + '\n' + std::string(text));
  return 0;
}
