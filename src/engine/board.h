// SPDX-License-Identifier: Apache-2.0
//
// Counters that one thread writes and any may read: the numbers behind the progress line. Relaxed on purpose; a
// reader wants a recent value, not an order.
// Thread: the writer named with each struct; readers any.
#pragma once
#include "mem/packed_block.h"
#include <tideway/units.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

namespace tideway::engine {

class Counter {
 public:
  void set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(uint64_t more) { set(get() + more); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// One transfer. Written by its home io worker.
struct alignas(64) TransferBoard {
  Counter entries, bytes_listed;      // named so far
  Counter bytes_needed;               // of these, what has to cross
  Counter bytes_held;                 // of these, what the sink has from an earlier run
  Counter bytes_raw, bytes_packed;    // of the blocks made or unpacked here: their ratio is the compression
  Counter bytes_verified;             // hashes agreed at the sink, written there
  Counter bytes_durable;              // on stable storage at the sink and recorded there, with what it held
  Counter leaves_rejected;            // came to the sink, or back from its device, with a wrong hash, and are sent again
  Counter failed, skipped, kept;
  Counter is_scanning;                // 1 while the list is not complete
  // What blocks met here, which tells where they have to wait (session/stall.h).
  Counter blocks;                     // a source's, that a lane started; a sink's, that came unpacked
  Counter blocks_dry;                 // a source's, with no other one ready behind it
  Counter is_piled_up;                // a source's: 1 while half of the blocks that it may have ready, or more, wait for a lane
  Counter blocks_uncredited;          // a source's, that had to wait until the sink had room
  Counter blocks_unwritten;           // a sink's, before which others waited to be written
  Counter blocks_queued;              // a sink's, behind which others waited to be unpacked
};

// Sources that one tree is gathered from at once: more than fill a link are rare, and each costs buffers.
inline constexpr uint32_t kGatherSourcesMax = 4;

// What is gathered from several sources. Written by its home io worker.
struct alignas(64) GatherBoard {
  Counter bytes_listed;                   // once the list is known
  Counter bytes_held;                     // of these, what the sink had before
  Counter bytes_missing;                  // what was to be gathered; zero: it is not known yet
  Counter bytes_of[kGatherSourcesMax];    // verified and written, of each source
  Counter bytes_durable;
  Counter is_shunned[kGatherSourcesMax];  // 1: it keeps the others waiting, or some of it is damaged: what is left is asked of another
  Counter is_over;                        // 1: nothing more is gathered
};

// The io worker, written by itself.
struct alignas(64) IoBoard {
  Counter syncs, sync_ns;     // of batches of what was written, and how long all of them took
  Counter bytes_undurable;    // written and not durable yet, of all transfers
  Counter stalls_sync;        // times that nothing more was written because too much was not durable
  Counter bytes_read_back;    // from the device, behind a sync, of transfers that are verified so
  Counter bytes_unverified;   // of these, written and not read back yet
  Counter publishes_lost;     // begun by an earlier process, with neither what was to be published nor what was staged there any more
};

// One flow. Written by its net worker about ten times a second.
struct alignas(64) FlowBoard {
  Counter packets_sent, packets_lost, bytes_sent, bytes_received;  // UDP payload
  Counter rtt_ns, rate_bytes_per_second, path_mtu;
  Counter is_open;                                                 // 1 while packets cross
};

// One lane. Written by its net worker.
struct LaneBoard {
  explicit LaneBoard(size_t flow_count) : flows(flow_count) { rate_allowed.set(Rate::unlimited().bytes_per_second()); }
  std::vector<FlowBoard> flows;
  // What the flows sent, by the class of its transfer. Acks and all that is no data are kOther, so that the sum is theirs.
  std::array<Counter, kAccounts> bytes_sent;
  Counter rate_allowed;                                            // it could send at this rate if it wanted, as others share one with it: bytes per second
  Counter unsent;                                                  // bytes of blocks that have begun, which have not left once
  alignas(64) Counter held_by_credit;                              // turns in which a block had to wait for it
};

// One net worker, written by itself but for the ceiling.
struct alignas(64) NetBoard {
  Counter ceiling;                                               // the gateway's rate, in bytes per second; control writes it
  // What it could use of the gateway's rate, in bytes per second. Each worker works out the same shares from all of these,
  // so that none has to be asked.
  Counter rate_wanted;
  Counter turned_ns;  // when its loop began its last turn; it never sleeps for long
  Counter packets_lost_received, packets_lost_sent;  // on this host; see PacketIoLosses
  Counter dropped_auth, dropped_replay, dropped_refused, dropped_malformed, dropped_short, dropped_unknown, dropped_foreign;
};

}  // namespace tideway::engine
