// SPDX-License-Identifier: Apache-2.0
//
// What this host offers to DPDK, seen from files alone: EAL need not start, and this build need not have it.
// Thread: any.
#pragma once
#include <cstdint>
#include <string>

namespace tideway::packet_io {

struct DpdkHost {
  bool is_built_in = false;
  uint64_t huge_pages = 0, huge_pages_free = 0;  // of every size
  bool has_iommu = false;
  std::string driver_folder;                     // where EAL finds its drivers (PMDs); empty: nowhere

  // `root` is "" but in tests.
  static DpdkHost look(const std::string& root);

  std::string summary() const;  // one line
  std::string advice() const;   // what to do about each thing that is missing; empty: nothing is
};

}  // namespace tideway::packet_io
