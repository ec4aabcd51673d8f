// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_port.h"

#include "dpdk/ring_ports.h"
#include "packet_io/dpdk_backend.h"
#include "packet_io/dpdk_eal.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <thread>
#include <unistd.h>

namespace tideway::packet_io {
namespace {

TEST(DpdkPort, ANameThatIsNotThereIsRefused) {
  start_test_eal();
  DpdkPortConfig config = port_config(1, 1500_B);
  config.device = "net_ring_nowhere";
  const auto refused = DpdkPort::open(config, 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(refused.error().what.find("net_ring_nowhere"), std::string::npos);
}

TEST(DpdkPort, APciDeviceThatIsNotThereIsRefusedWithTheListToLookAt) {
  start_test_eal();
  DpdkPortConfig config = port_config(1, 1500_B);
  config.device = "ff:1f.7";
  const auto refused = DpdkPort::open(config, 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().what.find("0000:ff:1f.7"), std::string::npos);
  EXPECT_NE(refused.error().next.find("dpdk-devbind.py"), std::string::npos);
}

TEST(DpdkPort, HasOneUserAtATime) {
  RingPorts ports = make_ring_ports(port_config(1, 1500_B), port_config(2, 1500_B));
  DpdkPortConfig config = port_config(3, 1500_B);
  config.device = ports.pair->a()->name();
  EXPECT_FALSE(DpdkPort::open(config, 1).ok());
  config.device.clear();
  EXPECT_FALSE(DpdkPort::open(config, 1).ok()) << "none is free";
}

TEST(DpdkPort, BadAddressesAreTheHostsToRefuse) {
  start_test_eal();
  DpdkPortConfig config = port_config(1, 1500_B);
  config.addresses.clear();
  auto pair = DpdkRingPair::create({config, port_config(2, 1500_B)}, {.slots = 64});
  ASSERT_TRUE(pair.ok());
  const auto refused = DpdkPacketIo::create({pair.value()->a(), 0, TestClock::now});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().next.find("address in [data_plane.dpdk]"), std::string::npos);
}

// Each starts this program again, because EAL starts once per process.
class EalDeathTest : public testing::Test {
 protected:
  EalDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  // Starts EAL, opens a port of it, says what happened, and ends. What reaches stdout counts as a failure.
  struct Workers { uint16_t count; DpdkQueues queues; };
  static constexpr Workers exactly(uint16_t count) { return {count, DpdkQueues::kExactly}; }
  [[noreturn]] static void start(std::vector<std::string> args, std::string device = "", Workers workers = exactly(1)) {
    PacketIoConfig config;
    config.dpdk.eal_args = std::move(args);
    config.dpdk.ports.front() = port_config(1, 1500_B);
    config.dpdk.ports.front().device = std::move(device);
    config.dpdk.ports.front().queues = workers.queues;
    config.dpdk.clock = TestClock::now;
    Status status = success();
    std::thread([&] { status = prepare_dpdk(config); }).join();
    if (status.ok()) {
      auto made = make_dpdk(config, workers.count);
      if (made.ok()) std::fprintf(stderr, "made %zu", made.value().size());
      else status = made.error();
    }
    if (!status.ok()) std::fprintf(stderr, "%s -- %s", status.error().what.c_str(), status.error().next.c_str());
    _exit(0);
  }
};

TEST_F(EalDeathTest, ADriverThatIsNotThereIsNamed) {
  EXPECT_EXIT(start({"--no-huge", "--no-pci", "--vdev=net_nonsense0"}), testing::ExitedWithCode(0), "no driver for the device \"net_nonsense0\"");
}

TEST_F(EalDeathTest, AWrongValueIsNamedWithItsFlag) {
  EXPECT_EXIT(start({"--no-huge", "--no-pci", "--lcores=zz"}), testing::ExitedWithCode(0), "--lcores.* -- correct that argument");
}

TEST_F(EalDeathTest, AVirtualDeviceThatDoesNotStartIsNoPort) {
  EXPECT_EXIT(start({"--no-huge", "--no-pci", "--vdev=net_af_packet0,iface=nowhere0"}, "net_af_packet0"), testing::ExitedWithCode(0),
              "no port called \"net_af_packet0\"");
}

TEST_F(EalDeathTest, ARunWithoutAnyDeviceSaysHowToNameOne) {
  EXPECT_EXIT(start({"--no-huge", "--no-pci"}), testing::ExitedWithCode(0), "found no port.* -- name one in eal_args");
}

TEST_F(EalDeathTest, ADeviceOfTheArgumentsIsFoundAndStarted) {
  EXPECT_EXIT(start({"--no-huge", "--no-pci", "--vdev=net_ring0"}), testing::ExitedWithCode(0), "made");
}

TEST_F(EalDeathTest, MoreWorkersThanQueuesAreRefusedWithBothNumbers) {
  EXPECT_EXIT(start({"--no-huge", "--no-pci", "--vdev=net_ring0"}, "", exactly(17)), testing::ExitedWithCode(0),
              "16 queue pairs, fewer than queues in .* 17 -- lower queues");
}

TEST_F(EalDeathTest, WhereNobodyInsistsThereAreAsManyWorkersAsQueues) {
  EXPECT_EXIT(start({"--no-huge", "--no-pci", "-m", "1024", "--vdev=net_ring0"}, "", {17, DpdkQueues::kAtMost}), testing::ExitedWithCode(0), "made 16");
}

TEST_F(EalDeathTest, PacketMemoryThatDoesNotFitSaysHowMuchItNeeds) {
  EXPECT_EXIT(start({"--no-huge", "--no-pci", "-m", "16", "--vdev=net_ring0"}, "", exactly(4)), testing::ExitedWithCode(0), "MiB of packet memory.*raise -m");
}

[[noreturn]] void start_three_times() {
  DpdkConfig config;
  config.eal_args = {"--no-huge", "--no-pci"};
  std::thread([&] {
    const Status first = start_eal(config), same = start_eal(config);
    config.eal_args.push_back("--vdev=net_ring0");
    const Status other = start_eal(config);
    if (first.ok() && same.ok() && !other.ok()) std::fputs(other.error().next.c_str(), stderr);
  }).join();
  _exit(0);
}

TEST_F(EalDeathTest, OtherArgumentsTheSecondTimeAreRefused) {
  EXPECT_EXIT(start_three_times(), testing::ExitedWithCode(0), "once per process");
}

}  // namespace
}  // namespace tideway::packet_io
