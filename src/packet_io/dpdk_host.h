// SPDX-License-Identifier: Apache-2.0
//
// What this host offers to DPDK, seen from files alone: EAL need not start, and this build need not have it.
// Thread: any.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace tideway::packet_io {

// One line for the operator.
struct DpdkFinding {
  std::string what;
  std::string next{};  // what to do about each thing that is missing; empty: nothing is
};

struct DpdkHost {
  bool is_built_in = false;
  uint64_t huge_pages = 0, huge_pages_free = 0;  // of every size
  bool has_iommu = false;
  std::string driver_folder;                     // where EAL finds its drivers (PMDs); empty: nowhere
  std::vector<std::string> drivers;              // there, of those that need no NIC
  std::vector<std::string> nics;                 // PCI addresses of what is bound to vfio-pci
  bool has_xdp = false, has_tun = false;         // of the kernel

  // `root` is "" but in tests.
  static DpdkHost look(const std::string& root);

  // The build; ports that need no NIC; ports that are one.
  std::vector<DpdkFinding> findings() const;

 private:
  DpdkFinding without_nic() const;
  DpdkFinding with_nic() const;
};

}  // namespace tideway::packet_io
