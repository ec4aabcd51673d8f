// SPDX-License-Identifier: Apache-2.0
//
// The sections of a configuration as checked values: one struct each, with the defaults of keys that are left out.
// Thread: any. Pure.
#pragma once
#include "config/document.h"
#include "config/names.h"
#include "daemon/counter_name.h"
#include "job/spec.h"
#include "packet_io/dpdk_config.h"
#include "planner/timetable.h"
#include "planner/zone_rule.h"
#include "session/carrier_choice.h"
#include "session/grants.h"
#include "storage/direct_io.h"
#include <tideway/object_name.h>
#include <tideway/packet_io.h>
#include <tideway/time.h>
#include <tideway/units.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::config {

struct Site {
  std::string name, gateway, trust_domain;
  std::string state_dir = "/var/lib/tideway";
};

// Files; whether they may be read, and with which mode, is checked where they are opened.
struct Tls {
  std::string ca, cert, key;
  std::string crl;                 // empty: none
  std::vector<std::string> allow;  // identities and fingerprints to which the authority is narrowed; empty: all of it
};

struct Listen {
  std::optional<Endpoint> control;  // a gateway needs it, a direct copy does not
  std::string api;                  // unix socket; empty: none
  std::optional<Endpoint> metrics;
  std::optional<Endpoint> web;      // on the loopback
};

struct Engine {
  Bytes memory = 1_GiB;
};

enum class Fallback : uint8_t { kTls, kOff };

inline constexpr uint16_t kDataPorts = 64;  // from the configured one on; one per flow at most

inline constexpr uint64_t kDpdkMtuMin = 1'280, kDpdkMtuMax = 9'000;  // IPv6's least; the top of the path MTU ladder

// A port that the gateway owns instead of the kernel.
struct Dpdk {
  packet_io::DpdkConfig start;
  uint32_t queues = 0;  // pairs of each port, each with a net worker; 0: as many as the cores make of one port, else one
  enum class Fallback : uint8_t { kOff, kUdp } fallback = Fallback::kOff;  // kUdp: over [data_plane] address

  // 0: as many as the cores make.
  uint32_t net_workers() const {
    const auto ports = static_cast<uint32_t>(start.ports.size());
    return ports == 1 ? queues : std::max(queues, 1U) * ports;
  }
};

struct DataPlane {
  std::string backend = "udp";      // a name in the registry of packet backends
  std::optional<Endpoint> address;  // the first of kDataPorts; a gateway needs it, a direct copy does not
  uint32_t flows = 0;               // per session; 0: chosen from the net workers
  Rate rate = Rate::unlimited();    // of this gateway, all sessions together
  std::string congestion = "bbr";   // a name in the registry of controllers
  Fallback fallback = Fallback::kTls;
  Duration ask_udp_after = session::CarrierChoice::kAskAfter;  // how long packets go over TLS until UDP is asked for again, the first time
  std::string capture;              // file that a gateway captures its packets to; empty: none
  Dpdk dpdk;

  bool is_dpdk() const { return backend == "dpdk"; }
};

enum class IoMode : uint8_t { kAuto, kUring, kThreads };

struct Storage {
  IoMode io = IoMode::kAuto;
  storage::DirectIo direct_io = storage::DirectIo::kAuto;
  Duration staging_ttl = std::chrono::hours(7 * 24);  // of what unfinished transfers left
};

// zstd below level 1 and above 19 is for other uses: negative levels gain nothing here, 20 and up need a window that
// receivers refuse.
inline constexpr int kZstdLevelMin = 1, kZstdLevelMax = 19;

struct Compression {
  enum class Mode : uint8_t { kAuto, kOff, kZstd };
  Mode mode = Mode::kAuto;
  int level = 0;  // of kZstd only
};

struct Root {
  std::string name, path;
  std::string at;  // "file:line:column"
};

struct Grant {
  IdentityPattern peer;
  std::string root;
  ObjectName prefix;  // the root itself when not given
  session::GrantOps ops;
  session::GrantLimits limits;
  std::string at;  // for the log line of a decision
};

struct Peer {
  std::string name;
  Endpoint control;
  IdentityPattern identity;  // default: every gateway of the site of this name, in our trust domain
  Rate rate = Rate::unlimited();  // of what our jobs send to it, together
  std::string at;
};

// A site whose trees have to be signed.
struct Signer {
  std::string site, key;  // file of its public key
  std::string at;
};

