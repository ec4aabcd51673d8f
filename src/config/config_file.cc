// SPDX-License-Identifier: Apache-2.0
#include "config/config_file.h"

#include "base/operator_file.h"
#include "config/document.h"
#include "config/known_keys.h"
#include "gate/burst_table.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

namespace tideway::config {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

Error unreadable(const std::string& name, const std::string& why) {
  return invalid("cannot read the configuration " + name + ": " + why, "name the file with --config FILE; config/tideway.example.toml is one to start from");
}

Result<std::string> read_file(const std::string& name) {
  const int fd = open_operator_file(name, O_RDONLY | O_NOCTTY);
  if (fd < 0) return unreadable(name, text_of_open_error(-fd));
  const std::unique_ptr<std::FILE, CloseFile> file(::fdopen(fd, "r"));
  std::string text;
  if (file != nullptr) {
    std::array<char, 16384> part;
    size_t length = 0;
    // One part more than allowed, so that the parser refuses the size by name.
    while (text.size() <= kFileSizeMax && (length = std::fread(part.data(), 1, part.size(), file.get())) > 0)
      text.append(part.data(), length);
    if (std::ferror(file.get()) == 0) return text;
  }
  return unreadable(name, std::strerror(errno));
}

// The files of conf.d beside `file`, in byte order; none when there is no such directory.
std::vector<std::string> drop_ins(const std::string& file) {
  const std::filesystem::path path(file);
  std::vector<std::string> names;
  if (path.filename() != "tideway.toml") return names;
  std::error_code failure;
  for (std::filesystem::directory_iterator at(path.parent_path() / "conf.d", failure), end; !failure && at != end;
       at.increment(failure))
    if (at->path().extension() == ".toml" && at->path().filename().string().front() != '.')
      names.push_back(at->path().string());
  std::ranges::sort(names);
  return names;
}

Status check_names(const GatewayConfig& config) {
  for (const Root& root : config.roots) {
    const Root* first = config.root_named(root.name);
    if (first != &root)
      return invalid(root.at + ": the root " + root.name + " is given twice, first at " + first->at,
                     "give each root a name of its own");
    const auto same = std::ranges::find(config.roots, root.path, &Root::path);
    if (&*same != &root)
      return invalid(root.at + ": the root " + root.name + " has the same path as " + same->name + " at " + same->at,
                     "open a directory under one name only");
  }
  for (const Peer& peer : config.peers) {
    const Peer* first = config.peer_named(peer.name);
    if (first != &peer)
      return invalid(peer.at + ": the peer " + peer.name + " is given twice, first at " + first->at,
                     "give each peer a name of its own");
    if (peer.name == "any" || peer.name == "local")
      return invalid(peer.at + ": a peer may not be called " + peer.name + ", which has a meaning in addresses",
                     "choose another name; identity can say which site it is");
    if (const Root* root = config.root_named(peer.name))
      return invalid(peer.at + ": the peer " + peer.name + " has the name of the root at " + root->at +
                         ", so that " + peer.name + ":path would mean both",
                     "rename one of the two");
  }
  return success();
}

// A training is known by the hash of its name, so two of one hash could not be told apart.
Status check_trainings(const GatewayConfig& config) {
  for (size_t i = 0; i < config.trainings.size(); ++i) {
    const Training& training = config.trainings[i];
    for (const std::string& peer : training.peers)
      if (std::ranges::count(config.links, peer, &Link::peer) == 0)
        return invalid(training.at + ": the [[training]] " + training.name + " has the peer " + peer + ", to which there is no [[link]]",
                       "add a [[link]] with peer = \"" + peer + '"');
    const auto has_no_capacity = [&](const Link& link) { return link.capacity.is_unlimited() && std::ranges::count(training.peers, link.peer) > 0; };
    if (const auto link = std::ranges::find_if(config.links, has_no_capacity); !training.counters.empty() && link != config.links.end())
      return invalid(training.at + ": counters of the [[training]] " + training.name + " need the capacity of the [[link]] to " + link->peer +
                         ", because a burst is what takes a part of it",
                     "add capacity = \"10Gbit\" to the [[link]] at " + link->at);
    for (const daemon::CounterName& counter : training.counters) {
      const auto is_it = [&counter](const packet_io::DpdkPortConfig& port) { return port.device == counter.device; };
      if (counter.kind == daemon::CounterName::Kind::kDpdk && (!config.data_plane.is_dpdk() || std::ranges::none_of(config.data_plane.dpdk.start.ports, is_it)))
        return invalid(training.at + ": the [[training]] " + training.name + " counts at " + counter.text + ", and no port of [data_plane.dpdk] is that device",
                       "write one of the devices there, or count by iface:, nft: or tc:");
    }
    for (size_t j = 0; j < i; ++j)
      if (gate::training_id(config.trainings[j].name) == gate::training_id(training.name))
        return invalid(training.at + ": the [[training]] " + training.name + " cannot be told from " + config.trainings[j].name + " at " +
                           config.trainings[j].at,
                       "give each training a name of its own");
  }
  return success();
}

Status check_identity(const GatewayConfig& config, const IdentityPattern& pattern, const std::string& where) {
  if (pattern.kind != IdentityPattern::Kind::kGateway || pattern.trust_domain == config.site.trust_domain)
    return success();
  return invalid(where + ": " + pattern.text + " is not in the trust domain " + config.site.trust_domain +
                     " of [site], so no certificate could ever match",
                 "write spiffe://" + config.site.trust_domain + "/site/SITE/gw/GATEWAY");
}

Status check_identities(const GatewayConfig& config) {
  for (const Grant& grant : config.grants) {
    if (config.root_named(grant.root) == nullptr)
      return invalid(grant.at + ": root in [[grant]] names " + grant.root + ", and no [[root]] has that name",
                     "add the [[root]], or correct the name");
    if (auto status = check_identity(config, grant.peer, grant.at + ": peer in [[grant]]"); !status.ok()) return status;
  }
  for (const Peer& peer : config.peers) {
    if (peer.identity.kind != IdentityPattern::Kind::kGateway)
      return invalid(peer.at + ": identity in [[peer]] is " + peer.identity.text + ", which is no gateway",
                     "write spiffe://" + config.site.trust_domain + "/site/SITE/gw/GATEWAY");
    if (auto status = check_identity(config, peer.identity, peer.at + ": identity in [[peer]]"); !status.ok())
      return status;
  }
  return success();
}

// Where a section is written, for an error about two of its keys.
std::string place_of(const Table& document, std::string_view section) {
  const Entry* entry = find(document, section);
  return entry == nullptr ? std::string() : entry->at + ": ";
}

Status check_phases(const GatewayConfig& config, const Table& document) {
  if (config.links.size() > gate::kLinksMax)
    return invalid(config.links.back().at + ": there are more than " + std::to_string(gate::kLinksMax) + " [[link]]", "remove some");
  for (size_t i = 0; i < config.links.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (gate::site_id(config.links[j].peer) == gate::site_id(config.links[i].peer))
        return invalid(config.links[i].at + ": the [[link]] to " + config.links[i].peer + " cannot be told from the one at " + config.links[j].at,
                       "write one [[link]] per site");
  for (const Link& link : config.links)
    if (link.congestion == "contracted" && config.data_plane.rate.is_unlimited())
      return invalid(link.at + ": congestion = \"contracted\" of the [[link]] to " + link.peer + " needs a rate",
                     "add rate = \"10Gbit\" to [data_plane] with the rate that was contracted");
  if (config.phase.listen && config.phase.key_file.empty())
    return invalid(place_of(document, "phase") + "listen in [phase] needs a key, since anybody could hold bulk back otherwise",
                   "add key_file = \"/etc/tideway/beacon.key\" and make it with: openssl rand -hex 32");
  return check_trainings(config);
}

// What a watch finds is a job like any other, so all that a job needs must be there.
Status check_watches(const GatewayConfig& config) {
  for (const Watch& watch : config.watches) {
    if (config.listen.api.empty())
      return invalid(watch.at + ": [[watch]] needs the queue, and there is none without api in [listen]", "add api = \"/run/tideway/api.sock\" below [listen]");
    if (config.root_named(watch.root) == nullptr)
      return invalid(watch.at + ": dir in [[watch]] names the root " + watch.root + ", and there is none", "write root:path of a [[root]]");
    for (const std::string& to : watch.to)
      if (config.peer_named(to.substr(0, to.find(':'))) == nullptr)
        return invalid(watch.at + ": to in [[watch]] names " + to + ", and there is no such [[peer]]", "write peer:root/path of a [[peer]]");
    const auto same = std::ranges::find(config.watches, watch.series, &Watch::series);
    if (&*same != &watch) return invalid(watch.at + ": the series " + watch.series + " is watched at " + same->at, "give each a series of its own");
  }
  return success();
}

// The kernel answers for its addresses and a port for its own; both at once break connections.
Status check_dpdk(const GatewayConfig& config, const std::string& place) {
  const DataPlane& data = config.data_plane;
  if (!data.is_dpdk()) return success();
  std::vector<ip::Prefix> own;
  for (const packet_io::DpdkPortConfig& port : data.dpdk.start.ports) {
    if (port.addresses.empty())
      return invalid(place + "backend = \"dpdk\" in [data_plane] needs an address of the port",
                     "add address = \"10.77.0.11/24\" below [data_plane.dpdk], one that the kernel does not have");
    own.insert(own.end(), port.addresses.begin(), port.addresses.end());
  }
  for (size_t i = 0; i < own.size(); ++i)
    if (std::any_of(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(i), [&](const ip::Prefix& other) { return other.address == own[i].address; }))
      return invalid(place + "two ports of [data_plane.dpdk] have the address " + ip::to_string(own[i].address), "give each an address of its own");
  const auto is_own = [&](const std::optional<Endpoint>& endpoint) {
    return endpoint && std::ranges::any_of(own, [&](const ip::Prefix& prefix) { return prefix.address == endpoint->address; });
  };
  if (is_own(config.listen.control) || is_own(data.address))
    return invalid(place + "address in [data_plane.dpdk] is also that of " + (is_own(config.listen.control) ? "control in [listen]" : "[data_plane]"),
                   "give the port an address that the kernel does not have");
  return success();
}

Status check_data_plane(const GatewayConfig& config, const Table& document) {
  const DataPlane& data = config.data_plane;
  const std::string place = place_of(document, "data_plane");
  if (data.congestion == "contracted" && data.rate.is_unlimited())
    return invalid(place + "congestion = \"contracted\" in [data_plane] needs a rate",
                   "add rate = \"10Gbit\" with the rate that was contracted");
  if (Status status = check_dpdk(config, place); !status.ok()) return status;
  if (!data.address) return success();
  const uint32_t first = data.address->port, last = first + kDataPorts - 1;
  const std::string range = std::to_string(first) + " to " + std::to_string(last);
  if (last > 65535)
    return invalid(place + "address in [data_plane] would need the ports " + range + ", and 65535 is the last there is",
                   "write a port up to 65472");
  if (config.listen.control && config.listen.control->port >= first && config.listen.control->port <= last)
    return invalid(place + "the data ports " + range + " contain " + std::to_string(config.listen.control->port) +
                       ", the port of control in [listen]",
                   "move one of the two, such as control to 7400 and address to 7401");
  return success();
}

void note_unused(GatewayConfig& config) {
  for (const Grant& grant : config.grants)
    if (grant.peer.kind != IdentityPattern::Kind::kGateway && config.listen.api.empty())
      config.notes.push_back(grant.at + ": the [[grant]] for " + grant.peer.text + " has no effect without api in [listen]");
  for (const Watch& watch : config.watches)
    if (watch.format == "deepspeed" && watch.world == 0)
      config.notes.push_back(watch.at + ": the [[watch]] of " + watch.series + " has no effect without world: files of deepspeed do not tell how many processes save, so none of its "
                                        "checkpoints counts as complete; set world, or let a hook hand them over");
}

// The sections that a reload does not touch, but for these keys in them.
constexpr std::string_view kFixedSections[] = {"site", "listen", "engine", "data_plane", "storage", "root", "link", "schedule", "phase", "training", "watch"};
constexpr std::string_view kLiveKeys[] = {"timetable", "timetable_zone", "leftover_floor", "may_hurt_training", "policy", "slack"};

std::string text_of(const Value& value) {
  std::string text;
  if (const auto* word = std::get_if<std::string>(&value.held)) text = '"' + *word + '"';
  if (const auto* number = std::get_if<int64_t>(&value.held)) text = std::to_string(*number);
  if (const auto* flag = std::get_if<bool>(&value.held)) text = *flag ? "true" : "false";
  if (const auto* items = std::get_if<Array>(&value.held))
    for (const Value& item : *items) text += text_of(item) + ',';
  if (const auto* table = std::get_if<Table>(&value.held))
    for (const Entry& entry : *table)
      if (std::ranges::count(kLiveKeys, entry.key) == 0) text += '{' + entry.key + '=' + text_of(entry.value) + '}';
  return text;
}

Result<GatewayConfig> read_document(const Table& document, std::string_view file) {
  std::vector<std::string> notes;
  if (auto status = check_keys(document, file, notes); !status.ok()) return status.error();
  auto read = read_sections(document);
  if (!read.ok()) return read;
  GatewayConfig config = std::move(read).value();
  config.notes = std::move(notes);
  for (const std::string_view section : kFixedSections)
    if (const Entry* entry = find(document, section)) config.fixed.push_back('[' + std::string(section) + "] " + text_of(entry->value));
  if (auto status = check_names(config); !status.ok()) return status.error();
  if (auto status = check_identities(config); !status.ok()) return status.error();
  if (auto status = check_data_plane(config, document); !status.ok()) return status.error();
  if (auto status = check_phases(config, document); !status.ok()) return status.error();
  if (auto status = check_watches(config); !status.ok()) return status.error();
  note_unused(config);
  return config;
}

}  // namespace

Result<GatewayConfig> parse(std::string_view text, std::string_view file) {
  const auto document = parse_document(text, file);
  if (!document.ok()) return document.error();
  return read_document(document.value(), file);
}

Result<GatewayConfig> load(const std::string& file) {
  std::vector<std::string> names = {file};
  for (std::string& name : drop_ins(file)) names.push_back(std::move(name));
  Table document;
  for (const std::string& name : names) {
    const auto text = read_file(name);
    if (!text.ok()) return text.error();
    auto part = parse_document(text.value(), name);
    if (!part.ok()) return part.error();
    if (auto status = merge(document, std::move(part).value()); !status.ok()) return status.error();
  }
  return read_document(document, file);
}

std::vector<std::string> needing_restart(const GatewayConfig& running, const GatewayConfig& fresh) {
  std::vector<std::string> sections;
  const auto note = [&](const std::string& section) {
    std::string name = section.substr(0, section.find(' '));
    if (std::ranges::count(sections, name) == 0) sections.push_back(std::move(name));
  };
  for (const std::string& section : fresh.fixed)
    if (std::ranges::count(running.fixed, section) == 0) note(section);
  for (const std::string& section : running.fixed)
    if (std::ranges::count(fresh.fixed, section) == 0) note(section);
  return sections;
}

Status check_serves(const GatewayConfig& config) {
  if (!config.listen.control)
    return invalid("control in [listen] is missing, and a gateway needs an address to listen on",
                   "add control = \"ADDRESS:7400\" below [listen]");
  const bool is_kernel_used = !config.data_plane.is_dpdk() || config.data_plane.dpdk.fallback == Dpdk::Fallback::kUdp;
  if (!config.data_plane.address && is_kernel_used)
    return invalid("address in [data_plane] is missing, and a gateway needs an address for its packets",
                   "add address = \"ADDRESS:7401\" below [data_plane]");
  if (config.roots.empty())
    return invalid("there is no [[root]], so a gateway could serve nothing",
                   "add a [[root]] with the name and path of a directory");
  return success();
}

}  // namespace tideway::config
