// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_args.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tideway::packet_io {
namespace {

using Words = std::vector<std::string>;
const EalPlace kPlace{{0, 3}, RuntimeDir::kOwn};

Result<Words> arguments(const Words& given, DpdkDma dma = DpdkDma::kConfined) {
  DpdkConfig config;
  config.eal_args = given;
  config.file_prefix = "tideway-gw1";
  config.dma = dma;
  return eal_arguments(config, kPlace);
}

bool has(const Words& words, std::string_view word) { return std::ranges::find(words, word) != words.end(); }

void expect_refused(const Words& given, std::string_view word, std::string_view next) {
  const auto refused = arguments(given);
  ASSERT_FALSE(refused.ok()) << testing::PrintToString(given);
  EXPECT_EQ(refused.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(refused.error().what.find(word), std::string::npos) << refused.error().what;
  EXPECT_NE(refused.error().next.find(next), std::string::npos) << refused.error().next;
}

TEST(EalArguments, WhatIsLeftOpenIsSafeAndLeavesNoFiles) {
  const Words words = arguments({"--vdev=net_af_packet0,iface=va"}).value();
  EXPECT_EQ(words, (Words{"--vdev=net_af_packet0,iface=va", "--iova-mode=va", "--in-memory", "--no-pci", "--file-prefix=tideway-gw1",
                          "--lcores=0@(0,3)"}));
}

TEST(EalArguments, NicsStayWithTheKernelUnlessOneIsNamed) {
  EXPECT_TRUE(has(arguments({"--vdev", "net_tap0"}).value(), "--no-pci"));
  EXPECT_FALSE(has(arguments({"--allow=0000:3b:00.0"}).value(), "--no-pci"));
  EXPECT_FALSE(has(arguments({"--vdev=net_tap0", "-a", "3b:00.0"}).value(), "--no-pci"));
  DpdkConfig config;
  config.eal_args = {"--vdev=net_tap0"};
  config.ports.front().device = "3b:00.0";
  EXPECT_FALSE(has(eal_arguments(config, kPlace).value(), "--no-pci"));
}

TEST(EalArguments, TelemetryNeedsAFolderOfOurOwn) {
  EXPECT_FALSE(has(arguments({"--no-huge"}).value(), "--no-telemetry"));
  DpdkConfig config;
  EXPECT_TRUE(has(eal_arguments(config, {{0}, RuntimeDir::kShared}).value(), "--no-telemetry"));
  config.eal_args = {"--telemetry"};
  EXPECT_FALSE(has(eal_arguments(config, {{0}, RuntimeDir::kShared}).value(), "--no-telemetry"));
}

TEST(EalArguments, WithoutHugePagesItTakesMoreThanEalsSixtyFourMegabytes) {
  const Words words = arguments({"--no-huge"}).value();
  EXPECT_TRUE(has(words, "--no-shconf"));
  EXPECT_TRUE(has(words, "-m512"));
  EXPECT_FALSE(has(words, "--in-memory"));
  EXPECT_FALSE(has(arguments({"--no-huge", "-m", "1024"}).value(), "-m512"));
}

TEST(EalArguments, WhatIsGivenIsNotGivenTwice) {
  const Words given = {"--iova-mode", "va", "--huge-dir=/mnt/huge", "--file-prefix", "x", "-l1"};
  EXPECT_EQ(arguments(given).value(), given);
}

TEST(EalArguments, AnUnknownFlagIsNamed) {
  expect_refused({"--in-memory", "--bogus=3"}, "\"--bogus\"", "testpmd");
  expect_refused({"--help"}, "--help", "");
  expect_refused({"-z"}, "\"-z\"", "");
}

TEST(EalArguments, AFlagWithoutItsValueOrAValueWithoutItsFlagIsNamed) {
  expect_refused({"--vdev"}, "--vdev lacks its value", "--vdev=VALUE");
  expect_refused({"-m"}, "-m lacks its value", "-mVALUE");
  expect_refused({"--file-prefix="}, "--file-prefix lacks its value", "");
  expect_refused({"net_tap0"}, "\"net_tap0\" belongs to no flag", "--vdev");
  expect_refused({"--no-pci=1"}, "--no-pci takes no value", "");
}

TEST(EalArguments, NoHugeTogetherWithInMemoryIsRefusedWithWhatToWrite) {
  expect_refused({"--no-huge", "--in-memory"}, "--no-huge", "[\"--no-huge\", \"--no-shconf\", \"-m\", \"512\"]");
}

TEST(EalArguments, PhysicalAddressesNeedInsecureDma) {
  expect_refused({"--iova-mode=pa"}, "--iova-mode=pa", "insecure_dma");
  EXPECT_TRUE(arguments({"--iova-mode=pa"}, DpdkDma::kInsecure).ok());
  EXPECT_FALSE(has(arguments({}, DpdkDma::kInsecure).value(), "--iova-mode=va")) << "VFIO without an IOMMU has none";
}

TEST(EalArguments, ASecondaryProcessIsRefused) {
  expect_refused({"--proc-type=secondary"}, "--proc-type=secondary", "leave it out");
}

TEST(EalFailure, EachCauseHasItsNextStep) {
  const Error huge = eal_failure("Permission denied", "EAL: No free 2048 kB hugepages reported on node 0\nEAL: FATAL: Cannot get hugepage information.\n");
  EXPECT_EQ(huge.fault, Fault::kNoHugepages);
  EXPECT_NE(huge.what.find("huge pages"), std::string::npos);
  EXPECT_NE(huge.next.find("vm.nr_hugepages"), std::string::npos);
  const Error driver = eal_failure("No such device", "EAL: failed to parse device \"net_foo0\"\nEAL: Unable to parse device 'net_foo0'\n");
  EXPECT_NE(driver.what.find("\"net_foo0\""), std::string::npos);
  const Error library = eal_failure("Invalid argument", "EAL: /opt/x.so: cannot open shared object file: No such file or directory\nEAL: Cannot init plugins\n");
  EXPECT_NE(library.what.find("/opt/x.so"), std::string::npos);
  const Error value = eal_failure("Invalid argument", "EAL: invalid parameters for --iova-mode\nEAL: Invalid 'command line' arguments.\n");
  EXPECT_NE(value.what.find("--iova-mode"), std::string::npos);
  const Error other = eal_failure("Cannot allocate memory", "EAL: Detected CPU lcores: 2\nEAL: Cannot init memory\n");
  EXPECT_NE(other.what.find("Cannot init memory"), std::string::npos);
  EXPECT_FALSE(eal_failure("Unknown", "").next.empty());
}

TEST(NoSuchPort, NamesThoseThereAreOrWhyThereIsNone) {
  const std::string found[] = {"net_ring0", "net_tap0"};
  const Error other = no_such_port("net_tap1", found, "");
  EXPECT_NE(other.what.find("\"net_tap1\""), std::string::npos);
  EXPECT_NE(other.next.find("net_ring0, net_tap0"), std::string::npos);
  const Error failed = no_such_port("", {}, "vdev_probe(): failed to initialize net_af_packet0 device\nEAL: Bus (vdev) probe failed.\n");
  EXPECT_NE(failed.what.find("failed"), std::string::npos);
  EXPECT_NE(no_such_port("", {}, "").next.find("eal_args"), std::string::npos);
}

TEST(NoSuchPort, NamesTheCauseAndNotItsConsequences) {
  const Error error = no_such_port("", {}, "EAL: VFIO support initialization failed\n"
                                           "init_internals(): Failed to get channel info of interface: eth9\n"
                                           "rte_pmd_af_xdp_probe(): Failed to init internals\n"
                                           "EAL: Bus (vdev) probe failed.\n");
  EXPECT_NE(error.what.find("eth9"), std::string::npos) << error.what;
}

TEST(DeviceFailure, SaysWhatTheDriverSaid) {
  const Error left = device_failure("net_af_xdp0", "setting up a queue", "Invalid argument",
                                    "load_custom_xdp_prog(): Failed to set prog fd 18 on interface\n"
                                    "eth_rx_queue_setup(): Failed to configure xdp socket\n");
  EXPECT_NE(left.what.find("Failed to set prog fd"), std::string::npos) << left.what;
  EXPECT_NE(left.next.find("xdp off"), std::string::npos) << left.next;
  const Error busy = device_failure("net_af_xdp0", "setting up a queue", "Invalid argument",
                                    "xsk_configure(): Failed to create xsk socket.\n"
                                    "eth_rx_queue_setup(): Failed to configure xdp socket\n");
  EXPECT_NE(busy.next.find("start again"), std::string::npos) << busy.next;
  const Error silent = device_failure("net_ring0", "starting", "No such device", "");
  EXPECT_NE(silent.what.find("No such device"), std::string::npos);
  EXPECT_NE(silent.next.find("--verbose"), std::string::npos);
}

TEST(PciAddress, IsCompletedAndOtherNamesAreNone) {
  EXPECT_EQ(pci_address("3b:00.0"), "0000:3b:00.0");
  EXPECT_EQ(pci_address("0001:3b:00.1"), "0001:3b:00.1");
  for (const char* other : {"", "net_tap0", "3b:00:0", "0000:3b:00.g", "0000-3b:00.0"}) EXPECT_EQ(pci_address(other), std::nullopt) << other;
}

TEST(AfPacket, ItsFramesMustHoldAPacketAndItsInterfaceMustCarryIt) {
  const AfPacketArgs plain = parse_af_packet("iface=va");
  EXPECT_EQ(plain.interface, "va");
  EXPECT_EQ(plain.frame_size, 2048U);
  EXPECT_TRUE(check_af_packet(plain, 1500_B, 1500_B).ok());
  EXPECT_TRUE(check_af_packet(plain, 1500_B, Bytes()).ok()) << "an interface that cannot be asked";
  const auto small = check_af_packet(plain, 9000_B, 9000_B);
  ASSERT_FALSE(small.ok());
  EXPECT_NE(small.error().next.find("framesz=10240"), std::string::npos);
  const AfPacketArgs large = parse_af_packet("blocksz=20480,framesz=10240,iface=vb,qpairs=2");
  EXPECT_TRUE(check_af_packet(large, 9000_B, 9000_B).ok());
  const auto narrow = check_af_packet(large, 9000_B, 1500_B);
  ASSERT_FALSE(narrow.ok());
  EXPECT_NE(narrow.error().next.find("ip link set dev vb mtu 9000"), std::string::npos);
}

}  // namespace
}  // namespace tideway::packet_io
