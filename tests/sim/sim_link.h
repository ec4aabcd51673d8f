// SPDX-License-Identifier: Apache-2.0
//
// One direction of one flow's path: a link model of wan/, and what may happen to a path in the middle of a run, such as
// going dead, carrying smaller packets than before, becoming longer, or moving to another address behind a NAT.
#pragma once
#include "wan/link_model.h"
#include <tideway/packet_io.h>

namespace tideway::test {

class SimLink {
 public:
  SimLink(Time start, const wan::LinkConfig& config, uint64_t seed) : model_(start, config, seed) {}

  wan::Fate offer(Time now, Bytes payload) {
    const Bytes packet = payload + Bytes(28);
    wan::Fate fate;
    if (is_dead_) fate.dropped = wan::DropCause::kBlackout;
    else if (packet > mtu_) fate.dropped = wan::DropCause::kMtu;
    if (fate.dropped) return fate;
    fate = model_.offer(now, packet + wan::kEthernetHeader);
    fate.deliver_at += detour_;
    return fate;
  }
  void set_dead(bool is_dead) { is_dead_ = is_dead; }
  bool is_dead() const { return is_dead_; }
  void set_mtu(Bytes mtu) { mtu_ = mtu; }  // of the IP packet; Bytes::max(): the model's own
  void set_detour(Duration more) { detour_ = more; }
  const wan::LinkConfig& config() const { return model_.config(); }
  const wan::LinkCounters& counters() const { return model_.counters(); }

 private:
  wan::LinkModel model_;
  bool is_dead_ = false;
  Bytes mtu_ = Bytes::max();
  Duration detour_{};
};

// Where end `end` of flow `flow` is, as others see it, after its NAT has forgotten it `moves` times.
inline Endpoint sim_endpoint(size_t end, size_t flow, size_t moves) {
  Endpoint made;
  made.address[10] = made.address[11] = std::byte{0xFF};
  made.address[12] = std::byte{10};
  made.address[14] = static_cast<std::byte>(moves);
  made.address[15] = static_cast<std::byte>(1 + end);
  made.port = static_cast<uint16_t>(7000 + flow + 100 * moves);
  return made;
}

// When somebody who looks only so often gets to what is there at `at`.
inline Time turn_at(Time at, Duration every) {
  if (every == Duration{} || at == kNever) return at;
  return Time() + (at - Time() + every - Duration(1)) / every * every;
}

}  // namespace tideway::test
