// SPDX-License-Identifier: Apache-2.0
//
// What trainers say to a gateway about checkpoints, and what it answers.
// Thread: any. Pure.
#pragma once
#include "job/job.h"
#include <tideway/result.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::api {

inline constexpr size_t kTargetsMax = 16;   // of one checkpoint
inline constexpr size_t kPointersMax = 8, kSeriesMax = 255;

// The body of POST /v1/checkpoints.
struct CheckpointRequest {
  std::string submission_id, series, path, pin, format = "auto", publish = "rename";
  std::optional<uint64_t> step;          // absent: the number in its name
  std::vector<std::string> to, pointers;
  enum class Source : uint8_t { kWhole, kGrowing } source = Source::kWhole;  // kGrowing: it is being written, until /complete
  std::optional<std::chrono::milliseconds> rpo;
  job::Checkpoint::Supersede supersede = job::Checkpoint::Supersede::kLatest;
  uint32_t world = 0, keep = 0;
  std::optional<job::WallTime> deadline;
  std::map<std::string, std::string> labels;
  std::chrono::milliseconds settle = job::Checkpoint().settle;  // of a watch, like the next; no field of the body
  job::Class service = job::Class::kCheckpoint;
};
// Errors: usage; unsupported: a field that asks for something that no part of this version does.
Result<CheckpointRequest> parse_checkpoint(std::string_view body);
std::string to_json(const CheckpointRequest& request);

// The body of POST /v1/checkpoints/{id}/ranges: bytes of a file in it that will not change any more.
struct DeclaredRange {
  std::string path;
  uint64_t offset = 0, length = 0;
};
Result<DeclaredRange> parse_range(std::string_view body);
// Of POST /v1/checkpoints/{id}/complete: the pin that the trainer made, if it did.
Result<std::string> parse_complete(std::string_view body);

// The body of POST /v1/restore: either of a series that this gateway has sent, or from somewhere.
struct RestoreRequest {
  std::string submission_id, series, from, destination, verify = "memory";
  std::optional<uint64_t> step;          // absent: the newest
  std::vector<std::string> include;      // empty: all
  enum class Fallback : uint8_t { kNo, kToOlder } fallback = Fallback::kNo;
  job::Patience patience = job::Patience::kJob;
};
Result<RestoreRequest> parse_restore(std::string_view body);
std::string to_json(const RestoreRequest& request);

// Which of the bodies of POST /v1/checkpoints, /v1/jobs and /v1/restore it is, where no path says so: they tell themselves apart by their
// fields. Errors: usage: it is no object.
enum class RequestKind : uint8_t { kCheckpoint, kJob, kRestore };
Result<RequestKind> kind_of(std::string_view body);

// What the two of them answer: the first job's id, and all of them.
std::string accepted_to_json(const std::vector<job::JobId>& jobs, job::State state);
// Errors: usage.
Result<job::JobId> parse_accepted(std::string_view text);

// One line of GET /v1/checkpoints: a step of a series, wherever it goes.
struct CheckpointRow {
  std::string series;
  std::optional<uint64_t> step;
  std::vector<std::string> sites;        // where it is published
  std::string root_hash;
  Bytes bytes;
  std::optional<job::WallTime> published_at;
  std::string state;                     // published: somewhere; else of the job that is furthest
  std::vector<job::JobId> jobs;
};
std::string to_json(const std::vector<CheckpointRow>& rows);

}  // namespace tideway::api
