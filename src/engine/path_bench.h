// SPDX-License-Identifier: Apache-2.0
//
// What the data path costs on this machine: two ends move blocks from memory to memory for a while,
// in one process, each with a core of its own or both on one, or in a process each; and then the
// AEAD works alone on the same cores. No storage, no compression, no hashes, no control channel;
// sealing, acknowledging and pacing as always. Thread: it starts those of the ends;
// run_path_bench() returns when they have ended.
#pragma once
#include "base/stage_meter.h"
#include "engine/path_end.h"
#include "packet_io/registry.h"

#include <string>

namespace tideway::engine {

inline constexpr uint32_t kPathFlowsMax = 64;

struct PathBenchOrder {
  std::string backend;  // of packet_io
  enum class Ports : uint8_t {
    kApart,
    kJoined
  } ports = Ports::kApart;  // kJoined: in memory (registry.h)
  struct End {
    packet_io::PacketIoConfig packets;
    Endpoint local;
  } source, sink;
  Bytes mtu = Bytes(1500);
  uint32_t flows = 1;  // at most kPathFlowsMax
  // kProcessPerEnd: the sink runs in a child, which is made by fork; call it while this process has
  // no other thread. Its port is started after the source's.
  enum class Threads : uint8_t { kOnePerEnd, kOne, kProcessPerEnd } threads = Threads::kOnePerEnd;
  std::string congestion = "bbr";
  Duration measured = std::chrono::seconds(5);
  int stop_fd = -1;  // readable: end it
};

struct PathEndNumbers {
  StageCounts stages{};
  Duration took{};
  Duration cpu{};   // of its thread, within `took`; with one thread of both ends together
  // Of `cpu`, without looks that found nothing: what the end costs. Where others wanted the core, as
  // much as it may have been.
  Duration work{};
  uint64_t cycles = 0;        // within `took`
  Bytes payload;              // likewise, of whole blocks
  PathCounts whole_run;       // with the warm-up, as the next two
  Bytes path_mtu;             // that the flows found, if it sends
  uint64_t packets_lost = 0;  // as it judges
  Rate alone;                 // of the AEAD: the source seals, the sink opens
};

struct PathBenchNumbers {
  Duration took{};
  Bytes payload;              // of blocks that were complete at the sink
  Bytes packet_payload;       // of a full packet
  Bytes path_mtu;             // that the flows found
  uint64_t packets_lost = 0;  // of the whole run, as the source judges
  double cycles_per_ns = 0;
  PathEndNumbers source, sink;

  Rate rate() const { return Rate::of(payload, took); }
  // Of one core that does nothing but this end's work.
  Rate rate_of_core(const PathEndNumbers& end) const { return Rate::of(payload, end.work); }
};

// Errors: unsupported, cancelled, hash_mismatch (a block arrived damaged), udp_blocked (none
// arrived), peer_lost (the other end's process died), and those of the backend.
Result<PathBenchNumbers> run_path_bench(const PathBenchOrder& order);

}  // namespace tideway::engine
