// SPDX-License-Identifier: Apache-2.0
//
// tideway bench path: what the data path costs here, from memory to memory, beside the AEAD alone.
#include "base/amounts.h"
#include "engine/path_bench.h"
#include "packet_io/dpdk_args.h"
#include "signals.h"
#include "verbs.h"

#include <stdlib.h>

#include <filesystem>

namespace tideway::cli {
namespace {

using engine::PathBenchNumbers;
using engine::PathBenchOrder;
using engine::PathEndNumbers;

constexpr const char* kLoopback = "127.0.0.1";
constexpr const char *kSourceAddress = "192.0.2.1",
                     *kSinkAddress = "192.0.2.2";  // of RFC 5737: nobody's

constexpr uint64_t kMtuOfMemif = 1500;   // its frames have 1518 bytes at most
constexpr uint64_t kMtuOfFrames = 1500;  // what fits the driver's frames of 2 KiB
constexpr const char* kLargeFrames = ",framesz=10240,blocksz=20480";
constexpr const char* kVethAdvice =
    "in a network namespace: ip link add va type veth peer name vb; ip link set va up; ip link set vb up; ethtool -K va tx off rx off gso off gro "
    "off (vb too); then --interfaces va,vb";

struct PathOptions {
  std::string io;
  std::vector<std::string> interfaces;  // of net_af_packet: the source's and the sink's
  std::vector<std::string> addresses{kLoopback, kLoopback};  // of udp, likewise
  uint64_t mtu = 1500;
  uint32_t flows = 1, seconds = 5, threads = 2;
  std::string folder;  // for a socket
};

// A folder that nobody else may look into, for as long as a measurement takes.
class PrivateFolder {
 public:
  // Errors: usage.
  static Result<std::unique_ptr<PrivateFolder>> create() {
    std::error_code failure;
    std::string path = (std::filesystem::temp_directory_path(failure) / "tideway-bench-XXXXXX").native();
    if (failure || mkdtemp(path.data()) == nullptr || path.size() > kPathMax)
      return Error{Fault::kUsage, "no folder can be made at " + path + ", or its name is too long for a socket",
                   "set TMPDIR to a directory where you may write, with a short name"};
    return std::unique_ptr<PrivateFolder>(new PrivateFolder(std::move(path)));
  }
  ~PrivateFolder() {
    std::error_code ignored;  // it lies where things may be left
    std::filesystem::remove_all(path_, ignored);
  }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  static constexpr size_t kPathMax = 90;  // a socket's has 107, with its name
  explicit PrivateFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

// ---- what may be measured -----------------------------------------------------------------------

Result<PathBenchOrder::End> kernel_end(const std::string& address) {
  const bool is_ipv6 = address.find(':') != address.npos;
  const auto local = Endpoint::parse(is_ipv6 ? '[' + address + "]:0" : address + ":0");
  if (!local.ok())
    return Error{Fault::kUsage, "--addresses names " + address + ", which is no IP address", "write two of this host, such as --addresses 10.9.0.1,10.9.0.2"};
  PathBenchOrder::End end;
  end.local = local.value();
  return end;
}

PathBenchOrder::End dpdk_end(const char* address, const PathOptions& options) {
  PathBenchOrder::End end;
  end.packets.dpdk.eal_args = packet_io::eal_args_for_memory();
  end.packets.dpdk.file_prefix = "tideway-bench";
  end.packets.dpdk.ports.front().addresses = {ip::Prefix::parse(std::string(address) + "/24").value()};
  end.packets.dpdk.ports.front().mtu = Bytes(options.mtu);
  end.local = {end.packets.dpdk.ports.front().addresses.front().address, 0};
  return end;
}

// Where packets between two addresses of one host go, through loopback or through an interface, its routes say.
Result<PathBenchOrder> over_udp(const PathOptions& options) {
  if (options.addresses.size() != 2) return Error{Fault::kUsage, "--addresses takes one for each end", "write the source's and the sink's"};
  const auto source = kernel_end(options.addresses[0]), sink = kernel_end(options.addresses[1]);
  if (!source.ok()) return source.error();
  if (!sink.ok()) return sink.error();
  PathBenchOrder order;
  order.backend = "udp";
  order.source = source.value();
  order.sink = sink.value();
  return order;
}

Result<PathBenchOrder> over_net_ring(const PathOptions& options) {
  PathBenchOrder order;
  order.backend = "dpdk";
  order.ports = PathBenchOrder::Ports::kJoined;
  order.source = dpdk_end(kSourceAddress, options);
  order.sink = dpdk_end(kSinkAddress, options);
  // A NIC sums payloads for us, and the kernel sums none between two sockets of one machine; so neither do rings.
  for (PathBenchOrder::End* end : {&order.source, &order.sink}) end->packets.dpdk.ports.front().udp_checksum = ip::UdpChecksum::kZero;
  return order;
}

// Each port on its end of a veth pair. The kernel has neither address, so it answers for none.
Result<PathBenchOrder> over_net_af_packet(const PathOptions& options) {
  if (options.interfaces.size() != 2)
    return Error{Fault::kUsage, "net_af_packet needs the two ends of a link of this machine", kVethAdvice};
  PathBenchOrder order;
  order.backend = "dpdk";
  order.source = dpdk_end(kSourceAddress, options);
  order.sink = dpdk_end(kSinkAddress, options);
  std::vector<std::string>& eal = order.source.packets.dpdk.eal_args;
  for (const size_t i : {size_t{0}, size_t{1}})
    eal.push_back("--vdev=net_af_packet" + std::to_string(i) + ",iface=" + options.interfaces[i] + (options.mtu > kMtuOfFrames ? kLargeFrames : ""));
  order.sink.packets.dpdk.eal_args = eal;
  order.source.packets.dpdk.ports.front().device = "net_af_packet0";
  order.sink.packets.dpdk.ports.front().device = "net_af_packet1";
  return order;
}

// A process for each end: the source's serves the socket, so it is there when the sink's starts.
Result<PathBenchOrder> over_net_memif(const PathOptions& options) {
  if (options.threads != 2)
    return Error{Fault::kUsage, "net_memif joins two processes, so each end has a thread of its own", "leave --threads out"};
  if (options.mtu > kMtuOfMemif)
    return Error{Fault::kUsage, "net_memif carries packets of " + std::to_string(kMtuOfMemif) + " bytes, and --mtu is " + std::to_string(options.mtu),
                 "leave --mtu out, or measure net_ring"};
  PathBenchOrder order;
  order.backend = "dpdk";
  order.source = dpdk_end(kSourceAddress, options);
  order.sink = dpdk_end(kSinkAddress, options);
  order.threads = PathBenchOrder::Threads::kProcessPerEnd;
  for (PathBenchOrder::End* end : {&order.source, &order.sink}) {
    const std::string role = end == &order.source ? "server" : "client";
    // DPDK draws addresses from a seed that a process has from its parent, so both would have the same.
    const std::string mac = end == &order.source ? "02:00:00:00:00:01" : "02:00:00:00:00:02";
    packet_io::DpdkConfig& dpdk = end->packets.dpdk;
    dpdk.eal_args.push_back("--vdev=net_memif0,role=" + role + ",socket=" + options.folder + "/memif,socket-abstract=no,mac=" + mac);
    dpdk.file_prefix += '-' + role;
    dpdk.ports.front().device = "net_memif0";
    dpdk.ports.front().udp_checksum = ip::UdpChecksum::kZero;  // as over rings
  }
  return order;
}

struct Io {
  const char* name;
  Result<PathBenchOrder> (*order)(const PathOptions& options);
};
constexpr Io kIos[] = {{"net_ring", over_net_ring}, {"net_memif", over_net_memif}, {"net_af_packet", over_net_af_packet}, {"udp", over_udp}};

Result<PathBenchOrder> order_of(const PathOptions& options) {
  std::string names;
  for (const Io& io : kIos) {
    if (options.io != io.name) {
      names.append(names.empty() ? "" : ", ").append(io.name);
      continue;
    }
    auto order = io.order(options);
    if (!order.ok()) return order;
    order.value().mtu = Bytes(options.mtu);
    order.value().flows = options.flows;
    order.value().measured = std::chrono::seconds(options.seconds);
    if (options.threads == 1) order.value().threads = PathBenchOrder::Threads::kOne;
    if (!packet_io::find_backend(order.value().backend).ok())
      return Error{Fault::kUnsupported, "this build has no DPDK, of which " + options.io + " is a driver",
                   "install DPDK (apt-get install libdpdk-dev dpdk), then configure and build again; or measure udp"};
    return order;
  }
  return Error{Fault::kUsage, "there is no --io " + options.io, "choose one of " + names};
}

// ---- what is said ----------------------------------------------------------------------------------

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }
double seconds_of(Duration time) { return std::chrono::duration<double>(time).count(); }
double gbit_of(Rate rate) { return rate.bits_per_second() / 1e9; }

// What left the source: payload, but for one packet in thousands.
double packets_of(const PathBenchNumbers& numbers) {
  return static_cast<double>(numbers.source.stages[static_cast<size_t>(Stage::kSeal)].packets);
}

// Of a stage, for one packet and for one byte of payload; a stage that handles few packets, such as ACKs at the source,
// costs little then.
struct StageCost {
  double cycles_per_packet, ns_per_packet, cycles_per_byte, ns_per_byte;
};
StageCost cost_of(const PathBenchNumbers& numbers, const StageCount& stage) {
  const auto cycles = static_cast<double>(stage.cycles);
  const double of_packet = share(cycles, packets_of(numbers)), of_byte = share(cycles, static_cast<double>(numbers.payload.count()));
  return {of_packet, share(of_packet, numbers.cycles_per_ns), of_byte, share(of_byte, numbers.cycles_per_ns)};
}

void print_json(const PathOptions& options, const PathBenchNumbers& numbers) {
  for (const auto& [name, end] : {std::pair("source", &numbers.source), std::pair("sink", &numbers.sink)}) {
    for (size_t i = 0; i < kStages; ++i) {
      const StageCost cost = cost_of(numbers, end->stages[i]);
      JsonLine line("stage");
      line.text("end", name).text("stage", kStageNames[i]).number("packets", end->stages[i].packets).number("bursts", end->stages[i].bursts);
      line.number("cycles", end->stages[i].cycles).real("cycles_per_packet", cost.cycles_per_packet).real("ns_per_packet", cost.ns_per_packet);
      line.real("cycles_per_byte", cost.cycles_per_byte).real("ns_per_byte", cost.ns_per_byte).print();
    }
  }
  const auto bits = [](Rate rate) { return static_cast<uint64_t>(rate.bits_per_second()); };
  JsonLine line("path");
  line.text("io", options.io).number("mtu", options.mtu).number("flows", options.flows).number("threads", options.threads);
  line.real("seconds", seconds_of(numbers.took)).number("bytes", numbers.payload.count()).number("rate_bits", bits(numbers.rate()));
  line.number("source_rate_bits_per_core", bits(numbers.rate_of_core(numbers.source)));
  line.number("sink_rate_bits_per_core", bits(numbers.rate_of_core(numbers.sink)));
  line.real("packets_per_second", share(packets_of(numbers), seconds_of(numbers.took)));
  line.number("packet_payload", numbers.packet_payload.count()).number("path_mtu", numbers.path_mtu.count());
  line.number("packets_lost", numbers.packets_lost).real("cycles_per_ns", numbers.cycles_per_ns);
  line.real("source_cpu_seconds", seconds_of(numbers.source.cpu)).real("sink_cpu_seconds", seconds_of(numbers.sink.cpu));
  line.number("seal_alone_bits", bits(numbers.source.alone)).number("open_alone_bits", bits(numbers.sink.alone)).print();
}

void print_table(const PathOptions& options, const PathBenchNumbers& numbers) {
  std::printf("%s, MTU %llu, %u flows: %.1f Gbit/s of payload, %.0f packets/s of %llu bytes, %llu lost\n", options.io.c_str(),
              static_cast<unsigned long long>(options.mtu), options.flows, gbit_of(numbers.rate()),
              share(packets_of(numbers), seconds_of(numbers.took)), static_cast<unsigned long long>(numbers.packet_payload.count()),
              static_cast<unsigned long long>(numbers.packets_lost));
  std::printf("\n%-22s %12s %12s\n", "", "source", "sink");
  const auto row = [](const char* name, double source, double sink) { std::printf("%-22s %12.1f %12.1f\n", name, source, sink); };
  row("Gbit/s of one core", gbit_of(numbers.rate_of_core(numbers.source)), gbit_of(numbers.rate_of_core(numbers.sink)));
  row("  the AEAD alone", gbit_of(numbers.source.alone), gbit_of(numbers.sink.alone));
  const auto percent = [&](const PathEndNumbers& end) { return 100 * share(seconds_of(end.cpu), seconds_of(numbers.took)); };
  row("% of a core used", percent(numbers.source), percent(numbers.sink));
  const auto burst = [](const PathEndNumbers& end, Stage stage) {
    const StageCount& count = end.stages[static_cast<size_t>(stage)];
    return share(static_cast<double>(count.packets), static_cast<double>(count.bursts));
  };
  row("packets in a burst", burst(numbers.source, Stage::kSeal), burst(numbers.sink, Stage::kOpen));
  std::printf("\n%-6s  %35s  %35s\n", "", "source: a packet         a byte", "sink: a packet         a byte");
  std::printf("%-6s", "");
  for (int end = 0; end < 2; ++end) std::printf("  %8s %8s %8s %8s", "cycles", "ns", "cycles", "ns");
  for (size_t i = 0; i < kStages; ++i) {
    std::printf("\n%-6s", kStageNames[i].data());
    for (const PathEndNumbers* end : {&numbers.source, &numbers.sink}) {
      const StageCost cost = cost_of(numbers, end->stages[i]);
      std::printf("  %8.1f %8.1f %8.3f %8.3f", cost.cycles_per_packet, cost.ns_per_packet, cost.cycles_per_byte, cost.ns_per_byte);
    }
  }
  std::printf("\n");
}

int bench_path(const Globals& globals, PathOptions options) {
  auto folder = PrivateFolder::create();
  if (!folder.ok()) return report(folder.error(), globals.output);
  options.folder = folder.value()->path();
  auto order = order_of(options);
  if (!order.ok()) return report(order.error(), globals.output);
  const int signals = open_signal_fd();
  order.value().stop_fd = signals;
  const auto numbers = engine::run_path_bench(order.value());
  if (const int signal = next_signal(signals); signal != 0) return 128 + signal;
  if (!numbers.ok()) return report(numbers.error(), globals.output);
  if (globals.output.json)
    print_json(options, numbers.value());
  else
    print_table(options, numbers.value());
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* verb = app.add_subcommand("bench", "Measure the data path on this machine");
  verb->require_subcommand(1);
  CLI::App* path = verb->add_subcommand(
      "path",
      "From memory to memory between two ends on this machine, sealed and acknowledged");
  path->footer(
      "Nothing leaves this machine.\n\n  tideway bench path --io net_ring --mtu 9000\n  tideway "
      "bench path --io udp --flows 4 --seconds 10 --json");
  auto options = std::make_shared<PathOptions>();
  path->add_option("--io", options->io, "net_ring, net_memif (a process for each end), net_af_packet or udp")->type_name("NAME")->required();
  path->add_option("--interfaces", options->interfaces, "For net_af_packet: both ends of a veth pair")->type_name("A,B")->delimiter(',');
  path->add_option("--addresses", options->addresses, "For udp: an address of this host for each end (default both 127.0.0.1)")->type_name("A,B")->delimiter(',');
  path->add_option("--mtu", options->mtu, "Largest IP packet (default 1500)")
      ->type_name("BYTES")
      ->check(CLI::Range(1280, 9000));
  path->add_option("--flows", options->flows, "Parallel flows (default 1)")
      ->type_name("N")
      ->check(CLI::Range(1, 64));
  path->add_option("--seconds", options->seconds, "How long to measure (default 5)")
      ->type_name("S")
      ->check(CLI::Range(1, 3600));
  path->add_option("--threads", options->threads, "1: both ends on one core (default 2)")
      ->type_name("N")
      ->check(CLI::Range(1, 2));
  add_globals(*path, globals);
  path->callback([&globals, &action, options] {
    action = [&globals, options] { return bench_path(globals, *options); };
  });
}

}  // namespace tideway::cli
