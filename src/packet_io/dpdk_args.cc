// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_args.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace tideway::packet_io {
namespace {

enum class Takes : uint8_t { kNothing, kValue, kMaybe };  // kMaybe: only as --flag=value

struct Flag {
  std::string_view name;
  Takes takes;
};

// Of EAL 22.11 on Linux. Left out: help and version, which end the process.
constexpr Flag kFlags[] = {
    {"-a", Takes::kValue}, {"-b", Takes::kValue}, {"-c", Takes::kValue}, {"-d", Takes::kValue},
    {"-l", Takes::kValue}, {"-m", Takes::kValue}, {"-n", Takes::kValue}, {"-r", Takes::kValue},
    {"-s", Takes::kValue}, {"-S", Takes::kValue},
    {"--allow", Takes::kValue}, {"--base-virtaddr", Takes::kValue}, {"--block", Takes::kValue},
    {"--create-uio-dev", Takes::kNothing}, {"--file-prefix", Takes::kValue},
    {"--force-max-simd-bitwidth", Takes::kValue}, {"--huge-dir", Takes::kValue}, {"--huge-unlink", Takes::kMaybe},
    {"--in-memory", Takes::kNothing}, {"--iova-mode", Takes::kValue}, {"--lcores", Takes::kValue},
    {"--legacy-mem", Takes::kNothing}, {"--log-level", Takes::kValue}, {"--main-lcore", Takes::kValue},
    {"--match-allocations", Takes::kNothing}, {"--mbuf-pool-ops-name", Takes::kValue}, {"--no-hpet", Takes::kNothing},
    {"--no-huge", Takes::kNothing}, {"--no-pci", Takes::kNothing}, {"--no-shconf", Takes::kNothing},
    {"--no-telemetry", Takes::kNothing}, {"--proc-type", Takes::kValue}, {"--single-file-segments", Takes::kNothing},
    {"--socket-limit", Takes::kValue}, {"--socket-mem", Takes::kValue}, {"--syslog", Takes::kValue},
    {"--telemetry", Takes::kNothing}, {"--trace", Takes::kValue}, {"--trace-bufsz", Takes::kValue},
    {"--trace-dir", Takes::kValue}, {"--trace-mode", Takes::kValue}, {"--vdev", Takes::kValue},
    {"--vfio-intr", Takes::kValue}, {"--vfio-vf-token", Takes::kValue}, {"--vmware-tsc-map", Takes::kNothing},
};

Error invalid(std::string what, std::string next) {
  return {Fault::kConfigInvalid, "eal_args in [data_plane.dpdk]: " + std::move(what), std::move(next)};
}

std::string quoted(std::string_view text) { return '"' + std::string(text.substr(0, 128)) + '"'; }

// The flags that were given, each with its value.
struct Given {
  struct Pair { std::string_view flag, value; };
  std::vector<Pair> pairs;

  bool has(std::initializer_list<std::string_view> flags) const {
    return std::ranges::any_of(pairs, [&](const Pair& pair) { return std::ranges::count(flags, pair.flag) > 0; });
  }
  std::optional<std::string_view> value_of(std::string_view flag) const {
    for (const Pair& pair : pairs)
      if (pair.flag == flag) return pair.value;
    return std::nullopt;
  }
};

Result<Given> parse(std::span<const std::string> words) {
  Given given;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (!word.starts_with('-') || word.find('\0') != word.npos)
      return invalid(quoted(word) + " belongs to no flag", "write each flag with its value, such as \"--vdev=net_tap0\"");
    const bool is_long = word.starts_with("--");
    const std::string_view name = is_long ? word.substr(0, word.find('=')) : word.substr(0, 2);
    const auto row = std::ranges::find(kFlags, name, &Flag::name);
    if (row == std::end(kFlags))
      return invalid(quoted(name) + " is no flag of EAL 22.11 that a gateway may be given",
                     "write it in full as `dpdk-testpmd --help` shows it");
    std::optional<std::string_view> value;
    if (word.size() > name.size()) value = word.substr(name.size() + (is_long ? 1 : 0));
    if (value && row->takes == Takes::kNothing)
      return invalid(quoted(word) + ": " + std::string(name) + " takes no value", "write \"" + std::string(name) + '"');
    if (!value && row->takes == Takes::kValue && i + 1 < words.size()) value = words[++i];
    if (row->takes == Takes::kValue && (!value || value->empty()))
      return invalid(std::string(name) + " lacks its value", "add it as \"" + std::string(name) + (is_long ? "=" : "") + "VALUE\"");
    given.pairs.push_back({name, value.value_or("")});
  }
  return given;
}

