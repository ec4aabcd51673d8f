// SPDX-License-Identifier: Apache-2.0
//
// Which MAC address stands behind a next hop. Entries are held by paths; a held entry is asked for until somebody
// answers, then again every 30 s. When nobody answers anymore the last good MAC stays in use, because a busy neighbour
// that misses questions is likelier than one that has moved.
//
// A MAC is taken only from an answer to a question of ours that is still open. Anybody on the network can announce
// anything at any time; to believe it would let one forged frame turn all our traffic away, for as long as the forger
// likes. A neighbour that has truly moved (a router's stand-in) announces itself too, so an announcement that contradicts
// an entry makes us ask everybody at once: the owner answers, and a forger has to win a race each time, which is counted.
// Thread: net worker. Pure.
#pragma once
#include "ip/address.h"
#include <tideway/ids.h>

#include <optional>

namespace tideway::ip {

// The lower half is a place in the table, the upper half counts its uses, so an id of an evicted entry finds nothing.
using NextHopId = Id<struct NextHopTag, uint32_t>;

inline constexpr size_t kNeighboursMax = 256;  // peers of one network, or gateways; a question each, at most, per 250 ms
inline constexpr Duration kRefreshInterval = std::chrono::seconds(30);
inline constexpr Duration kAskAgainFirst = std::chrono::milliseconds(250);  // doubles with each question of a round,
inline constexpr Duration kAskAgainMax = std::chrono::seconds(8);           // up to this
inline constexpr Duration kHintInterval = std::chrono::seconds(1);  // announcements cannot make us ask more often
inline constexpr uint32_t kAsksBeforeFailure = 3;

// Somebody says that this address is at this MAC.
struct NeighbourClaim {
  IpAddress address{};
  MacAddress mac{};
  bool may_replace = true;  // false: only where nothing is known (an advertisement without the override flag)
};

// A question to send.
struct NeighbourAsk {
  IpAddress address{};
  std::optional<MacAddress> mac{};  // set: ask only this one, the first time that an entry is refreshed
};

struct NeighbourStats {
  uint64_t asks_sent = 0;
  uint64_t answers_received = 0;
  uint64_t hints_received = 0;     // contradicted an entry, or came from one we wait for, and made us ask
  uint64_t mac_changes = 0;        // first resolutions not included
  uint64_t refreshes_failed = 0;   // rounds of three questions without an answer; the old MAC stays
  uint64_t evictions = 0;
};

class NeighbourTable {
 public:
  // Takes a hold on the entry of `address`, one per call; a new one is due for a question at once. The table full of held
  // entries: nothing. Else the entry that was released first makes room.
  std::optional<NextHopId> hold(const IpAddress& address);
  void release(NextHopId id);  // of a hold; the entry stays, without questions, until its place is needed

  void on_answer(Time now, const NeighbourClaim& claim);  // was sent to us alone
  void on_hint(Time now, const NeighbourClaim& claim);    // any other claim
  void on_link_up(Time now);                              // perhaps to another network: asks for all again

  // The next question that is due, which counts as sent.
  std::optional<NeighbourAsk> next_ask(Time now);
  Time next_deadline() const { return deadline_; }

  std::optional<MacAddress> mac_of(NextHopId id) const;  // nothing: not known yet, or a stale id
  uint64_t generation() const { return generation_; }    // rises whenever a MAC becomes known or changes
  const NeighbourStats& stats() const { return stats_; }

 private:
  struct Entry {
    IpAddress address{};
    std::optional<MacAddress> mac{};
    uint16_t serial = 0;    // 0: never used
    uint32_t holds = 0;
    uint64_t released = 0;  // when the last hold went, on the table's own count
    Time ask_at{};
    std::optional<Time> asked_at{};
    uint32_t asks = 0;         // of this round; over 0: an answer may be adopted
    bool asks_everybody = true;  // although the MAC is known
  };
  Entry* find(const IpAddress& address);
  const Entry* find(NextHopId id) const;
  Entry* place_for_new();
  void update_deadline();

  std::array<Entry, kNeighboursMax> entries_{};
  Time deadline_ = kNever;  // the earliest ask_at of a held entry
  uint64_t releases_ = 0;
  uint64_t generation_ = 0;
  NeighbourStats stats_;
};

}  // namespace tideway::ip
