// SPDX-License-Identifier: Apache-2.0
#include "session/audit_event.h"

namespace tideway::session {
namespace {

constexpr size_t kTextMax = 4096;  // of one field: a peer chooses some of them, and an event is kept in memory

}  // namespace

AuditEvent::AuditEvent(std::string_view event, Care care)
    : members_("\"event\":\"" + std::string(event) + '"'), care_(care) {}

AuditEvent& AuditEvent::with(std::string_view name, std::string_view text) { return add(name, to_display(text.substr(0, kTextMax))); }

AuditEvent& AuditEvent::with(std::string_view name, uint64_t number) {
  members_.append(",\"").append(name).append("\":").append(std::to_string(number));
  return *this;
}

// Displayed text has no control characters left, so two characters are all that JSON asks for.
AuditEvent& AuditEvent::add(std::string_view name, std::string_view displayed) {
  members_.append(",\"").append(name).append("\":\"");
  for (const char c : displayed.substr(0, kTextMax)) {
    if (c == '"' || c == '\\') members_ += '\\';
    members_ += c;
  }
  members_ += '"';
  return *this;
}

}  // namespace tideway::session
