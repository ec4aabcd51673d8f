// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_host.h"

#include "packet_io/registry.h"

#include <glob.h>

#include <algorithm>
#include <fstream>
#include <utility>

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

bool has_line_with(const std::string& file, std::string_view word) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.find(word) != line.npos) return true;
  return false;
}

void append(std::string& list, std::string_view between, std::string_view item) { list.append(list.empty() ? "" : between).append(item); }

enum class User : uint8_t { kAny, kRoot };

// Those that a gateway has been run over.
struct Driver {
  std::string_view name;
  User user;
};
constexpr Driver kDrivers[] = {{"net_memif", User::kAny},  {"net_ring", User::kAny}, {"net_af_packet", User::kRoot},
                               {"net_af_xdp", User::kRoot}, {"net_pcap", User::kRoot}, {"net_tap", User::kRoot}};

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
  for (const Driver& driver : kDrivers)
    if (!host.driver_folder.empty() && !paths_like(host.driver_folder + "/librte_" + std::string(driver.name) + ".so*").empty())
      host.drivers.emplace_back(driver.name);
  for (const std::string& nic : paths_like(root + "/sys/bus/pci/drivers/vfio-pci/????:??:??.?")) host.nics.push_back(nic.substr(nic.rfind('/') + 1));
  host.has_xdp = has_line_with(root + "/proc/net/protocols", "XDP");
  host.has_tun = !paths_like(root + "/dev/net/tun").empty();
  return host;
}

std::vector<DpdkFinding> DpdkHost::findings() const {
  if (!is_built_in) return {{"DPDK: not in this build", "to build it in: apt-get install libdpdk-dev dpdk, configure and build again"}};
  return {{"DPDK: in this build"}, without_nic(), with_nic()};
}

DpdkFinding DpdkHost::without_nic() const {
  if (drivers.empty()) return {"DPDK ports without a NIC: no drivers", "apt-get install dpdk"};
  DpdkFinding finding{"DPDK ports without a NIC (\"--no-huge\" serves them)"};
  const auto has = [&](std::string_view name) { return std::ranges::find(drivers, name) != drivers.end(); };
  for (const auto& [user, title] : {std::pair(User::kAny, ": any user: "), std::pair(User::kRoot, "; root: ")}) {
    std::string names;
    for (const Driver& driver : kDrivers)
      if (driver.user == user && has(driver.name)) append(names, ", ", driver.name);
    finding.what += title + (names.empty() ? "none" : names);
  }
  if (has("net_af_xdp") && !has_xdp) append(finding.next, "; ", "net_af_xdp: this kernel has no AF_XDP sockets");
  if (has("net_tap") && !has_tun) append(finding.next, "; ", "net_tap: modprobe tun");
  return finding;
}

DpdkFinding DpdkHost::with_nic() const {
  std::string names;
  for (const std::string& nic : nics) append(names, ", ", nic);
  DpdkFinding finding{"DPDK ports on a NIC: " +
                      (huge_pages == 0 ? "no huge pages" : std::to_string(huge_pages_free) + " of " + std::to_string(huge_pages) + " huge pages free") +
                      (has_iommu ? ", IOMMU on, " : ", no IOMMU, ") + (nics.empty() ? "nothing is bound to vfio-pci" : "bound to vfio-pci: " + names)};
  if (huge_pages_free == 0) append(finding.next, "; ", "huge pages: sysctl -w vm.nr_hugepages=256");
  if (!has_iommu) append(finding.next, "; ", "IOMMU: intel_iommu=on or amd_iommu=on on the kernel's command line");
  if (nics.empty()) append(finding.next, "; ", "NIC: modprobe vfio-pci, then dpdk-devbind.py --bind=vfio-pci ADDRESS (the kernel loses it; an mlx5 stays where it is)");
  return finding;
}

}  // namespace tideway::packet_io
