// SPDX-License-Identifier: Apache-2.0
//
// Someone on the path who keeps packets, sends them again later, changes them, and makes up others. He has no keys.
#pragma once
#include "base/random.h"
#include "sim/sim_keys.h"
#include <tideway/packet_io.h>

#include <optional>
#include <vector>

namespace tideway::test {

// A datagram on its way to an end.
struct SimDatagram {
  size_t to = 0, flow = 0;
  Endpoint from, destination;
  std::vector<std::byte> bytes;
  Time sent_at{};
  Ecn ecn = Ecn::kNotEct;
  bool is_genuine = true;   // not one bit of it was changed
  uint64_t number() const;  // packet number, of a genuine one
  uint8_t type() const { return std::to_integer<uint8_t>(bytes[0]) & 0x0F; }
  SimWay way() const { return {1 - to, flow}; }
};

class SimForger {
 public:
  static constexpr size_t kKeptMax = 64;

  explicit SimForger(uint64_t seed) : random_(seed) {}
  void see(const SimDatagram& datagram);           // keeps some
  std::optional<SimDatagram> take_old();           // one of those kept, as it was
  // A copy with a change somewhere in header, ciphertext, tag or length. Never the original.
  SimDatagram change(SimDatagram datagram);
  // Random bytes to an end, or a changed old packet.
  SimDatagram make_up(const SimDatagram& like);

 private:
  Random random_;
  std::vector<SimDatagram> kept_;
  uint64_t seen_ = 0;
};

}  // namespace tideway::test
