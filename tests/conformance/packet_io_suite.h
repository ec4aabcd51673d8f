// SPDX-License-Identifier: Apache-2.0
//
// What every packet backend does alike (<tideway/packet_io.h>). To join, instantiate PacketIoSuite with a factory that
// gives two backends joined by a quiet wire; the tests themselves are in packet_io_suite.cc.
#pragma once
#include <tideway/packet_io.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace tideway {

// Both ends of a quiet wire. What the two stand on (wires, rings, ports) lives in `under` and dies after them.
struct PacketIoEnds {
  std::shared_ptr<void> under;
  std::unique_ptr<PacketIo> a, b;
  Endpoint a_address, b_address;  // with a port of zero
};

struct PacketIoKind {
  std::string name;
  std::function<PacketIoEnds()> make;
  // Whether `a` refuses packets after fewer than 256 that `b` did not receive; a kernel on loopback never does.
  bool is_send_bounded = false;
};

inline void PrintTo(const PacketIoKind& kind, std::ostream* out) { *out << kind.name; }
inline std::string name_of(const testing::TestParamInfo<PacketIoKind>& info) { return info.param.name; }

class PacketIoSuite : public testing::TestWithParam<PacketIoKind> {
 protected:
  struct Arrival { uint32_t tag; size_t size; Endpoint from, to; Ecn ecn; };
  struct Joined { Path a, b; };  // a path each way between the same two ports

  Joined join(Dscp dscp = Dscp::kLowerEffort);
  // Packets of these sizes, each at least 4 bytes, with a tag that counts up and a pattern that follows from it.
  std::vector<Packet> write(PathId path, const std::vector<size_t>& sizes);
  // Sends all, and fails the test when the backend does not take them in a bounded number of calls.
  void send_all(std::vector<Packet> packets);
  // Polls b until `count` packets are there, and a little longer for those that should not be.
  std::vector<Packet> receive(size_t count);
  // What arrived, after a look at every byte.
  Arrival read(const Packet& packet) const;
  std::vector<Arrival> read(const std::vector<Packet>& packets) const;
  // How many packets of this size can be had at once.
  static size_t rooms(PacketIo& io, PathId path, Bytes payload);

  PacketIoEnds ends_ = GetParam().make();
  PacketIo& a_ = *ends_.a;
  PacketIo& b_ = *ends_.b;
  uint32_t tag_last_ = 0;
};

}  // namespace tideway
