// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_packet_io.h"

#include "base/log.h"
#include "base/prefetch.h"
#include "packet_io/dpdk_eal.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <cstring>

namespace tideway::packet_io {
namespace {

constexpr uint16_t kPickedPortFirst = 49'152;  // RFC 6335, section 6: dynamic ports
constexpr size_t kFrameMin = 60;               // of Ethernet, without its checksum
constexpr size_t kOwnFramesPerTurn = 16;
constexpr size_t kEmptyBursts = 4;             // of frames that were not for a path, before receive() gives up

rte_mbuf* mbuf_of(uint64_t token) { return reinterpret_cast<rte_mbuf*>(token); }
std::byte* buffer_of(rte_mbuf* mbuf) { return static_cast<std::byte*>(mbuf->buf_addr); }

// Between both, a packet keeps its place: the payload begins where the headroom ends.
std::span<std::byte> room_of(rte_mbuf* mbuf) { return {buffer_of(mbuf) + RTE_PKTMBUF_HEADROOM, mbuf->buf_len - size_t{RTE_PKTMBUF_HEADROOM}}; }

void set_frame(rte_mbuf* mbuf, size_t offset, size_t size) {
  if (size < kFrameMin) {  // some devices do not pad; what lies there must not leave
    std::memset(buffer_of(mbuf) + offset + size, 0, kFrameMin - size);
    size = kFrameMin;
  }
  mbuf->data_off = static_cast<uint16_t>(offset);
  mbuf->data_len = static_cast<uint16_t>(size);
  mbuf->pkt_len = static_cast<uint32_t>(size);
}

uint64_t offload_flags(const DpdkOffloads& offloads, const DpdkPortConfig& config, bool is_ipv4) {
  uint64_t flags = 0;
  if (is_ipv4 && offloads.ipv4_checksum) flags |= RTE_MBUF_F_TX_IP_CKSUM;
  const bool is_wanted = config.udp_checksum == ip::UdpChecksum::kOffload;
  if (offloads.udp_checksum && is_wanted) flags |= RTE_MBUF_F_TX_UDP_CKSUM;
  if (flags != 0) flags |= is_ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
  return flags;
}

// A device, or another core, has just written them: their first lines come while those in front are parsed. The second
// line of an mbuf is read when it is freed.
void prefetch(std::span<rte_mbuf* const> mbufs) {
  for (rte_mbuf* mbuf : mbufs) {
    rte_mbuf_prefetch_part1(mbuf);
    rte_mbuf_prefetch_part2(mbuf);
  }
  for (rte_mbuf* mbuf : mbufs) {
    rte_prefetch0(buffer_of(mbuf) + mbuf->data_off);
    rte_prefetch0(room_of(mbuf).data());  // where the payload begins on most ports
  }
}

// Mbufs as they lie in their pool: whole, alone and with one segment (rte_mbuf_raw_alloc). All else that a port reads is
// set when they are sent, so that here not one of their lines is touched, which other cores touched last. All of them, or
// one, or none when the pool is dry.
size_t take_raw(rte_mempool* pool, std::span<rte_mbuf*> out) {
  const auto take = [&](size_t count) { return rte_mempool_get_bulk(pool, reinterpret_cast<void**>(out.data()), static_cast<unsigned>(count)) == 0; };
  if (take(out.size())) return out.size();
  return take(1) ? 1 : 0;
}

// Of an mbuf that is not touched yet: its buffer lies behind it, because no pool of a port has private data.
std::byte* raw_buffer_of(rte_mbuf* mbuf) { return reinterpret_cast<std::byte*>(mbuf + 1); }

// Lines of an mbuf that is lent which somebody else had last: they come while the packets in front are filled. Headers end
// where the payload begins.
TIDEWAY_ASKS void ask_to_fill(rte_mbuf* mbuf) {
  ask_to_write({reinterpret_cast<const std::byte*>(mbuf), kCacheLine});
  ask_to_write({raw_buffer_of(mbuf) + RTE_PKTMBUF_HEADROOM - kCacheLine, 2 * kCacheLine});
}

Bytes largest_payload(const DpdkPortConfig& config) {
  const bool has_ipv4 = std::ranges::any_of(config.addresses, [](const ip::Prefix& prefix) { return ip::is_ipv4(prefix.address); });
  return config.mtu - ip_and_udp_headers(has_ipv4);
}

Error bad_path(std::string what, std::string next) { return {Fault::kConfigInvalid, std::move(what), std::move(next)}; }

}  // namespace

Result<std::unique_ptr<DpdkPacketIo>> DpdkPacketIo::create(DpdkQueue queue) {
  TIDEWAY_CHECK(queue.clock != nullptr && queue.index < queue.port->queues());
  ip::HostConfig config = queue.port->host_config();
  if (queue.index != 0) config.duties = ip::Duties::kResolve;
  auto host = ip::Host::create(queue.clock(), std::move(config));
  if (!host.ok()) return std::move(host).error();
  if (queue.index == 0) queue.port->join(host.value().groups());
  return std::unique_ptr<DpdkPacketIo>(new DpdkPacketIo(std::move(queue), std::move(host).value()));
}

DpdkPacketIo::DpdkPacketIo(DpdkQueue queue, ip::Host host)
    : queue_(std::move(queue)), pool_(queue_.port->pool(queue_.index)), payload_max_(largest_payload(queue_.port->config())),
      host_(std::move(host)), paths_of_port_(65'536), now_(queue_.clock()) {
  TIDEWAY_CHECK(rte_pktmbuf_data_room_size(pool_) >= queue_.port->config().mtu.count() + RTE_PKTMBUF_HEADROOM);
  static_assert(RTE_PKTMBUF_HEADROOM >= ip::HeaderTemplate::kSizeMax);
}

DpdkPacketIo::~DpdkPacketIo() {
  TIDEWAY_DCHECK(packets_out_ == 0);
  for (size_t udp_port = 0; udp_port < paths_of_port_.size(); ++udp_port)
    if (paths_of_port_[udp_port] != 0) queue_.port->let_go(static_cast<uint16_t>(udp_port));
  const std::string queue = "device=" + port().name() + " queue=" + std::to_string(queue_.index);
  std::string counted, drops;
  const auto add = [&](std::string_view name, uint64_t count) {
    log::add_count(counted, name, count);
    if (name.starts_with("dropped_")) log::add_count(drops, name, count);
  };
  stats_.for_each(add);
  host_stats().for_each(add);
  log::info("dpdk_queue_closed", queue + counted);
  if (!drops.empty()) log::info("net_drops", queue + drops);
}

PacketIoLimits DpdkPacketIo::limits() const {
  return {.burst_max = kBurstMax, .payload_max = payload_max_, .wait_fd = -1, .delivery = Delivery::kDatagram,
          .device = port().is_gone() ? Device::kGone : Device::kPresent};
}

PacketIoLosses DpdkPacketIo::losses() const {
  PacketIoLosses losses{.received = stats_.lost_handed_over, .sent = stats_.lost_refused + stats_.lost_unresolved};
  if (queue_.index != 0) return losses;
  const DpdkPortStats device = port().stats();
  losses.received += device.receive_missed + device.receive_dry + device.receive_errors;
  losses.sent += device.send_errors;
  return losses;
}

// ---- paths ----------------------------------------------------------------------------------------------------------

Result<Path> DpdkPacketIo::open_path(const PathSpec& spec) {
  owner_.check();
  if (!host_.owns(spec.local.address))
    return bad_path(to_string(spec.local) + " is not an address of the DPDK port " + port().name(),
                    "set address in [data_plane.dpdk] to the one that packets come from");
  if (spec.remote.is_set() && spec.remote.is_ipv4() != spec.local.is_ipv4())
    return bad_path("no path from " + to_string(spec.local) + " to " + to_string(spec.remote) + ": IPv4 and IPv6 do not mix",
                    "set address in [data_plane.dpdk] to an address of the peer's family");
  auto row = std::ranges::find(paths_, false, &PathRow::is_open);
  if (row == paths_.end() && paths_.size() == kDpdkPathsMax)
    return Error{Fault::kOverloaded, "all " + std::to_string(kDpdkPathsMax) + " paths of a net worker are in use",
                 "lower flows in [data_plane], or let fewer peers connect"};
  PathRow path;
  path.local = spec.local;
  path.remote = spec.remote;
  path.dscp = spec.dscp;
  if (path.local.port == 0) {
    const auto claimed = claim_any_port();
    if (!claimed.ok()) return claimed.error();
    path.local.port = claimed.value();
  } else if (paths_of_port_[path.local.port] == 0 && !queue_.port->claim(path.local.port, queue_.index))
    return bad_path(to_string(path.local) + " belongs to another net worker", "let each worker have ports of its own");
  if (spec.remote.is_set()) {
    const auto hop = host_.next_hop_of(spec.remote.address);
    if (!hop.ok()) {
      if (paths_of_port_[path.local.port] == 0) queue_.port->let_go(path.local.port);
      return hop.error();
    }
    path.hop = hop.value();
  }
  if (row == paths_.end()) row = paths_.insert(row, PathRow{});
  path.serial = static_cast<uint16_t>(row->serial + 1);
  path.is_open = true;
  *row = path;
  ++paths_of_port_[path.local.port];
  return Path{.id = PathId(uint32_t{path.serial} << 16 | static_cast<uint32_t>(row - paths_.begin())), .local = path.local,
              .mtu = port().config().mtu};
}

Result<uint16_t> DpdkPacketIo::claim_any_port() {
  for (uint32_t candidate = kPickedPortFirst; candidate <= UINT16_MAX; ++candidate)
    if (const auto free = static_cast<uint16_t>(candidate); paths_of_port_[free] == 0 && queue_.port->claim(free, queue_.index)) return free;
  return Error{Fault::kOverloaded, "all UDP ports of the DPDK port are in use", "let fewer peers connect"};
}

void DpdkPacketIo::close_path(PathId path) {
  owner_.check();
  PathRow* row = find(path);
  TIDEWAY_CHECK(row != nullptr);
  if (--paths_of_port_[row->local.port] == 0) queue_.port->let_go(row->local.port);
  if (row->hop) host_.release(*row->hop);
  row->is_open = false;
}

DpdkPacketIo::PathRow* DpdkPacketIo::find(PathId path) {
  const size_t place = path.value() & 0xFFFF;
  if (place >= paths_.size()) return nullptr;
  PathRow& row = paths_[place];
  return row.is_open && row.serial == path.value() >> 16 ? &row : nullptr;
}

// ---- out ------------------------------------------------------------------------------------------------------------

size_t DpdkPacketIo::allocate(PathId path, Bytes payload, std::span<Packet> out) {
  owner_.check();
  TIDEWAY_CHECK(payload.count() > 0 && payload <= payload_max_);
  TIDEWAY_CHECK(find(path) != nullptr);
  size_t done = 0;
  while (done < out.size()) {
    std::array<rte_mbuf*, kBurstMax> mbufs;
    const size_t count = take_raw(pool_, std::span(mbufs).first(std::min(out.size() - done, kBurstMax)));
    if (count == 0) break;
    for (rte_mbuf* mbuf : std::span(mbufs).first(count)) {
      Packet& packet = out[done++];
      lend(packet, reinterpret_cast<uint64_t>(mbuf));
      packet.bytes = {raw_buffer_of(mbuf) + RTE_PKTMBUF_HEADROOM, payload.count()};
      ask_to_fill(mbuf);
      packet.path = path;
      packet.ecn = Ecn::kEct0;
    }
    packets_out_ += count;
  }
  if (done < out.size()) ++stats_.send_dry;
  return done;
}

// Also renews the headers of a path whose next hop has moved.
DpdkPacketIo::Fate DpdkPacketIo::fate_of(PathRow* path) {
  if (path == nullptr || !path->hop) return Fate::kClosed;
  if (path->generation == host_.generation()) return Fate::kSend;
  const auto mac = host_.mac_of(*path->hop);
  if (!mac) {
    if (!path->waits_since) path->waits_since = now_;
    return now_ < *path->waits_since + kResolveTime ? Fate::kWait : Fate::kUnresolved;
  }
  const DpdkPortConfig& config = port().config();
  const DpdkOffloads& offloads = port().offloads();
  const bool is_software = config.udp_checksum == ip::UdpChecksum::kOffload && !offloads.udp_checksum;
  path->headers.emplace(ip::PathHeaders{
      .mac_from = port().mac(), .mac_to = *mac, .from = path->local, .to = path->remote, .vlan = config.vlan, .dscp = path->dscp,
      .udp_checksum = is_software ? ip::UdpChecksum::kSoftware : config.udp_checksum,
      .ipv4_checksum = offloads.ipv4_checksum ? ip::Ipv4Checksum::kOffload : ip::Ipv4Checksum::kSoftware});
  path->generation = host_.generation();
  path->waits_since.reset();
  return Fate::kSend;
}

void DpdkPacketIo::write_headers(const PathRow& path, const Packet& packet) {
  rte_mbuf* mbuf = mbuf_of(token_of(packet));
  const ip::HeaderTemplate& headers = *path.headers;
  const size_t offset = RTE_PKTMBUF_HEADROOM - headers.size(), size = headers.size() + packet.bytes.size();
  TIDEWAY_DCHECK(packet.bytes.data() == room_of(mbuf).data());
  headers.write({buffer_of(mbuf) + offset, size}, packet.bytes.size(), packet.ecn);
  set_frame(mbuf, offset, size);
  mbuf->ol_flags = offload_flags(port().offloads(), port().config(), headers.is_ipv4());
  if (mbuf->ol_flags == 0) return;  // these lie in a line of the mbuf that nothing else touches
  mbuf->tx_offload = 0;
  mbuf->l2_len = headers.ethernet_size() & 0x7F;
  mbuf->l3_len = headers.ip_size() & 0x1FF;
}

// Returns how many the port took, of those in front; one that its driver refuses to send counts, and is lost.
size_t DpdkPacketIo::hand_to_port(std::span<rte_mbuf*> mbufs) {
  const uint16_t id = port().id(), queue = queue_.index;
  size_t done = 0;
  while (done < mbufs.size()) {
    const auto offered = static_cast<uint16_t>(mbufs.size() - done);
    const DpdkOffloads& offloads = port().offloads();
    uint16_t fit = offered;
    if (offloads.ipv4_checksum || offloads.udp_checksum) fit = rte_eth_tx_prepare(id, queue, mbufs.data() + done, offered);
    const uint16_t taken = rte_eth_tx_burst(id, queue, mbufs.data() + done, fit);
    done += taken;
    stats_.packets_sent += taken;
    if (taken < fit) {
      ++stats_.send_full;
      break;
    }
    if (fit == offered) break;
    rte_pktmbuf_free(mbufs[done++]);
    ++stats_.lost_refused;
  }
  return done;
}

size_t DpdkPacketIo::send(std::span<Packet> burst) {
  owner_.check();
  burst = burst.first(std::min(burst.size(), kBurstMax));
  std::array<rte_mbuf*, kBurstMax> mbufs;
  std::array<Fate, kBurstMax> fates;
  size_t count = 0, decided = 0;
  for (; decided < burst.size(); ++decided) {
    Packet& packet = burst[decided];
    PathRow* path = find(packet.path);
    fates[decided] = fate_of(path);
    if (fates[decided] == Fate::kWait) break;
    if (fates[decided] != Fate::kSend) continue;
    write_headers(*path, packet);
    mbufs[count++] = mbuf_of(token_of(packet));
  }
  size_t taken = count == 0 ? 0 : hand_to_port(std::span(mbufs).first(count));
  size_t done = 0;
  for (; done < decided; ++done) {
    Packet& packet = burst[done];
    if (fates[done] != Fate::kSend) {
      ++(fates[done] == Fate::kClosed ? stats_.lost_path_closed : stats_.lost_unresolved);
      packet.reset();
      continue;
    }
    if (taken == 0) break;
    --taken;
    --packets_out_;
    disown(packet);
  }
  return done;
}

void DpdkPacketIo::release(Packet& packet) {
  owner_.check();
  rte_pktmbuf_free(mbuf_of(token_of(packet)));
  --packets_out_;
}

// ---- in -------------------------------------------------------------------------------------------------------------

// What a host does besides carrying packets.
void DpdkPacketIo::live(Time now) {
  if (!is_registered_) {
    register_thread();
    is_registered_ = true;
  }
  if (queue_.index == 0) queue_.port->watch_link(now);
  const bool is_up = port().is_link_up();
  if (is_up && !was_link_up_) {
    ++stats_.link_ups;
    host_.on_link_up(now);
  }
  was_link_up_ = is_up;
  for (size_t i = 0; i < kOwnFramesPerTurn && host_.next_deadline() <= now; ++i)
    if (!send_own_frame(now)) break;
}

bool DpdkPacketIo::send_own_frame(Time now) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
  if (mbuf == nullptr) return false;
  const auto room = room_of(mbuf);
  const size_t size = host_.write_frame(now, room);
  if (size == 0) {
    rte_pktmbuf_free(mbuf);
    return false;
  }
  set_frame(mbuf, RTE_PKTMBUF_HEADROOM, size);
  if (rte_eth_tx_burst(port().id(), queue_.index, &mbuf, 1) == 1) {
    ++stats_.own_frames_sent;
    return true;
  }
  rte_pktmbuf_free(mbuf);
  ++stats_.own_frames_lost;
  return false;
}

