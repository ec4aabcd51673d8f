// SPDX-License-Identifier: Apache-2.0
//
// How trouble from outside travels: a Result holds a value or an Error, and nobody may drop it. An Error names one
// Fault of the public catalogue (stable code, exit code, what a program can do about it), says in one sentence what
// happened where and why, and in a second one what to do next.
#pragma once
#include <tideway/check.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tideway {

// By what the caller can do about it.
enum class ErrorCode : uint8_t {
  kRetryLater,   // temporary; the same call may work later
  kPeerGone,     // unreachable, closed, or silent too long
  kTimedOut,     // the caller's deadline passed
  kCorrupt,      // a hash, tag or format is wrong
  kNotFound,     // the source is missing, or changed while it was read
  kDenied,       // certificate, grant, name outside its root
  kStorage,      // destination full, read-only, or failing
  kInvalid,      // usage or configuration
  kUnsupported,  // this build or this peer cannot
  kCancelled,    // someone asked for it
};

// The public catalogue: names and exit codes change only by adding. One row per fault in kFaults below, in this order.
enum class Fault : uint8_t {
  kEntriesFailed, kNameCollision, kTypeConflict, kDestExists, kDestTooBig, kCancelled,
  kUnsupported, kUsage, kConfigInvalid, kNameReserved, kVerifyUnavailable,
  kDaemonUnreachable, kPeerUnreachable, kPeerLost, kProtocolVersion, kProtocolError,
  kAuthFailed, kDenied, kLimitExceeded,
  kSourceMissing, kSourceChanged, kSourceVanished, kSourceIo,
  kDestFull, kDestQuota, kDestInodes, kDestIo, kDestReadonly, kDestUnmounted, kDestStalled, kDestDenied,
  kDestCrossDevice,
  kHashMismatch, kManifestMismatch, kBadCompression,
  kNothingToDo, kDestBusy, kOverloaded, kNoMemory, kDeadline,
  kUnsafeLink, kSpecialFile, kUdpBlocked, kNoHugepages, kLeaseLost, kSubmissionConflict, kStoreUnavailable, kStateNewer,
  kSourceCorrupt, kNotComplete, kStateLocked,
};

struct FaultRow {
  Fault fault;
  std::string_view name;  // stable: error text, JSON, metrics
  int exit_code;
  ErrorCode reaction;
};

