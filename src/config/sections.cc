// SPDX-License-Identifier: Apache-2.0
#include "config/sections.h"

#include "base/loopback.h"
#include "config/scheduling_sections.h"
#include "config/section_reader.h"
#include "engine/layout.h"
#include "packet_io/registry.h"

#include <charconv>

namespace tideway::config {
namespace {

Result<std::string> parse_trust_domain(std::string_view text) {
  if (is_trust_domain(text)) return std::string(text);
  return invalid(quoted(text) + " is not a trust domain",
                 "write lower-case letters, digits, dashes, dots or underscores, such as example.org");
}

Result<std::optional<Endpoint>> parse_optional_endpoint(std::string_view text) {
  if (text.empty()) return std::optional<Endpoint>();
  auto endpoint = parse_endpoint(text);
  if (!endpoint.ok()) return std::move(endpoint).error();
  return std::optional(endpoint.value());
}

Result<std::optional<Endpoint>> parse_web(std::string_view text) {
  auto endpoint = parse_optional_endpoint(text);
  if (endpoint.ok() && endpoint.value() && !is_loopback(*endpoint.value()))
    return invalid(quoted(text) + " is not on the loopback, and the page asks nobody who he is",
                   "write 127.0.0.1:7480, and come through ssh -L, or through a proxy on this machine that asks");
  return endpoint;
}

// A packet backend; the table of those this build has is packet_io's.
Result<std::string> parse_backend(std::string_view text) {
  const auto backend = packet_io::find_backend(text);
  if (backend.ok()) return std::string(text);
  const bool is_left_out = text == "dpdk";
  return invalid(quoted(text) + (is_left_out ? " is not in this build" : " is not known"),
                 backend.error().next + (is_left_out ? "; or build with DPDK (libdpdk-dev) installed" : ""));
}

Result<Compression> parse_compression(std::string_view text) {
  using enum Compression::Mode;
  if (text == "auto") return Compression{kAuto, 0};
  if (text == "off") return Compression{kOff, 0};
  int level = 0;
  if (text.starts_with("zstd:")) {
    const std::string_view digits = text.substr(5);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), level);
    if (failure != std::errc() || end != digits.data() + digits.size()) level = 0;
  }
  if (level < kZstdLevelMin || level > kZstdLevelMax)
    return invalid(quoted(text) + " is not a way to compress", "write auto, off, or zstd:1 to zstd:19");
  return Compression{kZstd, level};
}

Result<Duration> parse_lifetime(std::string_view text) {
  auto duration = parse_duration(text);
  if (duration.ok() && duration.value() <= Duration::zero())
    return invalid(quoted(text) + " would remove what is still being written", "write how long unfinished data is kept, such as 7d");
  return duration;
}

Result<Duration> parse_asking(std::string_view text) {
  auto duration = parse_duration(text);
  if (duration.ok() && (duration.value() < std::chrono::seconds(1) || duration.value() > session::CarrierChoice::kAskAfterMax))
    return invalid(quoted(text) + " is not between 1s and 1h", "write after how long UDP is asked for again, such as 5m");
  return duration;
}

Result<uint32_t> parse_modes(std::string_view text) {
  uint32_t modes = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), modes, 8);
  if (text.size() != 4 || failure != std::errc() || end != text.data() + text.size() || modes > 0777)
    return invalid(quoted(text) + " is not a set of permission bits", "write four octal digits up to 0777, such as 0640");
  return modes;
}

Status read_site(const Table& document, GatewayConfig& config) {
  Reader site("[site]", section(document, "site"));
  site.read("name", config.site.name, parse_name);
  site.read("gateway", config.site.gateway, parse_name);
  site.read("trust_domain", config.site.trust_domain, parse_trust_domain);
  site.read_path("state_dir", config.site.state_dir);
  if (!site.status().ok()) return site.status();
  Reader tls("[tls]", section(document, "tls"));
  tls.read_path("ca", config.tls.ca);
  tls.read_path("cert", config.tls.cert);
  tls.read_path("key", config.tls.key);
  tls.read_path("crl", config.tls.crl);
  tls.read_each("allow", [&](const std::string& text) -> Status {
    config.tls.allow.push_back(text);  // what it may be, crypto/ knows
    return success();
  });
  return tls.status();
}