void DpdkPacketIo::hand_over(uint16_t queue, rte_mbuf* mbuf) {
  if (mbuf != nullptr && queue_.port->hand_over(queue, mbuf)) {
    ++stats_.handed_over;
    return;
  }
  ++stats_.lost_handed_over;
  rte_pktmbuf_free(mbuf);
}

// What the hosts of the other workers should know, too.
void DpdkPacketIo::share_with_hosts(rte_mbuf* mbuf) {
  const ip::Audience audience = ip::audience_of({buffer_of(mbuf) + mbuf->data_off, mbuf->data_len});
  if (audience == ip::Audience::kOne) return;
  const uint16_t end = audience == ip::Audience::kFirst ? uint16_t{1} : port().queues();
  for (uint16_t queue = 0; queue < end; ++queue)
    if (queue != queue_.index) hand_over(queue, rte_pktmbuf_copy(mbuf, pool_, 0, UINT32_MAX));
}

// Nothing: the mbuf is not the caller's any more.
std::optional<Packet> DpdkPacketIo::take(Time now, rte_mbuf* mbuf, Brought by) {
  if (mbuf->nb_segs > 1) {
    ++stats_.dropped_segments;
    rte_pktmbuf_free(mbuf);
    return std::nullopt;
  }
  if (by == Brought::kByDevice && port().queues() > 1) share_with_hosts(mbuf);
  const auto datagram = host_.on_frame(now, {buffer_of(mbuf) + mbuf->data_off, mbuf->data_len});
  if (datagram && paths_of_port_[datagram->to.port] != 0) {
    Packet packet(this, reinterpret_cast<uint64_t>(mbuf));
    packet.bytes = datagram->payload;
    packet.from = datagram->from;
    packet.to = datagram->to;
    packet.ecn = datagram->ecn;
    ++packets_out_;
    return packet;
  }
  const auto owner = datagram && by == Brought::kByDevice ? port().owner_of(datagram->to.port) : std::nullopt;
  if (owner && *owner != queue_.index) {
    hand_over(*owner, mbuf);
    return std::nullopt;
  }
  if (datagram) ++stats_.dropped_no_path;
  rte_pktmbuf_free(mbuf);
  return std::nullopt;
}

