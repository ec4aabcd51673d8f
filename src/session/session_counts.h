// SPDX-License-Identifier: Apache-2.0
//
// What happened at all sessions of a gateway since it was started, for whoever watches it.
// Thread: control.
#pragma once
#include "mem/packed_block.h"
#include <tideway/result.h>
#include <tideway/units.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace tideway::session {

// Peers choose the word of a transfer's class, and a metric has no room for all they may think of.
Account account_of(std::string_view transfer_class);
std::string_view to_string(Account account);

// What flows carried: UDP payload.
struct Traffic {
  Bytes sent, received;
  uint64_t packets_sent = 0, packets_lost = 0, held_by_credit = 0;
  std::array<Bytes, kAccounts> sent_of{};  // the same as `sent`, by account
  void add(const Traffic& other) {
    sent += other.sent;
    received += other.received;
    packets_sent += other.packets_sent;
    packets_lost += other.packets_lost;
    held_by_credit += other.held_by_credit;
    for (size_t account = 0; account < kAccounts; ++account) sent_of[account] += other.sent_of[account];
  }
};

// What compression made of blocks.
struct Packing {
  Bytes raw, packed;
  void add(const Packing& other) {
    raw += other.raw;
    packed += other.packed;
  }
};

struct SessionCounts {
  uint64_t accepted = 0;                          // handshakes of peers that were let in
  std::map<Fault, uint64_t> refused;              // handshakes, by why
  std::map<std::string, uint64_t> denied;         // transfers that no grant allows, by operation
  std::map<Fault, uint64_t> transfers_ended;      // of peers, in trouble
  uint64_t transfers_done = 0;                    // of peers
  std::map<Account, Packing> packing;             // of transfers that are over
  uint64_t rekeys = 0;                            // keys that were taken into use after the first two of a flow
  Bytes payload;                                  // raw bytes of transfers that are over
  std::map<std::string, Traffic> traffic;         // by the peer's site: of sessions that are over
};

}  // namespace tideway::session
