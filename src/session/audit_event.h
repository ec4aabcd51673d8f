// SPDX-License-Identifier: Apache-2.0
//
// One thing that happened and that somebody may have to account for later: who, what, by which grant, with which outcome.
// Its fields are members of a JSON object; names and texts of peers are escaped for display first.
// Thread: any; a value.
#pragma once
#include <tideway/object_name.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace tideway::session {

class AuditEvent {
 public:
  // What the log guarantees when the power fails. kSynced is for what cannot be undone, publish, overwrite and delete, and for the
  // leave to do it.
  enum class Care : uint8_t { kWritten, kSynced };

  // `event` and the names of fields are our own words: letters and "_".
  explicit AuditEvent(std::string_view event, Care care = Care::kWritten);
  AuditEvent& with(std::string_view name, std::string_view text);
  AuditEvent& with(std::string_view name, const ObjectName& path) { return add(name, to_display(path)); }
  AuditEvent& with(std::string_view name, uint64_t number);

  // Kept by the log until the event is on stable storage, or the log could not put it there and has said so: whoever is not to speak of it
  // before looks whether this has gone.
  AuditEvent& keeping(std::shared_ptr<const void> until_told) {
    kept_ = std::move(until_told);
    return *this;
  }
  std::shared_ptr<const void> take_kept() { return std::move(kept_); }

  const std::string& members() const { return members_; }  // "event":"published","bytes":7
  Care care() const { return care_; }

 private:
  AuditEvent& add(std::string_view name, std::string_view displayed);
  std::string members_;
  Care care_;
  std::shared_ptr<const void> kept_;
};

// Takes events in the order they happened and never waits; may be empty.
using AuditSink = std::function<void(AuditEvent)>;

}  // namespace tideway::session
