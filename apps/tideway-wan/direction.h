// SPDX-License-Identifier: Apache-2.0
//
// One direction of the emulated link: takes frames from one port, asks the model what becomes of them, keeps them until they
// are due and sends them from the other port.
// Thread: main.
#pragma once
#include "port.h"
#include "port_bins.h"
#include "wan/delay_store.h"
#include "wan/link_model.h"

namespace tideway::wan {

// What must not happen while something is measured. Each is counted and reported, none is hidden in the link's own losses.
struct Mistakes {
  uint64_t superframes = 0;         // larger than the MTU: segmentation or receive offload is on
  uint64_t checksums_missing = 0;   // transmit checksum offload is on
  uint64_t ring_drops = 0;          // the emulator was too slow to take them
  uint64_t store_full = 0;          // no room to keep a frame
  uint64_t sends_refused = 0;       // by the kernel or by the receiving end of a virtual interface
  bool any() const { return superframes + checksums_missing + ring_drops + store_full + sends_refused > 0; }
};

struct Lateness {
  Duration sum{}, max{};
  uint64_t frames = 0;
  Duration mean() const { return frames == 0 ? Duration() : sum / static_cast<int64_t>(frames); }
};

class Direction {
 public:
  // The ports outlive the direction. Errors: config_invalid when the link needs more memory than we take.
  static Result<Direction> make(Time start, Port& from, Port& to, const LinkModel& model);

  // Takes what arrived, a bounded number. `wall_offset` turns wall time into Time. How many frames it took.
  size_t receive(Time now, Duration wall_offset);
  // From here on what is delivered is counted there. The bins outlive the direction.
  void count_in(PortBins& bins, PortBins::Way way) { bins_ = &bins, way_ = way; }
  // Sends what is due until then, a bounded number.
  void transmit(Time now, Time due_until);
  Time next_deadline() const { return store_.next_deadline(); }

  const LinkCounters& counters() const { return model_.counters(); }
  Bytes queue_limit() const { return wan::queue_limit(model_.config()); }
  const Lateness& lateness() const { return lateness_; }
  const Mistakes& mistakes();  // asks the kernel for its drops
  const Port& from() const { return from_; }
  const Port& to() const { return to_; }

 private:
  Direction(Time start, Port& from, Port& to, const LinkModel& model);
  void forward(Time arrived, const ReceivedFrame& frame);
  bool keep(const ReceivedFrame& frame, const Fate& fate);
  void send_all(std::span<const std::span<std::byte>> frames);

  Port& from_;
  Port& to_;
  LinkModel model_;
  DelayStore store_;
  Time arrived_last_;
  Lateness lateness_;
  Mistakes mistakes_;
  PortBins* bins_ = nullptr;
  PortBins::Way way_{};
};

}  // namespace tideway::wan
