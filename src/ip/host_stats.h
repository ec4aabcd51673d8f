// SPDX-License-Identifier: Apache-2.0
//
// What a port counts. Every frame that was not a datagram or a question answered is under the reason it was dropped for.
// Thread: net worker. Pure.
#pragma once
#include "ip/drop.h"
#include "ip/neighbour_table.h"

namespace tideway::ip {

struct HostStats {
  uint64_t frames_received = 0;
  uint64_t datagrams_received = 0;   // handed on
  uint64_t udp_checksum_wrong = 0;   // handed on all the same
  uint64_t udp_checksum_absent = 0;
  uint64_t arp_received = 0;         // well formed, the next too
  uint64_t ndp_received = 0;
  uint64_t arp_replies = 0;
  uint64_t ndp_replies = 0;
  uint64_t echo_replies = 0;
  uint64_t announcements_sent = 0;
  NeighbourStats neighbours;
  std::array<uint64_t, kDrops> dropped{};

  uint64_t dropped_for(Drop drop) const { return dropped[static_cast<size_t>(drop)]; }

  // Calls visit(std::string_view name, uint64_t value) for each counter, in a fixed order.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    visit(std::string_view("frames_received"), frames_received);
    visit(std::string_view("datagrams_received"), datagrams_received);
    visit(std::string_view("udp_checksum_wrong"), udp_checksum_wrong);
    visit(std::string_view("udp_checksum_absent"), udp_checksum_absent);
    visit(std::string_view("arp_received"), arp_received);
    visit(std::string_view("ndp_received"), ndp_received);
    visit(std::string_view("arp_replies"), arp_replies);
    visit(std::string_view("ndp_replies"), ndp_replies);
    visit(std::string_view("echo_replies"), echo_replies);
    visit(std::string_view("announcements_sent"), announcements_sent);
    visit(std::string_view("neighbour_asks_sent"), neighbours.asks_sent);
    visit(std::string_view("neighbour_answers_received"), neighbours.answers_received);
    visit(std::string_view("neighbour_hints_received"), neighbours.hints_received);
    visit(std::string_view("neighbour_mac_changes"), neighbours.mac_changes);
    visit(std::string_view("neighbour_refreshes_failed"), neighbours.refreshes_failed);
    visit(std::string_view("neighbour_evictions"), neighbours.evictions);
    for (size_t i = 0; i < kDrops; ++i) visit(kDropNames[i], dropped[i]);
  }
};

}  // namespace tideway::ip
