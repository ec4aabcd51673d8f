// SPDX-License-Identifier: Apache-2.0
#include "session/audit_event.h"

namespace tideway::session {
namespace {

constexpr size_t kTextMax = 4096;  // of one field: a peer chooses some of them, and an event is kept in memory

// The front of a text, without half a character at its end.
std::string_view front_of(std::string_view text) {
  if (text.size() <= kTextMax) return text;
  size_t size = kTextMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

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
  for (const char c : front_of(displayed)) {
    if (c == '"' || c == '\\') members_ += '\\';
    members_ += c;
  }
  members_ += '"';
  return *this;
}

}  // namespace tideway::session