Status check(const Given& given, DpdkDma dma) {
  if (given.has({"--no-huge"}) && given.has({"--in-memory", "--huge-dir", "--single-file-segments"}))
    return invalid("EAL refuses --no-huge together with a flag about huge pages",
                   "for memory without huge pages write [\"--no-huge\", \"--no-shconf\", \"-m\", \"512\"]");
  if (const auto mode = given.value_of("--iova-mode"); mode && *mode != "va" && dma == DpdkDma::kConfined)
    return invalid("--iova-mode=" + std::string(*mode) + " lets a device reach all of this host's memory",
                   "leave it out, so that the IOMMU confines the device; or set insecure_dma = true");
  if (const auto type = given.value_of("--proc-type"); type && *type != "primary")
    return invalid("--proc-type=" + std::string(*type) + ": a gateway shares its port with no other process", "leave it out");
  return success();
}

// "0@(0,1,5)": one EAL thread, not bound to a single core.
std::string one_lcore(std::span<const int> cpus) {
  std::string list;
  for (const int cpu : cpus) list += (list.empty() ? "" : ",") + std::to_string(cpu);
  return "--lcores=0@(" + list + ')';
}

// The first line in which a driver complains; those that follow are mostly consequences. EAL's own lines say that much of
// hosts where all is well.
std::string first_complaint(std::string_view log) {
  while (!log.empty()) {
    const std::string_view line = log.substr(0, log.find('\n'));
    log.remove_prefix(std::min(line.size() + 1, log.size()));
    if (line.starts_with("EAL:")) continue;
    for (const std::string_view word : {"rror", "ailed", "annot", "nvalid", "not found"})
      if (line.find(word) != line.npos) return std::string(line);
  }
  return {};
}

std::string last_line_with(std::string_view log, std::initializer_list<std::string_view> words) {
  std::string found;
  while (!log.empty()) {
    const size_t end = std::min(log.find('\n'), log.size());
    const std::string_view line = log.substr(0, end);
    log.remove_prefix(std::min(end + 1, log.size()));
    if (std::ranges::all_of(words, [&](std::string_view word) { return line.find(word) != line.npos; })) found = line;
  }
  return found;
}

std::string between_quotes(std::string_view line) {
  const size_t first = line.find_first_of("'\"");
  if (first == line.npos) return {};
  const size_t last = line.find(line[first], first + 1);
  return std::string(line.substr(first + 1, last == line.npos ? last : last - first - 1));
}

}  // namespace

Result<std::vector<std::string>> eal_arguments(const DpdkConfig& config, const EalPlace& place) {
  const auto parsed = parse(config.eal_args);
  if (!parsed.ok()) return parsed.error();
  const Given& given = parsed.value();
  if (Status status = check(given, config.dma); !status.ok()) return std::move(status).error();
  std::vector<std::string> words = config.eal_args;
  if (!given.has({"--iova-mode"}) && config.dma == DpdkDma::kConfined) words.emplace_back("--iova-mode=va");
  if (given.has({"--no-huge"})) {
    if (!given.has({"--no-shconf"})) words.emplace_back("--no-shconf");
    if (!given.has({"-m", "--socket-mem"})) words.emplace_back("-m512");  // EAL's own default is 64
  } else if (!given.has({"--in-memory", "--huge-dir", "--legacy-mem"})) {
    words.emplace_back("--in-memory");
  }
  // Else EAL takes every NIC of this host that it can drive, the one of the control channel too.
  if (given.has({"--vdev"}) && !given.has({"--allow", "-a", "--block", "-b", "--no-pci"}) && std::ranges::none_of(config.ports, [](const DpdkPortConfig& port) { return pci_address(port.device).has_value(); }))
    words.emplace_back("--no-pci");
  if (!given.has({"--file-prefix"})) words.push_back("--file-prefix=" + config.file_prefix);
  if (place.runtime_dir == RuntimeDir::kShared && !given.has({"--telemetry", "--no-telemetry"})) words.emplace_back("--no-telemetry");
  if (!given.has({"-c", "-l", "--lcores", "-s"}) && !place.cpus.empty()) words.push_back(one_lcore(place.cpus));
  return words;
}

