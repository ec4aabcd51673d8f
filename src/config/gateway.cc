// SPDX-License-Identifier: Apache-2.0
#include "config/gateway.h"

#include "config/config_file.h"
#include "config/phases.h"

namespace tideway::config {
namespace {

Result<session::GatewayConfig> common(const GatewayConfig& config) {
  session::GatewayConfig gateway;
  gateway.tls.ca_file = config.tls.ca;
  gateway.tls.certificate_file = config.tls.cert;
  gateway.tls.key_file = config.tls.key;
  gateway.tls.crl_file = config.tls.crl;
  gateway.tls.allow = config.tls.allow;
  gateway.engine.memory = config.engine.memory;
  gateway.engine.packet_backend = config.data_plane.backend;
  gateway.engine.storage_io = config.storage.io == IoMode::kAuto ? "auto" : config.storage.io == IoMode::kUring ? "uring" : "threads";
  gateway.engine.storage_direct = config.storage.direct_io;
  gateway.engine.congestion = config.data_plane.congestion;
  gateway.engine.rate = config.data_plane.rate;
  gateway.staging_ttl = config.storage.staging_ttl;
  gateway.flows = config.data_plane.flows;
  gateway.fallback = config.data_plane.fallback == Fallback::kTls ? session::Fallback::kTls : session::Fallback::kOff;
  gateway.ask_udp_after = config.data_plane.ask_udp_after;
  gateway.signing.key = config.signing_key;
  for (const Signer& signer : config.signers) gateway.signing.signers.push_back({signer.site, signer.key});
  if (!config.site.state_dir.empty()) gateway.path_memory = config.site.state_dir + "/paths";
  gateway.engine.packets.dpdk = config.data_plane.dpdk.start;
  gateway.engine.packets.dpdk.file_prefix = "tideway-" + config.site.gateway;
  if (config.data_plane.is_dpdk()) gateway.engine.net_workers = config.data_plane.dpdk.net_workers();
  return gateway;
}

// Where packets come from: the port, or the kernel's address, which is not set when a direct copy lets the kernel choose.
void set_data_addresses(session::GatewayConfig& gateway, const DataPlane& data) {
  const Endpoint kernel = data.address.value_or(Endpoint{});
  gateway.data_addresses = {kernel};
  if (!data.is_dpdk()) return;
  gateway.data_addresses.clear();
  for (const packet_io::DpdkPortConfig& port : data.dpdk.start.ports)
    gateway.data_addresses.push_back({port.addresses.front().address, port.udp_port});
  if (data.dpdk.fallback == Dpdk::Fallback::kUdp) gateway.udp_fallback = kernel;
}

std::string uri_of(const IdentityPattern& pattern) {
  return "spiffe://" + pattern.trust_domain + "/site/" + pattern.site + "/gw/" + pattern.gateway;
}

Result<session::Grant> grant_from(const Grant& grant) {
  auto peer = crypto::IdentityPattern::parse(uri_of(grant.peer));
  if (!peer.ok()) return Error{Fault::kConfigInvalid, grant.at + ": " + peer.error().what, peer.error().next};
  return session::Grant{std::move(peer).value(), grant.root, grant.prefix, grant.ops, grant.limits, grant.at};
}

}  // namespace

Result<session::GatewayConfig> dialling_gateway(const GatewayConfig& config) {
  auto gateway = common(config);
  // The data address of a listening gateway may be in use on this host; its IP says which interface to take.
  if (!gateway.ok()) return gateway;
  set_data_addresses(gateway.value(), config.data_plane);
  for (Endpoint& address : gateway.value().data_addresses) address.port = 0;
  if (auto& fallback = gateway.value().udp_fallback) fallback->port = 0;
  return gateway;
}

Result<session::GatewayConfig> serving_gateway(const GatewayConfig& config) {
  if (Status status = check_serves(config); !status.ok()) return std::move(status).error();
  auto gateway = common(config);
  if (!gateway.ok()) return gateway;
  gateway.value().listen = config.listen.control;
  for (const Link& link : config.links) gateway.value().link_sites.push_back(link.peer);
  gateway.value().engine.capture = config.data_plane.capture;
  set_data_addresses(gateway.value(), config.data_plane);
  for (const Root& root : config.roots) gateway.value().roots.push_back({root.name, root.path});
  std::vector<session::Grant> grants;
  for (const Grant& grant : config.grants) {
    if (grant.peer.kind != IdentityPattern::Kind::kGateway) continue;  // local users do not come through a session
    auto made = grant_from(grant);
    if (!made.ok()) return std::move(made).error();
    grants.push_back(std::move(made).value());
  }
  gateway.value().grants = session::GrantTable(std::move(grants));
  return gateway;
}

Result<daemon::DaemonRules> serving_rules(const GatewayConfig& config) {
  auto gateway = serving_gateway(config);
  if (!gateway.ok()) return std::move(gateway).error();
  auto jobs = job_rules(config);
  if (!jobs.ok()) return std::move(jobs).error();
  return daemon::DaemonRules{{std::move(gateway.value().tls), std::move(gateway.value().grants), std::move(gateway.value().signing)}, std::move(jobs).value()};
}

Result<daemon::JobRules> job_rules(const GatewayConfig& config) {
  daemon::JobRules rules;
  rules.shares = shares_of(config);
  for (const Peer& peer : config.peers) {
    auto dialled = peer_for(config, peer.name);
    if (!dialled.ok()) return std::move(dialled).error();
    rules.peers.push_back(std::move(dialled).value());
  }
  if (config.listen.api.empty()) return rules;  // nobody to judge, so users and groups need not exist
  for (const Grant& grant : config.grants) {
    if (grant.peer.kind == IdentityPattern::Kind::kGateway) continue;
    const auto who = grant.peer.kind == IdentityPattern::Kind::kLocalUser ? daemon::LocalGrant::Who::kUser : daemon::LocalGrant::Who::kGroup;
    rules.grants.push_back({who, grant.peer.local_name, grant.root, grant.prefix, grant.ops, grant.at});
  }
  return rules;
}

daemon::ApiConfig api_config(const GatewayConfig& config, const std::string& file) {
  daemon::ApiConfig api{config.listen.api, config.listen.metrics, config.listen.web, {}, file, config.fixed, {}};
  for (const Root& root : config.roots) api.roots.push_back({root.name, root.path});
  return api;
}

std::vector<daemon::WatchConfig> watches_of(const GatewayConfig& config) {
  std::vector<daemon::WatchConfig> watches;
  for (const Watch& watch : config.watches) {
    daemon::WatchConfig made;
    made.root = watch.root;
    made.dir = watch.dir;
    made.format = checkpoint::format_named(watch.format).value_or(checkpoint::Format{});
    made.format.world = watch.world;
    made.series = watch.series;
    made.to = watch.to;
    if (watch.rpo) made.rpo = std::chrono::duration_cast<std::chrono::milliseconds>(*watch.rpo);
    if (watch.deadline) made.deadline = std::chrono::duration_cast<std::chrono::milliseconds>(*watch.deadline);
    made.keep = watch.keep;
    made.service = watch.service;
    made.pins_max = watch.pins_max;
    made.pin_bytes_max = watch.pin_bytes_max;
    made.settle = watch.settle;
    made.poll = watch.poll;
    using Existing = daemon::WatchConfig::Existing;
    made.existing = watch.existing == Watch::Existing::kAll ? Existing::kAll : watch.existing == Watch::Existing::kNone ? Existing::kNone : Existing::kNewest;
    watches.push_back(std::move(made));
  }
  return watches;
}

Result<session::PeerConfig> peer_for(const GatewayConfig& config, std::string_view name) {
  if (const Peer* peer = config.peer_named(name)) {
    auto identity = crypto::IdentityPattern::parse(uri_of(peer->identity));
    if (!identity.ok()) return Error{Fault::kConfigInvalid, peer->at + ": " + identity.error().what, identity.error().next};
    return session::PeerConfig{peer->name, peer->control, std::move(identity).value()};
  }
  std::string known;
  for (const Peer& peer : config.peers) known += (known.empty() ? "" : ", ") + peer.name;
  return Error{Fault::kUsage, "there is no peer called \"" + to_display(name) + '"',
               known.empty() ? "add a [[peer]] to the configuration" : "the configuration names: " + known};
}

}  // namespace tideway::config
