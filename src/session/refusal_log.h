// SPDX-License-Identifier: Apache-2.0
//
// What is said of those who were not let in: one line per second and cause, and how many there were besides, so that a
// flood of strangers fills neither the log nor the audit log.
// Thread: control.
#pragma once
#include "session/audit_event.h"

#include <tideway/result.h>
#include <tideway/time.h>

#include <cstdint>
#include <map>
#include <string>

namespace tideway::session {

class RefusalLog {
 public:
  explicit RefusalLog(AuditSink audit) : audit_(std::move(audit)) {}

  // A connection that ended before its peer was authorised. `who` is an address, or an identity that was shown.
  void refused(Time now, std::string_view who, const Error& why);
  // Says what no line was written for, once its second is over.
  void tell(Time now);
  Time next_telling() const;

 private:
  struct Cause {
    Time next{};         // when the next line may be written
    uint64_t unsaid = 0;
    std::string who;     // the last of those
    std::string why;
  };
  void write(Time now, Fault fault, Cause& cause);

  AuditSink audit_;
  std::map<Fault, Cause> causes_;  // no more than there are faults
};

}  // namespace tideway::session
