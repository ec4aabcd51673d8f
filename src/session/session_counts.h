// SPDX-License-Identifier: Apache-2.0
//
// What happened at all sessions of a gateway since it was started, for whoever watches it.
// Thread: control.
#pragma once
#include <tideway/result.h>
#include <tideway/units.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace tideway::session {

// What flows carried: UDP payload.
struct Traffic {
  Bytes sent, received;
  uint64_t packets_sent = 0, packets_lost = 0;
  void add(const Traffic& other) {
    sent += other.sent;
    received += other.received;
    packets_sent += other.packets_sent;
    packets_lost += other.packets_lost;
  }
};

struct SessionCounts {
  uint64_t accepted = 0;                          // handshakes of peers that were let in
  std::map<Fault, uint64_t> refused;              // handshakes, by why
  std::map<std::string, uint64_t> denied;         // transfers that no grant allows, by operation
  std::map<Fault, uint64_t> transfers_ended;      // of peers, in trouble
  uint64_t transfers_done = 0;                    // of peers
  Bytes payload;                                  // raw bytes of transfers that are over
  std::map<std::string, Traffic> traffic;         // by the peer's site: of sessions that are over
};

}  // namespace tideway::session
