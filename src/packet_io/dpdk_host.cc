// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_host.h"

#include "packet_io/registry.h"

#include <glob.h>

#include <fstream>
#include <vector>

namespace tideway::packet_io {
namespace {

std::vector<std::string> paths_like(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  return paths;
}

uint64_t sum_of(const std::vector<std::string>& files) {
  uint64_t sum = 0;
  for (const std::string& file : files) {
    uint64_t count = 0;
    if (std::ifstream(file) >> count) sum += count;
  }
  return sum;
}

}  // namespace

DpdkHost DpdkHost::look(const std::string& root) {
  DpdkHost host;
  host.is_built_in = find_backend("dpdk").ok();
  const std::string sizes = root + "/sys/kernel/mm/hugepages/hugepages-*/";
  host.huge_pages = sum_of(paths_like(sizes + "nr_hugepages"));
  host.huge_pages_free = sum_of(paths_like(sizes + "free_hugepages"));
  host.has_iommu = !paths_like(root + "/sys/class/iommu/*").empty();
  for (const char* folder : {"/usr/lib/*/dpdk/pmds-*", "/usr/lib/dpdk/pmds-*", "/usr/local/lib/*/dpdk/pmds-*", "/usr/local/lib/dpdk/pmds-*"})
    if (const auto found = paths_like(root + folder); host.driver_folder.empty() && !found.empty()) host.driver_folder = found.back();
  return host;
}

std::string DpdkHost::summary() const {
  return std::string("DPDK: ") + (is_built_in ? "in this build, " : "not in this build, ") +
         (huge_pages == 0 ? "no huge pages" : std::to_string(huge_pages_free) + " of " + std::to_string(huge_pages) + " huge pages free") +
         (has_iommu ? ", IOMMU on, " : ", no IOMMU, ") + (driver_folder.empty() ? "no drivers" : "drivers in " + driver_folder);
}

std::string DpdkHost::advice() const {
  std::string all;
  const auto add = [&](bool is_missing, std::string_view what) {
    if (is_missing) all.append(all.empty() ? "" : "; ").append(what);
  };
  add(!is_built_in, "to build it in: apt-get install libdpdk-dev, configure and build again");
  add(huge_pages_free == 0, "huge pages: sysctl -w vm.nr_hugepages=256, or \"--no-huge\" in eal_args for trying it out");
  add(!has_iommu, "IOMMU, for physical ports only: intel_iommu=on or amd_iommu=on on the kernel's command line");
  add(driver_folder.empty(), "drivers: apt-get install dpdk");
  return all;
}

}  // namespace tideway::packet_io
