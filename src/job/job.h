// SPDX-License-Identifier: Apache-2.0
//
// A job: a transfer in the daemon's queue, from the moment it is taken in until it is over.
//
//              ┌────────────── due again ◀──────────────┐
//              ▼                                        │
//   queued ─ start ─▶ running ─ temporary trouble ─▶ waiting ── somebody ─▶ queued
//     ▲                  │                              │
//     └── resume ─ paused ◀──────── pause ──────────────┘
//   from any of these: cancel ─▶ cancelled; from running: published, failed
//
// A recurring job (`every`) never runs itself: it waits, and makes a run when one is due.
// Thread: any; a value. Pure.
#pragma once
#include "job/spec.h"
#include <tideway/ids.h>
#include <tideway/result.h>

#include <optional>
#include <string>
#include <string_view>

namespace tideway::job {

using JobId = std::string;  // 16 hex digits

inline constexpr size_t kSourcesMax = 64;
inline constexpr size_t kTextMax = 32 * 1024;        // of one address: a whole name
inline constexpr size_t kPatternsMax = 1024;         // filters, and names of `only`: a larger list is copied without the daemon
inline constexpr size_t kSubmissionIdMax = 128;
inline constexpr uint32_t kWeightMax = 1000;
inline constexpr std::chrono::milliseconds kEveryMin = std::chrono::seconds(10), kEveryMax = std::chrono::days(366);

enum class State : uint8_t { kQueued, kRunning, kWaiting, kPaused, kPublished, kFailed, kCancelled };
inline constexpr State kStates[] = {State::kQueued, State::kRunning,   State::kWaiting,  State::kPaused,
                                    State::kPublished, State::kFailed, State::kCancelled};
std::string_view to_string(State state);
std::optional<State> state_named(std::string_view name);
constexpr bool is_over(State state) { return state >= State::kPublished; }

// What a waiting job waits for: an error code, or a word of ours such as `every`.
struct Wait {
  std::string reason, what, next;
  bool operator==(const Wait&) const = default;
};

// What came from one of several sources.
struct SourceShare {
  std::string source;
  Bytes bytes;
  bool operator==(const SourceShare&) const = default;
};

struct Outcome {
  Hash256 root{};
  uint64_t entries = 0, failed = 0, skipped = 0, kept = 0, leaves_rejected = 0;
  Bytes bytes, bytes_sent, bytes_held;
  uint64_t milliseconds = 0;  // of the last attempt
  double ratio = 1, loss = 0;
  std::vector<SourceShare> sources = {};  // of what came from several
  bool operator==(const Outcome&) const = default;
};

struct EntryProblem {
  std::string path, code, detail;
  bool is_skipped = false;
  bool operator==(const EntryProblem&) const = default;
};
inline constexpr size_t kProblemsKept = 100;  // of one job; the rest is counted

// What holds a checkpoint while it is sent. kNone: nothing is to be held. kWanted: it is not known to be complete yet, so the job
// waits. kPinned: a pin. kInPlace: it could not be pinned, is read where it lies, and a change ends the job.
enum class Hold : uint8_t { kNone, kWanted, kPinned, kInPlace };
std::string_view to_string(Hold hold);
std::optional<Hold> hold_named(std::string_view name);

// A pin that another request for the same checkpoint came with. It stays until one of these jobs holds the checkpoint: the trainer may have
// deleted it since.
struct SparePin {
  std::string pin, request;  // its name, and the body it came with
  uint32_t owner = 0, gid = 0;   // of whoever asked, with the groups of that process: what they were allowed by
  std::vector<uint32_t> groups;
  std::vector<JobId> jobs;   // of that checkpoint
  bool operator==(const SparePin&) const = default;
};
inline constexpr size_t kSparesMax = 16;                // of one job
inline constexpr size_t kSpareRequestMax = 16 * 1024;  // bytes: they are written again with each change of the job

struct Job {
  JobId id;
  uint64_t number = 0;     // order of submission
  Spec spec;
  std::string request;     // the body it came with, in one spelling: the same submission_id with another one is a conflict
  uint32_t owner = 0;      // uid
  std::vector<uint32_t> groups;  // of the process that asked, its own one first; none: of a record that did not keep them
  std::string peer;        // of the remote side
  TransferId transfer{};   // a restarted daemon finds its staging by it
  State state = State::kQueued;
  std::optional<Wait> wait;    // of kWaiting
  std::optional<Error> error;  // of kFailed
  Bytes bytes_durable;         // at the sink, as it said when the last attempt ended: what is not sent again
  Bytes bytes_reached;         // the most that an attempt had there, verified or held; not kept over a restart
  uint32_t attempts = 0;       // that ended in trouble, since the last that made progress
  WallTime created{}, started{}, ended{};
  std::optional<Outcome> outcome;  // of kPublished
  std::vector<EntryProblem> problems;
  uint64_t lease_epoch = 0;
  JobId run_of;            // of a run: the recurring job
  uint64_t runs = 0;       // of a recurring job: made so far; of a run: its number
  WallTime due{};          // of a recurring job: the next run
  Hold hold = Hold::kNone;
  std::string pin;         // of kPinned
  std::vector<SparePin> spares;  // until it holds its checkpoint, or is over
  uint32_t sources_tried = 0;  // of a restore with alternatives, since one of them brought something
  bool is_at_risk = false; // its deadline is, as things stand
  JobId superseded_by;     // of a cancelled checkpoint: the newer one's
  WallTime removed{};      // of a published checkpoint: when it was taken away again for newer ones