inline constexpr FaultRow kFaults[] = {
    {Fault::kEntriesFailed, "entries_failed", 1, ErrorCode::kNotFound},
    {Fault::kNameCollision, "name_collision", 1, ErrorCode::kStorage},
    {Fault::kTypeConflict, "type_conflict", 1, ErrorCode::kStorage},
    {Fault::kDestExists, "dest_exists", 1, ErrorCode::kStorage},
    {Fault::kDestTooBig, "dest_too_big", 1, ErrorCode::kStorage},
    {Fault::kCancelled, "cancelled", 1, ErrorCode::kCancelled},
    {Fault::kUnsupported, "unsupported", 1, ErrorCode::kUnsupported},
    {Fault::kUsage, "usage", 2, ErrorCode::kInvalid},
    {Fault::kConfigInvalid, "config_invalid", 3, ErrorCode::kInvalid},
    {Fault::kNameReserved, "name_reserved", 3, ErrorCode::kInvalid},
    {Fault::kVerifyUnavailable, "verify_unavailable", 3, ErrorCode::kUnsupported},
    {Fault::kDaemonUnreachable, "daemon_unreachable", 4, ErrorCode::kPeerGone},
    {Fault::kPeerUnreachable, "peer_unreachable", 4, ErrorCode::kPeerGone},
    {Fault::kPeerLost, "peer_lost", 4, ErrorCode::kPeerGone},
    {Fault::kProtocolVersion, "protocol_version", 4, ErrorCode::kUnsupported},
    {Fault::kProtocolError, "protocol_error", 4, ErrorCode::kCorrupt},
    {Fault::kAuthFailed, "auth_failed", 5, ErrorCode::kDenied},
    {Fault::kDenied, "denied", 5, ErrorCode::kDenied},
    {Fault::kLimitExceeded, "limit_exceeded", 5, ErrorCode::kDenied},
    {Fault::kSourceMissing, "source_missing", 6, ErrorCode::kNotFound},
    {Fault::kSourceChanged, "source_changed", 6, ErrorCode::kNotFound},
    {Fault::kSourceVanished, "source_vanished", 6, ErrorCode::kNotFound},
    {Fault::kSourceIo, "source_io", 6, ErrorCode::kNotFound},
    {Fault::kDestFull, "dest_full", 7, ErrorCode::kStorage},
    {Fault::kDestQuota, "dest_quota", 7, ErrorCode::kStorage},
    {Fault::kDestInodes, "dest_inodes", 7, ErrorCode::kStorage},
    {Fault::kDestIo, "dest_io", 7, ErrorCode::kStorage},
    {Fault::kDestReadonly, "dest_readonly", 7, ErrorCode::kStorage},
    {Fault::kDestUnmounted, "dest_unmounted", 7, ErrorCode::kStorage},
    {Fault::kDestStalled, "dest_stalled", 7, ErrorCode::kStorage},
    {Fault::kDestDenied, "dest_denied", 7, ErrorCode::kStorage},
    {Fault::kDestCrossDevice, "dest_cross_device", 7, ErrorCode::kStorage},
    {Fault::kHashMismatch, "hash_mismatch", 8, ErrorCode::kCorrupt},
    {Fault::kManifestMismatch, "manifest_mismatch", 8, ErrorCode::kCorrupt},
    {Fault::kBadCompression, "bad_compression", 8, ErrorCode::kCorrupt},
    {Fault::kNothingToDo, "nothing_to_do", 9, ErrorCode::kInvalid},
    {Fault::kDestBusy, "dest_busy", 10, ErrorCode::kRetryLater},
    {Fault::kOverloaded, "overloaded", 10, ErrorCode::kRetryLater},
    {Fault::kNoMemory, "no_memory", 10, ErrorCode::kRetryLater},
    {Fault::kDeadline, "deadline", 11, ErrorCode::kTimedOut},
    {Fault::kUnsafeLink, "unsafe_link", 12, ErrorCode::kDenied},
    {Fault::kSpecialFile, "special_file", 12, ErrorCode::kUnsupported},
    {Fault::kUdpBlocked, "udp_blocked", 4, ErrorCode::kPeerGone},
    {Fault::kNoHugepages, "no_hugepages", 3, ErrorCode::kInvalid},
    {Fault::kLeaseLost, "lease_lost", 10, ErrorCode::kDenied},
    {Fault::kSubmissionConflict, "submission_conflict", 1, ErrorCode::kInvalid},
    {Fault::kStoreUnavailable, "store_unavailable", 10, ErrorCode::kRetryLater},
    {Fault::kStateNewer, "state_newer", 3, ErrorCode::kInvalid},
    {Fault::kSourceCorrupt, "source_corrupt", 8, ErrorCode::kCorrupt},
    {Fault::kNotComplete, "not_complete", 6, ErrorCode::kNotFound},
    {Fault::kStateLocked, "state_locked", 10, ErrorCode::kRetryLater},
};

constexpr const FaultRow& row_of(Fault fault) { return kFaults[static_cast<size_t>(fault)]; }

// Whether an entry with this fault is left out and the rest goes on, as opposed to one that failed.
constexpr bool is_skip(Fault fault) { return row_of(fault).exit_code == row_of(Fault::kSpecialFile).exit_code; }

// The fault a peer named; nothing when this version does not know it.
constexpr std::optional<Fault> fault_named(std::string_view name) {
  for (const FaultRow& row : kFaults)
    if (row.name == name) return row.fault;
  return std::nullopt;
}

struct Error {
  Fault fault;
  std::string what;  // one sentence: where, which object, which values, why
  std::string next;  // what a person can do; may be empty

  ErrorCode code() const { return row_of(fault).reaction; }
  std::string_view name() const { return row_of(fault).name; }
  int exit_code() const { return row_of(fault).exit_code; }
};

struct Unit {};

// A T or an Error. Asking for the value of an Error is a failed check.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return held_.index() == 0; }
  T& value() & { TIDEWAY_CHECK(ok()); return *std::get_if<0>(&held_); }
  const T& value() const& { TIDEWAY_CHECK(ok()); return *std::get_if<0>(&held_); }
  T&& value() && { TIDEWAY_CHECK(ok()); return std::move(*std::get_if<0>(&held_)); }
  const Error& error() const& { TIDEWAY_CHECK(!ok()); return *std::get_if<1>(&held_); }
  Error&& error() && { TIDEWAY_CHECK(!ok()); return std::move(*std::get_if<1>(&held_)); }

 private:
  std::variant<T, Error> held_;
};

using Status = Result<Unit>;
inline Status success() { return Status(Unit{}); }

}  // namespace tideway
