// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_host.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

namespace tideway::packet_io {
namespace {

TEST(DpdkHost, WhatIsMissingIsNamedWithWhatToDo) {
  const TempRoot empty;
  const DpdkHost host = DpdkHost::look(empty.path().string());
  EXPECT_NE(host.summary().find("no huge pages, no IOMMU, no drivers"), std::string::npos) << host.summary();
  for (const char* fix : {"vm.nr_hugepages", "intel_iommu=on", "apt-get install dpdk"})
    EXPECT_NE(host.advice().find(fix), std::string::npos) << fix;
}

TEST(DpdkHost, HugePagesOfAllSizesAreCounted) {
  const TempRoot root;
  root.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "256\n");
  root.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "200\n");
  root.write("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");
  root.write("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "0\n");
  root.write("sys/class/iommu/dmar0/x", "");
  root.write("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/x", "");
  DpdkHost host = DpdkHost::look(root.path().string());
  host.is_built_in = true;
  EXPECT_EQ(host.summary(), "DPDK: in this build, 200 of 258 huge pages free, IOMMU on, drivers in " +
                                (root / "usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0").string());
  EXPECT_EQ(host.advice(), "");
}

}  // namespace
}  // namespace tideway::packet_io