std::vector<std::string> eal_args_for_memory() { return {"--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "-m", "512"}; }

Error eal_failure(std::string_view cause, std::string_view log) {
  if (!last_line_with(log, {"hugepage information"}).empty() || !last_line_with(log, {"No free", "hugepages"}).empty())
    return {Fault::kNoHugepages, "DPDK found no free huge pages on this host",
            "reserve some: sysctl -w vm.nr_hugepages=256 (512 MiB; vm.nr_hugepages in /etc/sysctl.d to last); or add \"--no-huge\" to eal_args in [data_plane.dpdk]"};
  if (const std::string line = last_line_with(log, {"arse device"}); !line.empty())
    return invalid("there is no driver for the device " + quoted(between_quotes(line)),
                   "correct its name, such as net_af_packet0, or install its driver: apt-get install dpdk brings those of DPDK");
  if (const std::string line = last_line_with(log, {"annot open shared object"}); !line.empty())
    return invalid("DPDK cannot load a driver: " + line, "correct -d, or leave it out: EAL finds the drivers of its own package");
  if (const std::string line = last_line_with(log, {"VFIO"}); !line.empty())
    return invalid("DPDK cannot use VFIO: " + line,
                   "turn the IOMMU on (intel_iommu=on or amd_iommu=on on the kernel's command line), modprobe vfio-pci");
  for (const std::string_view words : {"nvalid parameter", "not compatible", "invalid ", "mutually exclusive"})
    if (const std::string line = last_line_with(log, {words}); !line.empty() && line.find("Invalid 'command line'") == line.npos)
      return invalid("DPDK refuses them: " + line, "correct that argument; `dpdk-testpmd --help` explains each");
  std::string last = last_line_with(log, {"annot"});
  if (last.empty()) last = last_line_with(log, {"EAL:"});
  return invalid("DPDK does not start (" + std::string(cause) + ')' + (last.empty() ? "" : ": " + last),
                 "look at the lines `dpdk` of `tidewayd --verbose`");
}

Error no_such_port(const std::string& device, std::span<const std::string> found, std::string_view log) {
  std::string names;
  for (const std::string& name : found) names += (names.empty() ? "" : ", ") + name;
  const std::string which = device.empty() ? "DPDK found no port" : "DPDK found no port called " + quoted(device);
  std::string line = first_complaint(log);
  if (line.empty()) line = last_line_with(log, {"ailed"});
  if (const std::string why = last_line_with(log, {"rror", device}); !device.empty() && !why.empty()) line = why;
  std::string next = "name one in eal_args in [data_plane.dpdk], such as \"--vdev=net_af_packet0,iface=va\" or \"--allow=0000:3b:00.0\"";
  if (!names.empty()) next = "set device in [data_plane.dpdk] to one of: " + names;
  if (!line.empty()) return {Fault::kConfigInvalid, which + ": " + line, std::move(next)};
  return {Fault::kConfigInvalid, which + (names.empty() ? "" : " that is free"), std::move(next)};
}

Error device_failure(const std::string& name, std::string_view step, std::string_view cause, std::string_view log) {
  const std::string why = first_complaint(log);
  std::string next = "look at the lines `dpdk` of `tidewayd --verbose`, and lower what [data_plane.dpdk] asks of the device";
  if (why.find("prog fd") != why.npos)  // net_af_xdp puts its program only where there is none
    next = "another XDP program is on the interface, perhaps left by a gateway that was killed: ip link set dev INTERFACE xdp off";
  if (why.find("xsk socket") != why.npos)  // the kernel frees a queue by work of its own, behind the end of who had it
    next = "another program has that queue of the interface; if it has just ended, the kernel is about to let go of it: start again";
  return {Fault::kConfigInvalid,
          "the DPDK port " + name + ": " + std::string(step) + " failed (" + std::string(cause) + ')' + (why.empty() ? "" : ": " + why), std::move(next)};
}

std::optional<std::string> pci_address(std::string_view device) {
  std::string full(device);
  if (full.size() == 7) full = "0000:" + full;
  constexpr std::string_view kShape = "xxxx:xx:xx.x";
  if (full.size() != kShape.size()) return std::nullopt;
  for (size_t i = 0; i < full.size(); ++i)
    if (kShape[i] == 'x' ? std::isxdigit(static_cast<unsigned char>(full[i])) == 0 : full[i] != kShape[i]) return std::nullopt;
  return full;
}

AfPacketArgs parse_af_packet(std::string_view args) {
  AfPacketArgs parsed;
  while (!args.empty()) {
    const size_t end = std::min(args.find(','), args.size());
    const std::string_view item = args.substr(0, end);
    args.remove_prefix(std::min(end + 1, args.size()));
    if (item.starts_with("iface=")) parsed.interface = item.substr(6);
    if (item.starts_with("framesz=")) std::from_chars(item.data() + 8, item.data() + item.size(), parsed.frame_size);
  }
  return parsed;
}

Status check_af_packet(const AfPacketArgs& args, Bytes mtu, Bytes mtu_of_interface) {
  const std::string wanted = std::to_string(mtu.count());
  // The kernel puts a header of up to 66 bytes in front of a frame, which has up to 18 itself.
  if (constexpr size_t kHeaders = 84; args.frame_size < mtu.count() + kHeaders)
    return Error{Fault::kConfigInvalid,
                 "a frame of the port's ring has " + std::to_string(args.frame_size) + " bytes (framesz), too few for an mtu of " + wanted,
                 "add framesz=10240,blocksz=20480 to the --vdev of eal_args in [data_plane.dpdk], or lower mtu"};
  if (mtu_of_interface.count() > 0 && mtu_of_interface < mtu)
    return Error{Fault::kConfigInvalid,
                 "the interface " + args.interface + " carries packets of " + std::to_string(mtu_of_interface.count()) +
                     " bytes, and mtu in [data_plane.dpdk] is " + wanted,
                 "ip link set dev " + args.interface + " mtu " + wanted + ", or lower mtu"};
  return success();
}

}  // namespace tideway::packet_io
