// SPDX-License-Identifier: Apache-2.0
//
// A job as the API shows it: what the store keeps of it, and how far it is.
// Thread: any. Pure.
#pragma once
#include "job/job.h"
#include <tideway/result.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::api {

// Of a running job.
struct Progress {
  std::string stage;    // connect, scan, send, publish
  std::string backend;  // of packets
  uint64_t entries = 0, failed = 0, skipped = 0, kept = 0;
  Bytes bytes_needed, bytes_verified, bytes_durable, bytes_held, bytes_raw, bytes_packed;
  uint64_t packets_sent = 0, packets_lost = 0, flows = 0, path_mtu = 0, rtt_ns = 0, host_lost_received = 0, host_lost_sent = 0;
  std::vector<job::SourceShare> sources = {};  // what each has brought so far, while it comes from several
  bool operator==(const Progress&) const = default;
};

// When a job will be done, as things stand.
struct Forecast {
  std::optional<job::WallTime> eta, latest;  // as usual, and in nine of ten days no later
  std::string confidence;                    // high, medium, low: how much is known of the link and of the jobs before it
  bool operator==(const Forecast&) const = default;
};

struct JobView {
  job::Job job;
  std::optional<Progress> progress;
  std::string held_by = {};  // why it is not sending although it could run; empty: it is, or `job.wait` says it
  std::optional<Forecast> forecast = {};
};

std::string to_json(const JobView& view);
// Errors: usage: it is none.
Result<JobView> parse_view(std::string_view text);

// One page of a list; `next` is what the next one comes after, empty when there is none.
struct JobPage {
  std::vector<JobView> jobs;
  std::string next;
};
std::string to_json(const JobPage& page);
Result<JobPage> parse_page(std::string_view text);

std::string entries_to_json(const std::vector<job::EntryProblem>& problems, uint64_t failed, uint64_t skipped);
Result<std::vector<job::EntryProblem>> parse_entries(std::string_view text);

}  // namespace tideway::api