  bool is_recurring() const { return spec.every.has_value() && run_of.empty(); }
};

// How long a copy of a series may take, so that the newest one is never older than `rpo`, if one is made every `interval`. Zero or
// less: there is no time for it at all.
std::chrono::milliseconds time_to_copy(std::chrono::milliseconds rpo, std::chrono::milliseconds interval);

// Errors: usage: a value that no job may have; unsupported: a field that is set and that nothing enforces yet.
Status check(const Spec& spec);

// What trouble means for the queue.
enum class Reaction : uint8_t {
  kRetry,  // it may have passed in a moment
  kWait,   // something must be put right first; looked at again now and then
  kFail,
};
Reaction reaction_to(Fault fault);

// Each tells whether anything changed. What is over stays as it is.
bool start(Job& job, WallTime now);
bool pause(Job& job);
bool resume(Job& job);
bool cancel(Job& job, WallTime now);
bool publish(Job& job, WallTime now, const Outcome& outcome);
// An attempt that got further than any before it made progress. One that only sent again what its peer had lost did not: a job
// on which its peer crashes would else be tried each half second for good.
enum class Progressed : uint8_t { kNo, kYes };
Progressed note_reached(Job& job, Bytes reached);
// After so many in a row without progress, each ended by the peer's end, a job does not go on just because the peer is back.
inline constexpr uint32_t kPeersLostMax = 3;
bool goes_on_when_back(const Job& job, Fault why);
// The next of the alternatives is tried, whose peer is `peer`. False: each had its turn.
bool try_next_source(Job& job, std::string peer);
// What is still missing comes from this one of its sources, whose peer is `peer`.
bool prefer_source(Job& job, const std::string& source, std::string peer);
// What waits will never be; it fails.
bool fail(Job& job, WallTime now, const Error& why);
// A checkpoint is complete and held: it may start.
bool take_hold(Job& job, Hold hold, std::string pin);
// Of a checkpoint that cannot be verified wherever it is: names the one that may be restored instead. `older`: see Spec; empty: there is none.
Error with_older(Error why, const std::string& older);
// An attempt ended in trouble: by reaction and patience the job waits or fails. After progress its retries start again.
bool stumble(Job& job, WallTime now, const Error& trouble, Progressed progressed);
// The daemon starts again: what ran then is queued.
void recover(Job& job);

// ---- recurring -----------------------------------------------------------------------------------------------------

// The run that is due, if any, with everything but an id and a transfer; moves the series on. Runs missed meanwhile collapse
// into this one.
std::optional<Job> next_run(Job& series, WallTime now);

}  // namespace tideway::job
