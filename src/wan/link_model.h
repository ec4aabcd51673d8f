// SPDX-License-Identifier: Apache-2.0
//
// One direction of a wide-area link: a frame comes in at a time, its fate comes out. A frame meets, in this order:
//
//   blackout -> MTU -> random loss -> drop-tail queue -> bottleneck rate -> delay, jitter, reordering -> copies, bit errors
//
// Random loss sits before the bottleneck, so that a lost frame takes none of its capacity and the share lost is the
// share asked for at any load. The model holds no frame; who uses it keeps the bytes until `deliver_at`.
// Used by tideway-wan with real frames and by the simulator with virtual ones.
// Thread: one owner. Pure.
#pragma once
#include "base/random.h"
#include "wan/impairments.h"
#include <tideway/units.h>

#include <array>
#include <optional>

namespace tideway::wan {

// Preamble and start (8), frame check sequence (4) and gap (12), which a link spends on each frame besides the bytes a
// capture shows. Frame sizes here are without them, with the Ethernet header (14).
inline constexpr Bytes kFrameOverhead = 24_B;
inline constexpr Bytes kEthernetHeader = 14_B;
// What an IP packet of this size costs the link: 1,500 bytes cost 1,538.
constexpr Bytes link_charge(Bytes ip_packet) { return ip_packet + kEthernetHeader + kFrameOverhead; }

inline constexpr Duration kQueueTimeMin = std::chrono::milliseconds(5);  // a queue shorter than this is a broken link, unless asked for

// In these windows the bottleneck has another rate, as where a shared link changes hands. A frame leaves at the rate that it meets when it comes.
struct Slowdown {
  Windows when = {};
  Rate rate = {};
};

struct LinkConfig {
  Rate rate = Rate::unlimited();
  Slowdown slowdown = {};          // of a link that has a rate
  Duration delay = {};             // one way
  std::optional<Bytes> queue = {};   // of charged bytes; not set: one BDP of a symmetric path, at least 5 ms
  Bytes mtu = Bytes::max();     // of the IP packet; larger frames vanish, as behind a router that sends no ICMP
  Bytes ce_mark = Bytes::max();  // frames that find this much queued are marked "congestion experienced"
  Impairments impairments = {};
};

// The queue this configuration means. Bytes::max() when the rate is unlimited, because then nothing ever waits.
Bytes queue_limit(const LinkConfig& config);

enum class DropCause : uint8_t { kBlackout, kMtu, kLoss, kQueue };
inline constexpr size_t kDropCauses = 4;
const char* name_of(DropCause cause);

struct Fate {
  std::optional<DropCause> dropped;  // set: nothing below means anything
  Time deliver_at{};
  uint8_t copies = 1;
  bool is_reordered = false;         // deliver_at lies behind that of frames offered later
  bool is_ce_marked = false;         // mark it, if its sender understands ECN
  std::optional<uint64_t> flip;      // damage it: flip_bits(bytes, *flip)
};

struct LinkCounters {
  uint64_t frames_in = 0, frames_delivered = 0, frames_duplicated = 0, frames_corrupted = 0, frames_reordered = 0,
           frames_ce_marked = 0;
  Bytes bytes_in, bytes_delivered;  // frame bytes, not charged ones
  std::array<uint64_t, kDropCauses> dropped{};
  Bytes queue_peak;                 // charged bytes waiting or on the wire
  uint64_t dropped_for(DropCause cause) const { return dropped[static_cast<size_t>(cause)]; }
};

class LinkModel {
 public:
  // `start` is the zero of all windows.
  LinkModel(Time start, const LinkConfig& config, uint64_t seed);

  // `now` never goes back. `frame` with Ethernet header, without FCS.
  Fate offer(Time now, Bytes frame);

  Time busy_until() const { return busy_until_; }  // the bottleneck's last frame leaves; in the past: it idles
  Bytes queued(Time now) const;                    // charged bytes waiting or on the wire
  const LinkCounters& counters() const { return counters_; }
  const LinkConfig& config() const { return config_; }
  Rate rate_at(Time now) const { return config_.slowdown.when.covers(now - start_) ? config_.slowdown.rate : config_.rate; }

 private:
  Fate drop(DropCause cause);
  void pass_bottleneck(Time now, Bytes charged);
  Time arrival(Fate& fate);

  const LinkConfig config_;
  const Bytes queue_limit_;
  const Time start_;
  Random random_;
  LossProcess loss_;
  JitterProcess jitter_;
  Time busy_until_;
  uint64_t carry_ = 0;  // of a division by the rate: what the last frame took beyond whole nanoseconds
  LinkCounters counters_;
};

}  // namespace tideway::wan