// What each port has of its own.
void read_port(Reader& reader, packet_io::DpdkPortConfig& port) {
  reader.read("device", port.device, [](const std::string& text) { return Result<std::string>(text); });
  reader.read_each("address", [&](const std::string& text) -> Status {
    const auto prefix = ip::Prefix::parse(text);
    if (!prefix.ok()) return prefix.error();
    port.addresses.push_back(prefix.value());
    return success();
  });
  std::vector<ip::IpAddress> next_hops;
  reader.read_each("next_hop", [&](const std::string& text) -> Status {
    const auto hop = ip::parse_address(text);
    if (!hop.ok()) return hop.error();
    next_hops.push_back(hop.value());
    return success();
  });
  if (!next_hops.empty()) port.next_hops = std::move(next_hops);
  uint64_t mtu = port.mtu.count();
  reader.read_count("mtu", mtu, kDpdkMtuMax, kDpdkMtuMin);
  port.mtu = Bytes(mtu);
  reader.read_count("vlan", port.vlan, ip::kVlanMax);
  reader.read_count("udp_port", port.udp_port, 65'536 - kDataPorts, 1);
  bool icmp_echo = port.icmp_echo == ip::IcmpEcho::kOn;
  reader.read_flag("icmp_echo", icmp_echo);
  port.icmp_echo = icmp_echo ? ip::IcmpEcho::kOn : ip::IcmpEcho::kOff;
}

// Several ports: each begins with what [data_plane.dpdk] says for all.
Status read_ports(std::span<const Value> list, std::vector<packet_io::DpdkPortConfig>& ports) {
  if (list.empty()) return success();
  const packet_io::DpdkPortConfig common = ports.front();
  if (!common.addresses.empty() || !common.device.empty())
    return invalid(list.front().at + ": [data_plane.dpdk] has a device or address, and [[data_plane.dpdk.ports]] have theirs",
                   "write device and address of each port below its own [[data_plane.dpdk.ports]]");
  if (list.size() > engine::kNetWorkersMax)
    return invalid(list.front().at + ": there are more than " + std::to_string(engine::kNetWorkersMax) + " [[data_plane.dpdk.ports]]", "remove some");
  ports.clear();
  for (const Value& value : list) {
    Reader reader("[[data_plane.dpdk.ports]]", &std::get<Table>(value.held));
    read_port(reader, ports.emplace_back(common));
    if (!reader.status().ok()) return reader.status();
  }
  return success();
}

Status read_dpdk(const Table* table, Dpdk& dpdk) {
  Reader reader("[data_plane.dpdk]", table);
  packet_io::DpdkPortConfig& port = dpdk.start.ports.front();
  reader.read_each("eal_args", [&](const std::string& word) -> Status {
    dpdk.start.eal_args.push_back(word);  // what it may be, packet_io knows
    return success();
  });
  read_port(reader, port);
  reader.read_count("queues", dpdk.queues, engine::kNetWorkersMax);
  if (dpdk.queues != 0) port.queues = packet_io::DpdkQueues::kExactly;
  bool insecure_dma = false;
  reader.read_flag("insecure_dma", insecure_dma);
  dpdk.start.dma = insecure_dma ? packet_io::DpdkDma::kInsecure : packet_io::DpdkDma::kConfined;
  using packet_io::DpdkPoll;
  reader.read("poll", dpdk.start.poll, one_of<DpdkPoll>({{"adaptive", DpdkPoll::kAdaptive}, {"full", DpdkPoll::kFull}}));
  using Fallback = Dpdk::Fallback;
  reader.read("fallback", dpdk.fallback, one_of<Fallback>({{"off", Fallback::kOff}, {"udp", Fallback::kUdp}}));
  if (!reader.status().ok() || table == nullptr) return reader.status();
  const auto ports = sections(*table, "ports");
  if (Status status = read_ports(ports, dpdk.start.ports); !status.ok()) return status;
  if (const size_t workers = dpdk.net_workers(); workers > engine::kNetWorkersMax)
    return invalid(ports.front().at + ": queues in [data_plane.dpdk] and the number of ports make " + std::to_string(workers) + " net workers",
                   "lower queues: a gateway has at most " + std::to_string(engine::kNetWorkersMax));
  return success();
}

Status read_network(const Table& document, GatewayConfig& config) {
  Reader listen("[listen]", section(document, "listen"));
  listen.read("control", config.listen.control, parse_endpoint);
  listen.read_path("api", config.listen.api, Reader::Empty::kMeansNone);
  listen.read("metrics", config.listen.metrics, parse_optional_endpoint);
  listen.read("web", config.listen.web, parse_web);
  if (!listen.status().ok()) return listen.status();
  Reader data("[data_plane]", section(document, "data_plane"));
  data.read("backend", config.data_plane.backend, parse_backend);
  data.read("address", config.data_plane.address, parse_endpoint);
  data.read_count("flows", config.data_plane.flows, kDataPorts);
  data.read("rate", config.data_plane.rate, parse_rate);
  data.read("congestion", config.data_plane.congestion, registered({"bbr", "contracted", "scavenger"}));
  data.read("fallback", config.data_plane.fallback, one_of<Fallback>({{"tls", Fallback::kTls}, {"off", Fallback::kOff}}));
  data.read("ask_udp_after", config.data_plane.ask_udp_after, parse_asking);
  data.read_path("capture", config.data_plane.capture, Reader::Empty::kMeansNone);
  using enum ip::UdpChecksum;
  data.read("udp_checksum", config.data_plane.dpdk.start.ports.front().udp_checksum,
            one_of<ip::UdpChecksum>({{"on", kOffload}, {"zero", kZero}}));
  if (!data.status().ok()) return data.status();
  const Table* table = section(document, "data_plane");
  return read_dpdk(table == nullptr ? nullptr : section(*table, "dpdk"), config.data_plane.dpdk);
}

Status read_engine(const Table& document, GatewayConfig& config) {
  Reader engine("[engine]", section(document, "engine"));
  engine.read("memory", config.engine.memory, parse_size);
  if (!engine.status().ok()) return engine.status();
  Reader storage("[storage]", section(document, "storage"));
  using enum IoMode;
  storage.read("io", config.storage.io, one_of<IoMode>({{"auto", kAuto}, {"uring", kUring}, {"threads", kThreads}}));
  storage.read("direct_io", config.storage.direct_io, one_of<storage::DirectIo>({{"auto", storage::DirectIo::kAuto}, {"off", storage::DirectIo::kOff}}));
  storage.read("staging_ttl", config.storage.staging_ttl, parse_lifetime);
  if (!storage.status().ok()) return storage.status();
  Reader compression("[compression]", section(document, "compression"));
  compression.read("mode", config.compression, parse_compression);
  return compression.status();
}

Result<Root> read_root(const Value& value) {
  Root root;
  root.at = value.at;
  Reader reader("[[root]]", &std::get<Table>(value.held));
  reader.read("name", root.name, parse_name);
  reader.read_path("path", root.path);
  if (!reader.status().ok()) return reader.status().error();
  return root;
}

Result<Grant> read_grant(const Value& value) {
  Grant grant;
  grant.at = value.at;
  Reader reader("[[grant]]", &std::get<Table>(value.held));
  reader.read("peer", grant.peer, parse_identity_pattern);
  reader.read("root", grant.root, parse_name);
  reader.read("prefix", grant.prefix, [](const std::string& text) { return ObjectName::from_text(text); });
  using enum session::GrantOp;
  const auto parse_op = one_of<session::GrantOp>(
      {{"read", kRead}, {"list", kList}, {"write", kWrite}, {"overwrite", kOverwrite}, {"delete", kDelete}});
  reader.read_each("ops", [&](const std::string& word) -> Status {
    const auto op = parse_op(word);
    if (!op.ok()) return op.error();
    grant.ops.add(op.value());
    return success();
  });
  session::GrantLimits& limits = grant.limits;
  reader.read("max_bytes", limits.bytes_max, parse_size);
  reader.read_count("max_files", limits.files_max, std::numeric_limits<int64_t>::max());
  reader.read_count("max_flows", limits.flows_max, kDataPorts);
  reader.read("max_rate", limits.rate_max, parse_rate);
  reader.read("modes", limits.modes, parse_modes);
  if (!reader.status().ok()) return reader.status().error();
  if (grant.ops == session::GrantOps())
    return invalid(grant.at + ": ops in [[grant]] is empty", "name what is allowed, such as [\"read\", \"list\"]");
  return grant;
}

Result<Peer> read_peer(const Value& value, const Site& site) {
  Peer peer;
  peer.at = value.at;
  Reader reader("[[peer]]", &std::get<Table>(value.held));
  reader.read("name", peer.name, parse_name);
  reader.read("control", peer.control, parse_endpoint);
  const std::string identity = "spiffe://" + site.trust_domain + "/site/" + peer.name + "/gw/*";
  if (auto known = parse_identity_pattern(identity); known.ok()) peer.identity = std::move(known).value();
  reader.read("identity", peer.identity, parse_identity_pattern);
  reader.read("rate", peer.rate, parse_rate);
  if (!reader.status().ok()) return reader.status().error();
  return peer;
}

Status read_signing(const Table& document, GatewayConfig& config) {
  Reader signing("[signing]", section(document, "signing"));
  signing.read_path("key", config.signing_key);
  if (!signing.status().ok()) return signing.status();
  for (const Value& value : sections(document, "signer")) {
    Signer signer;
    signer.at = value.at;
    Reader reader("[[signer]]", &std::get<Table>(value.held));
    reader.read("site", signer.site, parse_name);
    reader.read_path("key", signer.key);
    if (!reader.status().ok()) return reader.status();
    const bool is_twice = std::ranges::find(config.signers, signer.site, &Signer::site) != config.signers.end();
    if (is_twice) return invalid(signer.at + ": site " + signer.site + " has a [[signer]] already", "keep the key that it signs with now");
    config.signers.push_back(std::move(signer));
  }
  return success();
}

template <typename T>
const T* named(const std::vector<T>& items, std::string_view name) {
  const auto found = std::ranges::find(items, name, &T::name);
  return found == items.end() ? nullptr : &*found;
}

}  // namespace

const Root* GatewayConfig::root_named(std::string_view name) const { return named(roots, name); }
const Peer* GatewayConfig::peer_named(std::string_view name) const { return named(peers, name); }

Result<GatewayConfig> read_sections(const Table& document) {
  GatewayConfig config;
  for (const auto read : {read_site, read_network, read_engine, read_signing})
    if (auto status = read(document, config); !status.ok()) return status.error();
  if (Status status = read_each(document, "root", config.roots, read_root); !status.ok()) return status.error();
  if (Status status = read_each(document, "grant", config.grants, read_grant); !status.ok()) return status.error();
  const auto peer_of_site = [&](const Value& value) { return read_peer(value, config.site); };
  if (Status status = read_each(document, "peer", config.peers, peer_of_site); !status.ok()) return status.error();
  if (Status status = read_scheduling(document, config); !status.ok()) return status.error();
  return config;
}

}  // namespace tideway::config
