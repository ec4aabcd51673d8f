// SPDX-License-Identifier: Apache-2.0
#include "session/refusal_log.h"

#include "base/log.h"

#include <algorithm>

namespace tideway::session {
namespace {

constexpr Duration kLineEvery = std::chrono::seconds(1);

}  // namespace

void RefusalLog::refused(Time now, std::string_view who, const Error& why) {
  Cause& cause = causes_[why.fault];
  ++cause.unsaid;
  cause.who = who;
  cause.why = why.what;
  if (now >= cause.next) write(now, why.fault, cause);
}

void RefusalLog::tell(Time now) {
  for (auto& [fault, cause] : causes_)
    if (cause.unsaid > 0 && now >= cause.next) write(now, fault, cause);
}

Time RefusalLog::next_telling() const {
  Time next = kNever;
  for (const auto& [fault, cause] : causes_)
    if (cause.unsaid > 0) next = std::min(next, cause.next);
  return next;
}

void RefusalLog::write(Time now, Fault fault, Cause& cause) {
  const std::string_view code = row_of(fault).name;
  const uint64_t others = cause.unsaid - 1;
  std::string fields = "peer=" + cause.who + " code=" + std::string(code) + " why=\"" + cause.why + '"';
  log::add_count(fields, "and_others", others);
  log::info("session_refused", fields);
  AuditEvent event("session_refused");
  event.with("peer", cause.who).with("code", code).with("why", cause.why);
  if (others > 0) event.with("and_others", others);
  if (audit_) audit_(std::move(event));
  cause = {now + kLineEvery, 0, "", ""};
}

}  // namespace tideway::session
