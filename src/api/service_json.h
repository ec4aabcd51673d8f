// SPDX-License-Identifier: Apache-2.0
//
// What the API says of the gateway itself.
// Thread: any. Pure.
#pragma once
#include "job/spec.h"
#include <tideway/result.h>
#include <tideway/units.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::api {

struct PeerState {
  std::string name, control, identity;
  uint64_t sessions = 0;     // that our jobs use
  bool is_up = false;
  uint64_t bytes_sent = 0, bytes_received = 0;
  // While there is a session: `udp` or `tls`, the shortest round trip and the largest UDP payload that all open flows take, and when its certificate ends.
  std::string carrier;
  std::optional<double> rtt_s;
  std::optional<uint64_t> path_mtu;
  std::optional<job::WallTime> certificate_ends;
};
std::string to_json(const std::vector<PeerState>& peers);
Result<std::vector<PeerState>> parse_peers(std::string_view text);

struct RootState {
  std::string name, path;
  uint64_t bytes_free = 0;
};
std::string to_json(const std::vector<RootState>& roots);
Result<std::vector<RootState>> parse_roots(std::string_view text);

// The ceiling of the gateway: `rate_bits` null is none. With `for_s` the one before comes back after so many seconds.
struct RateState {
  Rate rate = Rate::unlimited();
  std::optional<uint64_t> seconds;
};
std::string to_json(const RateState& state);
Result<RateState> parse_rate_state(std::string_view text);

struct JobChange {
  std::optional<Rate> rate;
  std::optional<std::string> service;  // class
  std::optional<uint32_t> weight;
  std::optional<std::optional<job::WallTime>> deadline;  // null: none any more
};
// Errors: usage; unsupported for fields that nothing enforces yet.
Result<JobChange> parse_change(std::string_view text);
std::string to_json(const JobChange& change);

struct Health {
  bool is_well = true;
  std::string store;       // "ok", or what is wrong
  uint64_t running = 0, queued = 0, waiting = 0;
};
std::string to_json(const Health& health);

struct ConfigState {
  std::string file;
  std::vector<std::string> sections;  // those in force, without secrets
  std::optional<Error> reload_failed; // why the last one was not taken up
};
std::string to_json(const ConfigState& state);
struct Version {
  std::string_view program;
  uint32_t protocol = 0;
  std::string site, gateway;  // in our certificate
};
std::string to_json(const Version& version);

}  // namespace tideway::api