size_t DpdkPacketIo::take_all(Time now, std::span<rte_mbuf*> mbufs, Brought by, std::span<Packet> out) {
  prefetch(mbufs);
  size_t done = 0;
  for (rte_mbuf* mbuf : mbufs)
    if (auto packet = take(now, mbuf, by)) out[done++] = std::move(*packet);
  return done;
}

size_t DpdkPacketIo::receive(std::span<Packet> out) {
  owner_.check();
  now_ = queue_.clock();
  live(now_);
  out = out.first(std::min(out.size(), kBurstMax));
  std::array<rte_mbuf*, kBurstMax> mbufs;
  // Half of the room at most, so that neither source holds up the other.
  const size_t taken_over = queue_.port->take_over(queue_.index, std::span(mbufs).first(out.size() / 2));
  stats_.taken_over += taken_over;
  size_t done = take_all(now_, std::span(mbufs).first(taken_over), Brought::kByWorker, out);
  for (size_t i = 0; i < kEmptyBursts && !out.empty(); ++i) {
    const size_t count = rte_eth_rx_burst(port().id(), queue_.index, mbufs.data(), static_cast<uint16_t>(out.size() - done));
    done += take_all(now_, std::span(mbufs).first(count), Brought::kByDevice, out.subspan(done));
    if (count == 0 || done > 0) break;
  }
  stats_.packets_received += done;
  return done;
}

}  // namespace tideway::packet_io