// The network to a site, as far as what we send on it makes room for trainings.
struct Link {
  std::string peer;                 // the far site
  Rate capacity = Rate::unlimited();  // not known
  planner::Timetable timetable;
  planner::ZoneRule zone;
  enum class Kind : uint8_t { kDedicated, kShared, kMetered } kind = Kind::kShared;
  // kOwn: the network has a lower-effort queue, and that, not a gate, keeps bulk out of the way.
  enum class LowerEffort : uint8_t { kNone, kOwn } queue = LowerEffort::kNone;
  std::optional<Rate> leftover_floor;  // what planning counts on before the tide has been seen for three days
  double may_hurt = 0;              // of the link during bursts, for jobs that may and whose deadlines need it; 1: they compete
  std::string congestion;           // a name in the registry of controllers; empty: by kind, see config/phases.h
  Dscp dscp = Dscp::kLowerEffort;
  std::string at;
};

// What the jobs of a class may do, in the order of job::Class.
struct JobClassRules {
  Rate rate = Rate::unlimited();    // of all of them together
  uint32_t weight = 1;              // of each of them
  // kFair: nothing holds them back; kScavenge: they send in the gaps that trainings leave.
  enum class Mode : uint8_t { kScavenge, kFair } mode = Mode::kScavenge;
};
inline constexpr std::array<std::string_view, 4> kJobClasses = {"restore", "checkpoint", "staging", "best-effort"};

struct Schedule {
  std::string policy = "deadline";
  Duration queue_target = std::chrono::milliseconds(1);
  double slack = 0.1;               // kept free when planning
  double trickle = 0.002;           // of the remembered rate, while the gate is closed
  double interference_budget = 0.01;  // how much longer bulk may make iterations
};

// How trainers announce that they communicate.
struct Phase {
  std::optional<Endpoint> listen;   // UDP beacons
  std::string key_file, board;      // empty: none
  Duration ttl_max = std::chrono::seconds(60);
};

enum class PhaseSource : uint8_t { kApi = 1, kBoard = 2, kBeacon = 4 };

struct Training {
  std::string name;
  std::vector<std::string> peers;   // far ends of links that its bursts cross
  uint8_t sources = 7;              // bits of PhaseSource
  std::vector<daemon::CounterName> counters;  // that show its bursts
  Duration period_hint{};           // zero: not known
  std::string at;

  bool listens_to(PhaseSource source) const { return (sources & static_cast<uint8_t>(source)) != 0; }
};

// A directory of a trainer whose checkpoints are brought to other sites.
struct Watch {
  std::string root;
  ObjectName dir;                   // below the root
  std::string format = "auto";      // a word of checkpoint/assess.h
  std::string series;               // default: the directory
  std::vector<std::string> to;      // peer:root/path
  std::optional<Duration> rpo, deadline;
  Duration settle = std::chrono::seconds(2), poll = std::chrono::seconds(2);
  uint32_t world = 0;               // processes that save; 0: not known
  uint32_t keep = 0;                // at the targets; 0: all
  job::Class service = job::Class::kCheckpoint;
  uint32_t pins_max = 2;            // 0: no limit
  Bytes pin_bytes_max = Bytes::max();
  enum class Existing : uint8_t { kNewest, kAll, kNone } existing = Existing::kNewest;
  std::string at;
};

struct GatewayConfig {
  Site site;
  Tls tls;
  Listen listen;
  Engine engine;
  DataPlane data_plane;
  Storage storage;
  Compression compression;
  std::vector<Root> roots;
  std::vector<Grant> grants;
  std::vector<Peer> peers;
  std::string signing_key;  // file of our private key; empty: we sign nothing
  std::vector<Signer> signers;
  std::vector<Link> links;
  Schedule schedule;
  std::array<JobClassRules, 4> classes{JobClassRules{.rate = Rate::unlimited(), .weight = 1, .mode = JobClassRules::Mode::kFair}};
  Phase phase;
  std::vector<Training> trainings;
  std::vector<Watch> watches;
  std::vector<std::string> notes;  // what is accepted and has no effect
  std::vector<std::string> fixed;  // sections that are read at the start only, each as "[name] " and its text

  const Root* root_named(std::string_view name) const;
  const Peer* peer_named(std::string_view name) const;
};

// Fills the structs from a document that passed check_keys. Each value is checked by itself; what values mean to
// each other is config_file's part. Relative paths are below the directory of the file they stand in.
// Errors: config_invalid with file, line, column and the key.
Result<GatewayConfig> read_sections(const Table& document);

}  // namespace tideway::config
