// SPDX-License-Identifier: Apache-2.0
#include "packet_io/gso_runs.h"

namespace tideway::packet_io {
namespace {

bool is_alike(const Packet& a, const Packet& b) { return a.path == b.path && a.ecn == b.ecn; }

// Whether `next` may follow the full packets of `run`, the first of which is `first`.
bool fits(const GsoRun& run, const Packet& first, const Packet& next) {
  // An empty datagram would vanish within a run.
  return !next.bytes.empty() && next.bytes.size() <= run.segment && is_alike(first, next) &&
         run.packets < kRunPacketsMax && run.bytes + next.bytes.size() <= kRunBytesMax;
}

}  // namespace

size_t form_runs(std::span<const Packet> burst, Gso gso, std::span<GsoRun> out) {
  TIDEWAY_CHECK(out.size() >= burst.size());
  size_t runs = 0;
  for (size_t i = 0; i < burst.size();) {
    const Packet& first = burst[i];
    const auto size = static_cast<uint32_t>(first.bytes.size());
    GsoRun run{.packets = 1, .segment = size, .bytes = size};
    ++i;
    bool is_open = gso == Gso::kOn && size > 0;
    while (is_open && i < burst.size() && fits(run, first, burst[i])) {
      const auto next = static_cast<uint32_t>(burst[i].bytes.size());
      run.bytes += next;
      ++run.packets;
      is_open = next == run.segment;  // a shorter packet ends the run
      ++i;
    }
    out[runs++] = run;
  }
  return runs;
}

}  // namespace tideway::packet_io
