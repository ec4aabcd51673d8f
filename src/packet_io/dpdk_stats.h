// SPDX-License-Identifier: Apache-2.0
//
// What a worker counts at its queues of a DPDK port, besides ip::HostStats (frames by reason) and DpdkPortStats (the
// device's own counts).
// Thread: net worker.
#pragma once
#include <cstdint>
#include <string_view>

namespace tideway::packet_io {

struct DpdkStats {
  uint64_t packets_sent = 0, packets_received = 0;
  uint64_t send_full = 0;            // times the port took less than it was offered
  uint64_t send_dry = 0;             // times there were fewer mbufs than asked for
  uint64_t lost_path_closed = 0;     // written for a path that has gone, or that has no remote
  uint64_t lost_unresolved = 0;      // nobody answered for the next hop
  uint64_t lost_refused = 0;         // the driver found it unfit to be sent
  uint64_t dropped_segments = 0;     // arrived in several mbufs, as no packet of ours does
  uint64_t dropped_no_path = 0;      // for a port of ours that nobody has open
  uint64_t own_frames_sent = 0;      // questions, answers, announcements
  uint64_t own_frames_lost = 0;      // for lack of an mbuf or a descriptor; they are repeated
  uint64_t link_ups = 0;             // times the link came back
  uint64_t handed_over = 0;          // to the worker that has their port, or copies for all
  uint64_t taken_over = 0;           // from other workers
  uint64_t lost_handed_over = 0;     // the other's inbox was full, or no mbuf was left for a copy

  // Calls visit(std::string_view name, uint64_t value) for each counter, in a fixed order.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    visit(std::string_view("packets_sent"), packets_sent);
    visit(std::string_view("packets_received"), packets_received);
    visit(std::string_view("send_full"), send_full);
    visit(std::string_view("send_dry"), send_dry);
    visit(std::string_view("lost_path_closed"), lost_path_closed);
    visit(std::string_view("lost_unresolved"), lost_unresolved);
    visit(std::string_view("lost_refused"), lost_refused);
    visit(std::string_view("dropped_segments"), dropped_segments);
    visit(std::string_view("dropped_no_path"), dropped_no_path);
    visit(std::string_view("own_frames_sent"), own_frames_sent);
    visit(std::string_view("own_frames_lost"), own_frames_lost);
    visit(std::string_view("link_ups"), link_ups);
    visit(std::string_view("handed_over"), handed_over);
    visit(std::string_view("taken_over"), taken_over);
    visit(std::string_view("lost_handed_over"), lost_handed_over);
  }
};

}  // namespace tideway::packet_io
