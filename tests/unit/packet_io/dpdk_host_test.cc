// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_host.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tideway::packet_io {
namespace {

std::vector<DpdkFinding> findings_below(const TempRoot& root) {
  DpdkHost host = DpdkHost::look(root.path().string());
  host.is_built_in = true;
  return host.findings();
}

TEST(DpdkHost, WhatIsMissingIsNamedWithWhatToDo) {
  const TempRoot empty;
  const auto findings = findings_below(empty);
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].next, "");
  EXPECT_EQ(findings[1].next, "apt-get install dpdk");
  EXPECT_EQ(findings[2].what, "DPDK ports on a NIC: no huge pages, no IOMMU, nothing is bound to vfio-pci");
  for (const char* fix : {"vm.nr_hugepages", "intel_iommu=on", "dpdk-devbind.py"})
    EXPECT_NE(findings[2].next.find(fix), std::string::npos) << fix;
}

TEST(DpdkHost, ABuildWithoutDpdkHasOneThingToDo) {
  DpdkHost host;
  const auto findings = host.findings();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_NE(findings[0].next.find("libdpdk-dev"), std::string::npos);
}

TEST(DpdkHost, DriversAreListedByWhoMayUseThem) {
  const TempRoot root;
  for (const char* driver : {"net_tap", "net_af_xdp", "net_ring", "net_mlx5"})
    root.write("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_" + std::string(driver) + ".so.23", "");
  const auto findings = findings_below(root);
  EXPECT_NE(findings.at(1).what.find("any user: net_ring; root: net_af_xdp, net_tap"), std::string::npos) << findings[1].what;
  EXPECT_NE(findings[1].next.find("no AF_XDP"), std::string::npos);
  EXPECT_NE(findings[1].next.find("modprobe tun"), std::string::npos);
  root.write("proc/net/protocols", "XDP       1024      0\n");
  root.write("dev/net/tun", "");
  EXPECT_EQ(findings_below(root).at(1).next, "");
}

TEST(DpdkHost, HugePagesOfAllSizesAreCounted) {
  const TempRoot root;
  root.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "256\n");
  root.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "200\n");
  root.write("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");
  root.write("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "0\n");
  root.write("sys/class/iommu/dmar0/x", "");
  root.write("sys/bus/pci/drivers/vfio-pci/0000:3b:00.0/x", "");
  const auto findings = findings_below(root);
  EXPECT_EQ(findings.at(2).what, "DPDK ports on a NIC: 200 of 258 huge pages free, IOMMU on, bound to vfio-pci: 0000:3b:00.0");
  EXPECT_EQ(findings[2].next, "");
}

}  // namespace
}  // namespace tideway::packet_io
