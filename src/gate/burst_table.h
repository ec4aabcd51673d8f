// SPDX-License-Identifier: Apache-2.0
//
// Which trainings communicate now, and until when at most. A training's burst lasts while any of its members has begun and
// not ended; who begins and who ends may be two processes. What nobody ends runs out by its time to live.
// Thread: beacon. Pure.
#pragma once
#include "gate/gate.h"
#include "gate/phase_event.h"

#include <cstddef>
#include <vector>

namespace tideway::gate {

inline constexpr size_t kLinksMax = 64;

// The links of this gateway on which something holds: bit i is link i.
using LinkSet = uint64_t;

struct TrainingConfig {
  uint64_t id = 0;                // training_id() of its name
  std::vector<size_t> links;      // that its bursts cross
};

struct BurstTableConfig {
  Duration ttl_max = std::chrono::seconds(60);
  std::vector<uint32_t> link_sites;      // site_id() of each link's far end
  std::vector<TrainingConfig> trainings;
};

// kUnheard: nobody is believed who says it that way.
enum class EventFate : uint8_t { kTaken, kUnknownTraining, kUnknownDestination, kNotBegun, kFull, kUnheard };

class BurstTable {
 public:
  static constexpr Duration kTtlDefault = std::chrono::seconds(2);
  static constexpr size_t kBurstsMax = 4096;  // members under way at once

  explicit BurstTable(BurstTableConfig config) : config_(std::move(config)) {}

  EventFate on_event(Time now, const PhaseEvent& event);
  // Forgets what ran out.
  void on_time(Time now);
  Time next_deadline() const;

  // The training's place in the configuration; trainings().size() when it is not there.
  size_t index_of(uint64_t training) const;
  LinkSet links_of(size_t training, uint32_t destination) const;
  GateSignal signal(Time now, size_t link) const;
  bool is_bursting(size_t training) const;
  Duration ttl(const PhaseDetails& details) const;
  uint64_t expired() const { return expired_; }  // bursts that nobody ended in time

 private:
  struct Burst {
    uint16_t training, member;
    LinkSet links;
    Time until;
  };
  BurstTableConfig config_;
  std::vector<Burst> bursts_;
  uint64_t expired_ = 0;
};

}  // namespace tideway::gate
