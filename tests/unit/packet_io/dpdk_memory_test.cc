// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_memory.h"

#include <gtest/gtest.h>

namespace tideway::packet_io {
namespace {

TEST(DpdkMemory, LargePacketsTakeMore) {
  DpdkConfig config;
  EXPECT_EQ(packet_memory(config, 1).count() >> 20, 9U);
  config.ports.front().mtu = Bytes(9000);
  EXPECT_EQ(packet_memory(config, 1).count() >> 20, 38U);
}

TEST(DpdkMemory, QueuesOfOnePortHoldEachOthersPackets) {
  DpdkConfig config;
  const Bytes alone = packet_memory(config, 1), among_many = packet_memory(config, 16);
  EXPECT_GT(among_many, alone * 2);
  config.ports.resize(16);
  EXPECT_EQ(packet_memory(config, 16), alone) << "a port for each worker";
}

TEST(DpdkMemory, AFrameOfNetAfPacketFitsAnMbufWhateverTheMtu) {
  DpdkConfig config;
  config.eal_args = {"--no-huge", "--vdev=net_af_packet0,iface=va,framesz=10240,blocksz=20480"};
  EXPECT_GE(packet_memory(config, 1), Bytes(kMbufs * 10'240ULL));
  EXPECT_GE(mbuf_room(10'240), 10'240U + 128U) << "the driver copies without a look at the mbuf's size";
}

TEST(DpdkMemory, TooFewHugePagesIsAFaultOfItsOwnWithHowManyToReserve) {
  const Error few = out_of_packet_memory("the DPDK port x", 39_MiB, HugePages{8, 3});
  EXPECT_EQ(few.fault, Fault::kNoHugepages);
  EXPECT_EQ(few.exit_code(), 3);
  EXPECT_NE(few.what.find("of 8 huge pages 3 are free"), std::string::npos) << few.what;
  EXPECT_NE(few.next.find("vm.nr_hugepages=44"), std::string::npos) << "8 there are, 20 it needs, 16 to spare: " << few.next;
  const Error without = out_of_packet_memory("the DPDK port x", 39_MiB, std::nullopt);
  EXPECT_EQ(without.fault, Fault::kNoMemory);
  EXPECT_NE(without.next.find("-m"), std::string::npos) << without.next;
}

}  // namespace
}  // namespace tideway::packet_io
